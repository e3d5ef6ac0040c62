"""Node images and class revisions that a Rollout decides about: what the planner does, and what people are told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from kaas.api.release import Release
from kaas.api.rollout_carried import Kind
from kaas.runtime.index import Index
from kaas.updates.explain.facts import State
from kaas.updates.explain.why import explain
from kaas.updates.facts import Change, Decision, Ruling, Turn
from kaas.updates.forecast import forecast
from kaas.updates.line import Line
from kaas.updates.metrics import UpdateMetrics
from kaas.updates.planner import kept, plan
from kaas.updates.standing import Present
from kaas.updates.subject import Subject
from kaas.updates.unread import UnreadRelease
from tests.unit.updates.subjects import NOW, READY, at, cluster, raw_release, release, site, subject, version

OPEN, SHUT = at("2027-01-05 22:00"), at("2027-01-06 01:45")
OLD, NEW = release("v1.36.1"), release("v1.36.3")
FIRST, SECOND, THIRD = "ubuntu-v1.36.1", "ubuntu-v1.36.1-2", "ubuntu-v1.36.1-3"
HAS = Present(FIRST, None, "class-1", "class-2", at("2026-06-01 00:00"))
WORDS = "Rollout fleet, stage broad: it waits"


def newer(name: str, regular: str = "2026-12-10", of: str = "v1.36.1") -> Release:
    raw = raw_release(of, regular)
    return Release.model_validate({**raw, "metadata": {"name": name}, "spec": {**raw["spec"], "image": name}})


KNOWN = (OLD, newer(SECOND), newer(THIRD, "2026-12-20"))


def turn(image: str | None = SECOND, revision: str | None = None, *, allowed: bool = True, until: Any = None) -> Turn:
    said = "its turn has come" if allowed else WORDS
    return Turn("fleet", "broad", None, allowed, "RolloutPending", said, until, image, revision)


def ruled(of: Any = None, *known: Release, present: Present = HAS, **ruling: Turn) -> Subject:
    return replace(subject(of, *(known or KNOWN)), present=present, ruling=Ruling(**ruling))


def brought(found: Decision) -> tuple[str | None, str | None, list[str]]:
    """Image, class revision, and changes of a decision."""
    aims = found.aims or (found.choice.aims if found.choice else None)
    return (aims.image, aims.class_revision, [*map(str, aims.changes)]) if aims else (None, None, [])


# --- when it is its turn ------------------------------------------------------------------------------------------


def test_exactly_the_image_of_a_rollout_comes_in_its_turn_and_what_is_free_comes_along() -> None:
    found = plan(ruled(image=turn()), OPEN)
    assert (found.target, found.reason) == (version("v1.36.1"), "Updating")
    assert brought(found) == (SECOND, "class-2", ["ClassRevision", "Image"])


def test_without_its_turn_an_image_waits_and_what_is_free_does_not() -> None:
    found = plan(ruled(image=turn(allowed=False)), OPEN)
    assert brought(found) == (None, "class-2", ["ClassRevision"])


def test_what_waits_is_said_with_all_that_waits_together() -> None:
    both = turn(SECOND, "class-2", allowed=False, until=SHUT)
    found = plan(ruled(image=both, class_revision=both), OPEN)
    assert (found.target, found.reason, found.message, found.until) == (None, "RolloutPending", WORDS, SHUT)
    assert brought(found) == (SECOND, "class-2", ["ClassRevision", "Image"])


def test_all_that_a_rollout_carries_is_one_replacement() -> None:
    both = turn(SECOND, "class-2")
    assert brought(plan(ruled(image=both, class_revision=both), OPEN)) == (
        SECOND,
        "class-2",
        ["ClassRevision", "Image"],
    )
    shut = plan(ruled(image=both, class_revision=both), NOW)
    assert (shut.target, shut.reason, shut.begins) == (None, "OutsideMaintenance", OPEN)


def test_two_rollouts_decide_each_about_its_own() -> None:
    found = plan(ruled(image=turn(allowed=False), class_revision=turn(None, "class-2")), OPEN)
    assert brought(found) == (None, "class-2", ["ClassRevision"])


@pytest.mark.parametrize(
    ("image", "present", "reason"),
    [
        (SECOND, SECOND, "RolloutDone"),  # it has it, and the newer one of its channel is another's to bring
        (FIRST, SECOND, "RolloutDone"),  # nobody is brought to an older one
        (THIRD, THIRD, "UpToDate"),
        ("ubuntu-v1.36.3", FIRST, "RolloutDone"),  # an image of another version
        (None, FIRST, "RolloutDone"),
    ],
)
def test_what_a_rollout_does_not_bring_its_channel_does_not_bring_either(
    image: str | None, present: str, reason: str
) -> None:
    about = ruled(image=turn(image), present=Present(present))
    found = plan(about, OPEN)
    assert (found.target, found.choice, found.reason) == (None, None, reason)
    assert reason == "UpToDate" or f"does not bring node image {THIRD} yet" in found.message
    waits = plan(replace(about, ruling=Ruling(image=turn(image, allowed=False))), OPEN)
    assert waits.reason == ("UpToDate" if reason == "UpToDate" else "RolloutPending")


def test_a_class_revision_that_is_not_the_newest_of_kaas_is_not_gone_to() -> None:
    found = plan(ruled(class_revision=turn(None, "class-0"), present=replace(HAS, image=THIRD)), OPEN)
    assert (found.target, found.reason) == (None, "RolloutDone")
    assert "does not bring ClusterClass class-2 yet" in found.message


@pytest.mark.parametrize("field", ["nodeImages", "classRevision"])
def test_a_rollout_brings_nothing_that_its_owner_does_not_take(field: str) -> None:
    both = turn(SECOND, "class-2")
    found = plan(ruled(cluster(updates={field: {"channel": "None"}}), image=both, class_revision=both), OPEN)
    assert brought(found) == (
        (None, "class-2", ["ClassRevision"]) if field == "nodeImages" else (SECOND, None, ["Image"])
    )


def test_a_site_that_names_another_image_has_the_say() -> None:
    where = site(images=[{"version": "v1.36.1", "name": "theirs"}])
    about = replace(subject(None, *KNOWN, where=where), present=Present(FIRST), ruling=Ruling(image=turn()))
    assert plan(about, OPEN).reason == "RolloutDone"
    named = replace(about, ruling=Ruling(image=turn("theirs")))
    assert brought(plan(named, OPEN)) == ("theirs", None, ["Image"])


# --- beside a version ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "has"), [("ubuntu-v1.36.3-2", "ubuntu-v1.36.3-2"), ("ubuntu-v1.35", "ubuntu-v1.36.3-3")]
)
def test_a_version_of_a_rollout_comes_with_the_image_of_the_rollout(image: str, has: str) -> None:
    known = (*KNOWN, NEW, newer("ubuntu-v1.36.3-2", of="v1.36.3"), newer("ubuntu-v1.36.3-3", "2026-12-20", "v1.36.3"))
    said = replace(turn(image), version=version("v1.36.3"))
    found = plan(ruled(None, *known, kubernetes=said, image=said), OPEN)
    assert found.target == version("v1.36.3")
    assert brought(found) == (has, "class-2", ["Patch", "ClassRevision"])


def test_a_version_that_no_rollout_decides_about_does_not_wait_for_an_image() -> None:
    found = plan(ruled(None, *KNOWN, NEW, image=turn(allowed=False)), OPEN)
    assert (found.target, brought(found)[0]) == (version("v1.36.3"), "ubuntu-v1.36.3")


def test_what_has_expired_is_left_whatever_waits() -> None:
    late = turn(SECOND, "class-2", allowed=False)
    about = ruled(None, release("v1.36.1", expires="2027-01-01"), NEW, image=late, class_revision=late)
    found = plan(about, at("2027-02-16 22:30"))
    assert (found.target, found.reason) == (version("v1.36.3"), "Expired")
    assert brought(found) == ("ubuntu-v1.36.3", None, ["Patch"])


def test_a_pinned_cluster_is_told_of_the_image_that_waits() -> None:
    found = plan(ruled(cluster("v1.36.1"), image=turn(allowed=False), present=Present(FIRST)), OPEN)
    assert (found.reason, brought(found)[0]) == ("RolloutPending", SECOND)
    assert plan(ruled(cluster("v1.36.1"), image=turn(THIRD), present=Present(THIRD)), OPEN).reason == "Pinned"


def test_while_a_release_cannot_be_read_no_image_comes_and_a_class_revision_does() -> None:
    unread = (UnreadRelease("bad", version("v1.36.1"), "Release bad cannot be read"),)
    both = turn(SECOND, "class-2")
    found = plan(replace(ruled(image=both, class_revision=both), unread=unread), OPEN)
    assert brought(found) == (None, "class-2", ["ClassRevision"])
    waits = replace(ruled(image=turn(allowed=False), present=Present(FIRST)), unread=unread)
    assert plan(waits, OPEN).reason == "ReleaseUnreadable"


def test_others_of_the_site_do_not_put_off_what_a_rollout_has_let_go() -> None:
    line = Line(Index(), UpdateMetrics(CollectorRegistry()))
    where = site(updates={"maxConcurrent": 1})
    about = replace(ruled(image=turn(), present=Present(FIRST)), site=where)
    busy = {"steps": [{"name": "ControlPlane", "state": "Running", "since": OPEN.isoformat()}]}
    line.seen(("tenants", "other"), about, busy, OPEN)
    assert line.admit(("tenants", "team"), about, plan(about, OPEN), OPEN).target is not None
    both = replace(about, present=HAS)  # the class revision is due by itself, and leads
    assert line.admit(("tenants", "team"), both, plan(both, OPEN), OPEN).target is not None
    free = replace(about, ruling=Ruling())
    assert line.admit(("tenants", "team"), free, plan(free, OPEN), OPEN).reason == "SiteBusy"


# --- what people are told -----------------------------------------------------------------------------------------


def looked_at(**ruling: Turn) -> Subject:
    status = {"observedGeneration": 1, "conditions": [READY], "update": {"reason": "RolloutPending", "message": WORDS}}
    return ruled(cluster(status=status), present=Present(FIRST), **ruling)


@pytest.mark.parametrize(("reason", "state"), [("RolloutPending", State.WAITS), ("RolloutPaused", State.BLOCKED)])
def test_explain_names_the_rollout_that_the_image_waits_for(reason: str, state: State) -> None:
    waits = replace(turn(allowed=False), reason=reason)
    other = Turn("versions", "all", version("v1.36.1"), True, "RolloutReleased", "its turn has come")
    found = explain(looked_at(kubernetes=other, image=waits), NOW)
    assert (found.state, found.reason, found.rollout, found.answer) == (state, "RolloutPending", "fleet", WORDS)
    chain = [b.message for b in found.because]
    assert f"Rollout fleet brings node image {SECOND} in its stage broad, {FIRST} is in use" in chain
    assert found.ways[0].command == "kaas rollout status fleet"
    assert not any("set spec.version" in way.message for way in found.ways)


def test_explain_names_the_rollout_that_keeps_a_newer_image() -> None:
    other = Turn("versions", "all", version("v1.36.1"), True, "RolloutReleased", "its turn has come")
    found = explain(looked_at(kubernetes=other, image=turn(FIRST)), NOW)
    assert (found.state, found.reason) == (State.CURRENT, "RolloutDone")
    assert found.answer.startswith(f"Rollout fleet decides about it, and does not bring node image {THIRD} yet")
    assert [way.command for way in found.ways] == ["kaas rollout status fleet"]


def test_nothing_is_foretold_of_what_waits_for_a_person() -> None:
    late = turn(SECOND, "class-2", allowed=False)
    assert forecast(ruled(image=late, class_revision=late), NOW) == ()
    (event,) = forecast(ruled(image=turn(SECOND), class_revision=late), NOW)
    assert (event.at, event.what, event.changes) == (OPEN, f"node image {SECOND}", (Change.IMAGE,))


def test_what_is_kept_is_told_beside_what_comes() -> None:
    late = replace(turn(SECOND, "class-2", allowed=False), version=version("v1.36.3"))
    about = ruled(None, *KNOWN, NEW, kubernetes=late, image=late, class_revision=late)
    assert kept(about, NOW) == {WORDS: f"v1.36.3, ClusterClass class-2, node image {SECOND}"}
    assert kept(replace(about, ruling=Ruling(image=turn(SECOND, allowed=False))), NOW) == {
        WORDS: f"node image {SECOND}"
    }
    assert kept(ruled(image=turn(THIRD)), NOW) == {}


def test_kinds_are_in_the_order_in_which_they_are_told() -> None:
    first = turn()
    assert [Ruling(*(first if k is kind else None for k in Kind)).first for kind in Kind] == [first] * 3
    assert Ruling(image=first).of(Change.IMAGE) is first
    assert Ruling(image=first).of(Change.CERTIFICATES) is None

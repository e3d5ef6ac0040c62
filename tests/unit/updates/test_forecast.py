"""What is foretold of one Cluster: a table of stories, each what will happen when, and what it brings."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from kaas.api.cluster import Cluster
from kaas.api.constants import ANNOTATION_UPDATE_POOLS
from kaas.api.release import Release
from kaas.updates.expiry import Announced
from kaas.updates.facts import Aims, Change, Held, Ruling, Run, Turn
from kaas.updates.forecast import forecast
from kaas.updates.standing import Obstacle, Present, Standing
from kaas.updates.subject import Subject
from tests.unit.updates.subjects import (
    NOW,
    TUESDAYS,
    at,
    cluster,
    raw_cluster,
    raw_release,
    release,
    site,
    subject,
    version,
)

MINORS = {"kubernetes": "Minor"}
OLD, NEW = release("v1.36.1"), release("v1.36.3")
Line = tuple[str, str, str]
"""Day and hour, kind, and what it brings, or is about."""


def image(name: str, date: str) -> Release:
    raw = raw_release("v1.36.1", date)
    return Release.model_validate({**raw, "metadata": {"name": name}, "spec": {**raw["spec"], "image": name}})


@dataclass(frozen=True)
class Story:
    """A Cluster, and what is foretold of it."""

    releases: tuple[Release, ...]
    events: list[Line]
    asked: str = "1.36"
    updates: dict[str, Any] = field(default_factory=dict)
    exclusions: tuple[dict[str, Any], ...] = ()
    present: Present = Present()  # noqa: RUF009 - it is frozen
    standing: Standing = Standing()  # noqa: RUF009 - it is frozen
    turn: Turn | None = None
    site: dict[str, Any] = field(default_factory=dict)
    running: str = "v1.36.1"


def exclusion(since: str, until: str, scope: str = "All") -> dict[str, Any]:
    return {"from": f"{since}T00:00:00Z", "until": f"{until}T00:00:00Z", "scope": scope, "reason": "year's end"}


UNDER_WAY = Run(Aims(version("v1.36.3"), (Change.PATCH,), "ubuntu-v1.36.3"), NOW)
HELD = replace(UNDER_WAY, held=Held(at("2027-01-05 22:00"), "the window closed: pool cpu waits", ("cpu",)))
ALL = Present("ubuntu-v1.36.1", None, "one", "two", NOW - timedelta(days=4), NOW + timedelta(days=62))

STORIES = {
    "nothing is to come": Story((OLD,), []),
    "a patch in the next window": Story((OLD, NEW), [("2027-01-05 22", "Update", "v1.36.3")]),
    "a patch, and one that is not in the channel yet": Story(
        (OLD, NEW, release("v1.36.4", "2027-02-02")),
        [("2027-01-05 22", "Update", "v1.36.3"), ("2027-02-02 22", "Update", "v1.36.4")],
    ),
    "a patch before the minor, which waits for the next window": Story(
        (OLD, NEW, release("v1.37.0")),
        [("2027-01-05 22", "Update", "v1.36.3"), ("2027-01-12 22", "Update", "v1.37.0")],
        updates=MINORS,
    ),
    "an exclusion": Story(
        (OLD, NEW), [("2027-01-19 22", "Update", "v1.36.3")], exclusions=(exclusion("2027-01-01", "2027-01-15"),)
    ),
    "a patch that comes while minors are kept out": Story(
        (OLD, release("v1.37.0"), release("v1.36.2", "2027-01-20")),
        [("2027-01-20 00", "Update", "v1.36.2"), ("2027-02-16 22", "Update", "v1.37.0")],
        updates=MINORS,
        exclusions=(exclusion("2027-01-01", "2027-02-15", "Minor"),),
    ),
    "a pinned Cluster whose version ends": Story(
        (release("v1.36.1", expires="2027-02-20"), NEW),
        [
            ("2027-01-21 00", "Warning", "v1.36.1"),
            ("2027-02-13 00", "Warning", "v1.36.1"),
            ("2027-02-19 00", "Warning", "v1.36.1"),
            ("2027-02-20 00", "Expiry", "v1.36.1"),
            ("2027-02-23 22", "Update", "v1.36.3"),
        ],
        asked="v1.36.1",
    ),
    "an image, which an exact version does not keep away": Story(
        (OLD, image("newer", "2027-01-10")),
        [("2027-01-12 22", "Update", "node image newer")],
        asked="v1.36.1",
        present=Present("ubuntu-v1.36.1"),
    ),
    "an image that comes with the patch": Story(
        (OLD, NEW, image("newer", "2027-01-01")),
        [("2027-01-05 22", "Update", "v1.36.3")],
        present=Present("ubuntu-v1.36.1"),
    ),
    "a class revision after a week": Story(
        (OLD,),
        [("2027-01-12 22", "Update", "ClusterClass two")],
        present=Present(class_revision="one", newest_revision="two", newest_revision_since=NOW),
    ),
    "certificates": Story(
        (OLD,),
        [("2027-01-12 22", "Update", "the renewal of certificates")],
        present=Present(certificates_end=NOW + timedelta(days=65)),
    ),
    "certificates that no window is left for": Story(
        (OLD,),
        [("2027-02-22 12", "Update", "the renewal of certificates")],
        exclusions=(exclusion("2027-01-01", "2027-12-01", "Nodes"),),
        present=Present(certificates_end=NOW + timedelta(days=64)),
    ),
    "everything, each at its time, and what is due at once together": Story(
        (OLD, image("newer", "2027-01-01"), release("v1.36.2", "2027-01-14")),
        [
            ("2027-01-05 22", "Update", "node image newer"),
            ("2027-01-12 22", "Update", "ClusterClass two"),
            ("2027-01-19 22", "Update", "v1.36.2"),
        ],
        present=ALL,
    ),
    "one that is under way is no event, what follows it is": Story(
        (OLD, NEW, release("v1.36.4", "2027-02-02"), image("newer", "2027-01-01")),
        [("2027-02-02 22", "Update", "v1.36.4")],
        standing=Standing(version("v1.36.3"), NOW, "Updating", run=UNDER_WAY),
        present=Present("ubuntu-v1.36.1"),
    ),
    "one that has stopped": Story(
        (OLD, NEW, release("v1.36.4", "2027-02-02")),
        [],
        standing=Standing(version("v1.36.3"), NOW, "Updating", run=replace(UNDER_WAY, stopped="no node came")),
    ),
    "one whose window has closed goes on in the next, and what follows it comes then": Story(
        (OLD, NEW, release("v1.36.4", "2027-01-02"), release("v1.36.5", "2027-02-02")),
        [
            ("2027-01-05 22", "Update", "v1.36.3"),
            ("2027-01-05 22", "Update", "v1.36.4"),
            ("2027-02-02 22", "Update", "v1.36.5"),
        ],
        standing=Standing(version("v1.36.3"), NOW - timedelta(days=3), "Updating", run=HELD),
    ),
    "one whose window has closed, and that waits for a person after that": Story(
        (OLD, NEW, release("v1.36.4", "2027-02-02")),
        [("2027-01-05 22", "Update", "v1.36.3")],
        standing=Standing(version("v1.36.3"), NOW, "Updating", run=replace(HELD, by_person="pool dgx is Manual")),
    ),
    "one that waits for a person": Story(
        (OLD, NEW, release("v1.36.4", "2027-02-02")),
        [],
        standing=Standing(version("v1.36.3"), NOW, "Updating", run=replace(UNDER_WAY, by_person="updates are paused")),
    ),
    "one whose window has closed, and no other is in sight": Story(
        (OLD, NEW, release("v1.36.4", "2027-02-02")),
        [],
        standing=Standing(version("v1.36.3"), NOW, "Updating", run=replace(UNDER_WAY, held=Held(None, "none"))),
    ),
    "what expires while an update waits for a person": Story(
        (release("v1.36.3", expires="2027-02-05"), release("v1.36.4", "2026-12-02")),
        [
            ("2027-01-06 00", "Warning", "v1.36.3"),
            ("2027-01-29 00", "Warning", "v1.36.3"),
            ("2027-02-04 00", "Warning", "v1.36.3"),
            ("2027-02-05 00", "Expiry", "v1.36.3"),
        ],
        running="v1.36.3",
        standing=Standing(version("v1.36.3"), NOW, "Updating", run=replace(UNDER_WAY, by_person="updates are paused")),
    ),
    "the turn of a Rollout has not come": Story(
        (OLD, NEW), [], turn=Turn("spring", "all", version("v1.36.3"), False, "StageWaits", "canaries soak", None)
    ),
    "while a Rollout is waited for, certificates are renewed": Story(
        (OLD, NEW),
        [("2027-01-12 22", "Update", "the renewal of certificates")],
        turn=Turn("spring", "all", version("v1.36.3"), False, "StageWaits", "canaries soak", NOW + timedelta(days=1)),
        present=Present(certificates_end=NOW + timedelta(days=65)),
    ),
    "what the Site does not support": Story(
        (OLD, release("v1.37.0")), [], updates=MINORS, site={"updates": {"maxVersion": "1.36"}}
    ),
    "a warning that was given before": Story(
        (release("v1.36.1", expires="2027-01-20"), NEW),
        [
            ("2027-01-13 00", "Warning", "v1.36.1"),
            ("2027-01-19 00", "Warning", "v1.36.1"),
            ("2027-01-20 00", "Expiry", "v1.36.1"),
            ("2027-01-20 00", "Update", "v1.36.3"),
        ],
        asked="v1.36.1",
        standing=Standing(announced=Announced(version("v1.36.1"), at("2026-12-21 00:00"), 30)),
    ),
}


def told(story: Story) -> Subject:
    maintenance = {"windows": [TUESDAYS], "exclusions": list(story.exclusions)}
    of = cluster(story.asked, updates=story.updates, maintenance=maintenance)
    found = subject(of, *story.releases, running=story.running, where=site(**story.site), standing=story.standing)
    return replace(found, present=story.present, ruling=Ruling(kubernetes=story.turn))


@pytest.mark.parametrize("name", STORIES)
def test_stories(name: str) -> None:
    story = STORIES[name]
    found = forecast(told(story), NOW)
    assert [(f"{e.at:%Y-%m-%d %H}", e.kind, e.what or str(e.version)) for e in found] == story.events
    assert all(e.reason or e.at == NOW for e in found if e.kind == "Update")
    assert all(bool(e.changes) is (e.kind == "Update") for e in found)


def test_why_not_earlier() -> None:
    (event,) = forecast(told(STORIES["an exclusion"]), NOW)
    assert event.reason.startswith(
        "v1.36.3 is begun 2027-01-19 22:00 UTC: an exclusion keeps changes out until 2027-01-15"
    )
    assert (event.until, event.changes) == (at("2027-01-20 02:00"), (Change.PATCH,))


def test_what_goes_on_and_until_when() -> None:
    story = STORIES["one whose window has closed goes on in the next, and what follows it comes then"]
    first, second, *_ = forecast(told(story), NOW)
    assert first.message == "the update to v1.36.3 goes on: pool cpu"
    assert (first.until, first.reason) == (at("2027-01-06 02:00"), "the window closed: pool cpu waits")
    assert second.reason == "the update to v1.36.3 goes on first"


def test_after_an_update_that_waits_for_a_person_no_other_comes() -> None:
    story = STORIES["a patch, and one that is not in the channel yet"]
    pools = [{"name": "dgx", "flavor": "cpu-4", "update": {"strategy": "Manual"}}]

    def manual(**annotations: str) -> Subject:
        raw = raw_cluster(annotations=annotations)
        of = told(story)
        return replace(of, cluster=Cluster.model_validate({**raw, "spec": {**raw["spec"], "nodePools": pools}}))

    (only,) = forecast(manual(), NOW)
    assert only.message.endswith("; then it waits for a person: pool dgx has the strategy Manual")
    assert len(forecast(manual(**{ANNOTATION_UPDATE_POOLS: "cpu, dgx"}), NOW)) == 2


def test_an_obstacle_is_supposed_to_be_gone_by_then() -> None:
    ill = Standing(obstacle=Obstacle("NotReady", "the Cluster is not Ready"))
    of = replace(told(STORIES["a patch in the next window"]), standing=ill)
    assert [e.at for e in forecast(of, NOW)] == [at("2027-01-05 22:00")]
    (now,) = forecast(of, at("2027-01-05 22:30"))
    assert (now.at, now.reason) == (at("2027-01-05 22:30"), "not yet begun: the Cluster is not Ready")


@pytest.mark.parametrize("days", [1, 10, 365])
def test_as_far_as_is_asked(days: int) -> None:
    weekly = tuple(
        release(f"v1.36.{patch}", f"2027-{1 + patch // 4:02}-{1 + patch % 4 * 7:02}") for patch in range(2, 40)
    )
    story = Story((OLD, *weekly), [])
    found = forecast(told(story), NOW, days)
    assert all(e.at <= NOW + timedelta(days=days) for e in found)
    assert [e.at for e in found] == sorted(e.at for e in found)
    assert len(found) >= min((days - 8) // 7, len(weekly))


def test_certificates_are_renewed_year_after_year() -> None:
    of = replace(told(STORIES["nothing is to come"]), present=Present(certificates_end=NOW + timedelta(days=65)))
    times: list[datetime] = [e.at for e in forecast(of, NOW, days=365 * 3)]
    assert len(times) == 4
    assert all(timedelta(days=290) < later - one < timedelta(days=320) for one, later in itertools.pairwise(times))

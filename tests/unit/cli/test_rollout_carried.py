"""`kaas rollout`, `kaas explain` and `kaas next` about node images and class revisions that wait for their turn.

The statuses are the real planner's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kaas.api.cluster import Cluster
from kaas.api.release import Release
from kaas.api.rollout import Rollout
from kaas.cli import rollout_show
from kaas.cli.explain_view import Asked, explained
from kaas.cli.next_view import Fleet, rows
from kaas.updates.rollouts.known_images import KnownImages
from kaas.updates.rollouts.member import Member
from kaas.updates.rollouts.planner import decide
from kaas.updates.rollouts.scene import Known
from tests.unit.cli.test_rollout import cluster, raw_rollout, text
from tests.unit.updates.subjects import NOW, Object, raw_release, release, site

NEWER, CLASS = "ubuntu-v1.36.1-2", "kaas-dev-2"
BY_HAND: Object = {"image": NEWER, "classRevision": CLASS}


def newer() -> Release:
    raw = raw_release("v1.36.1", "2026-12-20")
    return Release.model_validate({**raw, "metadata": {"name": NEWER}, "spec": {**raw["spec"], "image": NEWER}})


RELEASES = [release("v1.36.1"), newer()]


def of(name: str, image: str = "ubuntu-v1.36.1", asked: str = "1.36", **updates: Any) -> Cluster:
    """A Cluster with an older image, and an older class revision."""
    raw = cluster(name).to_json()
    newest = {"name": CLASS, "since": "2026-12-01T00:00:00Z"}
    raw["status"] |= {"image": image, "classRevision": "kaas-dev-1", "newestClassRevision": newest}
    raw["spec"] |= {"version": asked, "updates": updates}
    return Cluster.model_validate(raw)


def looked_at(clusters: Sequence[Cluster], **spec: Any) -> Rollout:
    raw = raw_rollout(**spec)
    raw["spec"].pop("version")
    found, known = Rollout.model_validate(raw), Known(images=KnownImages(RELEASES))
    for _ in range(3):
        members = [Member.of(c) for c in clusters]
        found = found.model_copy(update={"status": decide(found, members, NOW, known).status})
    return found


def test_a_list_says_what_is_carried() -> None:
    by_channel = looked_at([], channel="Regular", updates=["NodeImages", "ClassRevision"])
    shown = text(rollout_show.table([looked_at([of("one")], **BY_HAND), by_channel]))
    assert f"fleet node image {NEWER}, ClusterClass {CLASS} Running canary 0 of 1" in shown
    assert "fleet newest of Regular (NodeImages, ClassRevision) NotStarted" in shown


def test_one_that_has_not_been_looked_at_says_what_its_spec_says() -> None:
    raw = raw_rollout(**BY_HAND)
    assert f"fleet v1.36.3, node image {NEWER}, ClusterClass {CLASS} NotStarted" in text(
        rollout_show.table([Rollout.model_validate(raw)])
    )


def test_a_status_says_what_a_member_does_not_take() -> None:
    shown = text(rollout_show.story(looked_at([of("one", nodeImages={"channel": "None"})], **BY_HAND), NOW))
    assert shown.splitlines()[0].endswith(f"fleet Running node image {NEWER}, ClusterClass {CLASS} 0 of 1")
    assert "tenants/one Pending north without NodeImages (NodeImagesNone) it may begin" in shown


def test_a_status_says_of_a_channel_what_of_it() -> None:
    found = looked_at([of("one")], channel="Regular", updates=["NodeImages"])
    assert "run 1 of channel Regular (NodeImages)" in text(rollout_show.story(found, NOW))


@pytest.mark.parametrize("asked", ["1.36", "v1.36.1"])
def test_explain_tells_what_waits_for_its_stage(asked: str) -> None:
    clusters = [of("one"), of("two", asked=asked)]
    found = explained(Asked(clusters[1], site(), None, RELEASES, [looked_at(clusters, **BY_HAND)]), NOW)
    assert (found.state, found.reason, found.rollout) == ("Waits", "RolloutPending", "fleet")
    assert found.answer.startswith("Rollout fleet, stage broad: its stage has not started: stage canary: 0 of 1")
    said = " ".join(link.message for link in found.because)
    assert f"Rollout fleet brings the ClusterClass {CLASS} in its stage broad, kaas-dev-1 is in use" in said
    assert f"with it: Rollout fleet brings node image {NEWER} in its stage broad, ubuntu-v1.36.1 is in use" in said
    assert [way.command for way in found.ways] == ["kaas rollout status fleet"]


def test_explain_of_a_cluster_whose_turn_has_come() -> None:
    clusters = [of("one"), of("two")]
    found = explained(Asked(clusters[0], site(), None, RELEASES, [looked_at(clusters, **BY_HAND)]), NOW)
    assert (found.state, found.reason) == ("Waits", "OutsideMaintenance")
    assert found.answer.startswith(f"ClusterClass {CLASS} is begun")


def test_next_foretells_nothing_of_what_waits_and_says_for_what() -> None:
    clusters = [of("one"), of("two")]
    fleet = Fleet(clusters, {"north": site()}, RELEASES, {}, [looked_at(clusters, **BY_HAND)])
    first, second = rows(fleet, NOW, 90)
    assert (first.cluster, first.what, first.changes) == ("one", f"ClusterClass {CLASS}", ("ClassRevision", "Image"))
    assert (second.cluster, second.kind, second.reason) == ("two", "Nothing", "RolloutPending")
    assert second.message.startswith("Rollout fleet, stage broad: ")


def test_what_no_rollout_carries_comes_by_its_own_channel() -> None:
    clusters = [of("one"), of("two")]
    fleet = Fleet(clusters, {"north": site()}, RELEASES, {}, [looked_at(clusters, image=NEWER)])
    one, two, waits = rows(fleet, NOW, 20)
    assert (one.changes, two.changes) == (("ClassRevision", "Image"), ("ClassRevision",))
    assert (waits.cluster, waits.at, waits.reason) == ("two", None, "RolloutPending")
    assert waits.message.startswith(f"node image {NEWER} waits: Rollout fleet, stage broad: ")

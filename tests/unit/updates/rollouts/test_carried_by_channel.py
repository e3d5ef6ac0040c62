"""Node images and class revisions that go through a fleet by a channel: when a run begins, and with what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from kaas.api.rollout_carried import Kind
from kaas.api.rollout_status import State
from kaas.api.versions import KubernetesVersion
from kaas.updates.rollouts.turns import Turns
from tests.unit.updates.rollouts.carrying import ALL, CLASS, NEWER, RELEASES, fleet, has, image, left_out, south
from tests.unit.updates.rollouts.fleet import DAY, HOUR, NEW, NOW, OLD, FakeCluster, Fleet, clusters
from tests.unit.updates.subjects import release


def by_channel(updates: list[str], some: list[FakeCluster] | None = None, **spec: Any) -> Fleet:
    return fleet(some if some is not None else clusters("prod", 2), channel="Regular", updates=updates, **spec)


def test_a_channel_brings_all_of_its_kinds_in_one_run() -> None:
    found = by_channel(ALL)
    found.settle()
    assert found.status.brings == f"{NEW}, 2 node images, ClusterClass {CLASS}"
    found.until_state(State.COMPLETED)
    assert {has(found, c.name) for c in found.clusters} == {(str(NEW), f"ubuntu-{NEW}", CLASS)}
    assert (found.status.run, found.status.history) == (1, ())


def test_a_newer_image_is_another_run_with_the_same_version() -> None:
    found = by_channel(ALL)
    found.settle()
    found.until_state(State.COMPLETED)
    found.releases = [*RELEASES, image(f"ubuntu-{NEW}-2", NEW)]
    found.settle()
    assert (found.status.run, found.status.version) == (2, str(NEW))
    found.until_state(State.COMPLETED)
    assert {c.image for c in found.clusters} == {f"ubuntu-{NEW}-2"}
    (before,) = found.status.history
    assert (before.brings, before.class_revisions) == (f"{NEW}, 2 node images, ClusterClass {CLASS}", (CLASS,))


def test_what_nobody_lacks_is_no_run() -> None:
    found = by_channel(["NodeImages"], clusters("prod", 2, image=NEWER))
    found.settle()
    found.until_state(State.COMPLETED)
    found.releases = [*RELEASES, image(f"ubuntu-{NEW}-2", NEW)]  # of a version that nobody runs
    found.go(DAY)
    assert found.status.run == 1
    found.cluster("prod-0").image = "lost and found"
    found.go(DAY)
    assert found.status.run == 1, "the last run brought what is lacking: a person has it tried again"


def test_an_image_that_comes_within_a_run_waits_for_the_next() -> None:
    found = by_channel(["NodeImages"], at_once=1)
    found.settle()
    found.releases = [*RELEASES, image(f"ubuntu-{OLD}-3", regular="2026-12-20")]
    found.go(HOUR, times=2)
    assert {c.image for c in found.clusters} == {NEWER}
    found.until_state(State.COMPLETED)
    found.go(DAY + HOUR, times=3)
    assert (found.status.run, {c.image for c in found.clusters}) == (2, {f"ubuntu-{OLD}-3"})


def test_an_edited_site_is_a_run_of_its_clusters() -> None:
    some = [FakeCluster("north", {"stage": "prod"}), FakeCluster("south", {"stage": "prod"}, site="south")]
    found = by_channel(["NodeImages"], some)
    found.sites = [south("theirs")]
    found.settle()
    found.until_state(State.COMPLETED)
    assert {c.name: c.image for c in some} == {"north": NEWER, "south": "theirs"}
    found.sites = [south("theirs-2")]
    found.go(DAY, times=2)
    assert (found.status.run, {c.name: c.image for c in some}) == (2, {"north": NEWER, "south": "theirs-2"})


def test_a_site_that_is_edited_within_a_run_waits_for_the_next() -> None:
    some = clusters("prod", 2, site="south")
    found = by_channel(["NodeImages"], some, at_once=1)
    found.sites = [south("theirs")]
    found.settle()
    found.sites = [south("theirs-2")]
    found.go(HOUR, times=2)
    (before,) = found.status.history
    assert (before.counts.completed, before.counts.skipped, before.images) == (1, 1, ("theirs",))
    found.go(DAY, times=3)
    assert {c.image for c in some} == {"theirs-2"}


def test_a_class_revision_comes_when_it_has_been_there_for_as_long_as_the_channel_waits() -> None:
    found = by_channel(["ClassRevision"])
    for cluster in found.clusters:
        cluster.newest_since = NOW
    found.settle()
    assert (found.status.state, found.last and found.last.until) == (State.NOT_STARTED, NOW + 7 * DAY)
    found.go(7 * DAY)
    found.until_state(State.COMPLETED)
    assert {c.class_revision for c in found.clusters} == {CLASS}


def test_while_kaas_is_upgraded_no_cluster_is_left_out_that_has_not_told_of_it() -> None:
    found = fleet(clusters("prod", 3), channel="Rapid", updates=["ClassRevision"])
    for cluster in found.clusters:
        cluster.newest_revision = cluster.class_revision = "kaas-dev-1"
    found.settle()
    found.until_state(State.COMPLETED)
    for number, cluster in enumerate(found.clusters):
        found.now += timedelta(minutes=1)
        cluster.newest_revision, cluster.newest_since = CLASS, found.now
        found.settle()
        assert (number, found.status.run) == (number, 1)
    found.go(timedelta(minutes=15))
    assert (found.status.run, found.status.class_revisions) == (2, (CLASS,))
    found.until_state(State.COMPLETED)
    assert {c.class_revision for c in found.clusters} == {CLASS}


def test_two_providers_have_each_their_own() -> None:
    other = FakeCluster(
        "other", {"stage": "prod"}, class_revision="kaas-openstack-1", newest_revision="kaas-openstack-2"
    )
    found = by_channel(["ClassRevision"], [other, *clusters("prod", 1)])
    found.settle()
    assert found.status.class_revisions == (CLASS, "kaas-openstack-2")
    found.until_state(State.COMPLETED)
    assert {c.name: c.class_revision for c in found.clusters} == {"other": "kaas-openstack-2", "prod-0": CLASS}


def test_a_newer_kaas_within_a_run_is_for_the_next() -> None:
    found = by_channel(["ClassRevision"], at_once=1)
    found.settle()
    for cluster in found.clusters:
        cluster.newest_revision, cluster.newest_since = "kaas-dev-3", found.now - 7 * DAY
    found.go(HOUR)
    (before,) = found.status.history
    assert (before.counts.completed, before.counts.skipped, before.class_revisions) == (1, 1, (CLASS,))
    assert found.status.class_revisions == ("kaas-dev-3",)
    found.go(DAY, times=3)
    assert {c.class_revision for c in found.clusters} == {"kaas-dev-3"}


def test_what_another_rollout_decides_about_is_no_news() -> None:
    found = by_channel(["Kubernetes", "NodeImages"], clusters("prod", 2, running=NEW, image=f"ubuntu-{NEW}"))
    found.settle()
    found.until_state(State.COMPLETED)
    found.releases = [*RELEASES, image(f"ubuntu-{NEW}-2", NEW)]
    found.taken = {c.key: {Kind.NODE_IMAGES: "images"} for c in found.clusters}
    found.go(DAY)
    assert found.status.run == 1
    found.taken.clear()
    found.go(DAY)
    assert found.status.run == 2


def test_who_was_through_and_runs_another_version_by_now_waits_for_the_end_of_the_run() -> None:
    some = [FakeCluster("done", {"stage": "prod"}, image=NEWER), *clusters("prod", 1, takes=3 * HOUR)]
    found = by_channel(["NodeImages"], [*some, FakeCluster("new", {"stage": "prod"}, running=NEW, image="theirs")])
    found.settle()
    done = found.cluster("done")
    assert found.states()["done"] == "Completed"
    done.running, done.image = NEW, "its own"
    turn = found.turn("done")
    assert turn is not None
    assert (turn.allowed, turn.image) == (True, None)
    found.until_state(State.COMPLETED)
    found.settle()
    turn = found.turn("done")
    assert turn is not None
    assert (turn.allowed, turn.image) == (True, f"ubuntu-{NEW}")


def test_a_minor_keeps_images_of_others_out() -> None:
    some = [FakeCluster("old", {"stage": "prod"}), FakeCluster("new", {"stage": "prod"}, running=NEW)]
    some[1].running, some[1].image = KubernetesVersion(37, 0), "ubuntu-v1.37.0"
    found = by_channel(["NodeImages"], some, minor="1.36")
    found.releases = [*RELEASES, release("v1.37.0"), image("ubuntu-v1.37.0-2", KubernetesVersion(37, 0))]
    found.settle()
    assert [(i.version, i.image) for i in found.status.images] == [(str(OLD), NEWER)]
    assert left_out(found, "new") == {"NodeImages": "NoImage"}


def test_more_of_the_channel_is_held_until_a_run_brings_it() -> None:
    found = by_channel(["Kubernetes"])
    found.settle()
    found.until_state(State.COMPLETED)
    found.change(updates=ALL)
    ruling = Turns([found.rollout]).of_member(found.cluster("prod-0").member(found.now), found.now)
    assert ruling.class_revision is not None
    assert ruling.class_revision.class_revision is None
    found.go(DAY, times=2)
    assert (found.status.run, has(found, "prod-0")[2]) == (2, CLASS)

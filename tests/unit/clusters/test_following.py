"""A Cluster follows the version that its updates say, as far as its owner lets it, and never goes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.api.cluster import Cluster
from kaas.api.release import Release
from kaas.api.versions import KubernetesVersion, matches
from kaas.clusters.plan import plan
from kaas.clusters.snapshot import Snapshot
from kaas.clusters.target import ReleaseMissingError, awaited, choose_version, target
from tests.unit.clusters.builders import (
    Object,
    aim,
    cluster,
    full_cloud,
    raw_cluster,
    raw_release,
    raw_site,
    release,
    settled,
    snapshot,
)
from tests.unit.clusters.fake_world import World

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
VERSIONS = ("v1.35.6", "v1.36.1", "v1.36.3", "v1.36.4", "v1.37.0", "v1.37.2", "v1.38.0")
RELEASES = tuple(release(v) for v in VERSIONS)
MINOR = {"kubernetes": "Minor"}


def update(target: str | None = None, reason: str = "Updating") -> Object:
    return {"update": {"reason": reason, **({"target": target} if target else {})}}


@pytest.mark.parametrize(
    ("asked", "updates", "current", "said", "goes_to"),
    [
        # Within what the owner says.
        ("1.36", {}, "v1.36.1", update("v1.36.3"), "v1.36.3"),
        ("1.36", MINOR, "v1.36.1", update("v1.36.3"), "v1.36.3"),
        ("1.36", MINOR, "v1.36.4", update("v1.37.0"), "v1.37.0"),
        ("1.35", MINOR, "v1.36.4", update("v1.37.0"), "v1.37.0"),
        ("1.35", {}, "v1.36.1", update("v1.36.3"), "v1.36.3"),  # brought to 1.36 when 1.35 had expired
        # Beyond it.
        ("1.36", {}, "v1.36.1", update("v1.37.0"), "v1.36.1"),
        ("1.36", {"kubernetes": "None"}, "v1.36.1", update("v1.36.3"), "v1.36.1"),
        ("1.36", {"channel": "None"}, "v1.36.1", update("v1.36.3"), "v1.36.1"),
        ("v1.36.1", {}, "v1.36.1", update("v1.36.3"), "v1.36.1"),
        # Unless what runs has expired.
        ("1.36", {}, "v1.36.1", update("v1.37.0", "Expired"), "v1.37.0"),
        ("1.36", {"kubernetes": "None"}, "v1.36.1", update("v1.36.3", "Expired"), "v1.36.3"),
        ("1.36", {"channel": "None"}, "v1.36.1", update("v1.36.3", "Expired"), "v1.36.3"),
        ("v1.36.1", {}, "v1.36.1", update("v1.36.3", "Expired"), "v1.36.3"),
        ("v1.35.6", {}, "v1.36.1", update("v1.36.3", "Expired"), "v1.36.3"),
        # Never what makes no sense.
        ("1.36", {}, "v1.36.3", update("v1.36.1"), "v1.36.3"),
        ("1.36", {}, "v1.36.3", update("v1.36.3"), "v1.36.3"),
        ("1.36", {}, "v1.36.1", update("v1.36.2"), "v1.36.1"),  # no Release
        ("1.36", MINOR, "v1.36.4", update("v1.38.0"), "v1.36.4"),
        ("v1.36.1", {}, "v1.36.1", update("v1.38.0", "Expired"), "v1.36.1"),
        ("1.36", {}, "v1.36.1", update("nonsense"), "v1.36.1"),
        ("1.36", {}, "v1.36.1", update(), "v1.36.1"),
        ("1.36", {}, "v1.36.1", None, "v1.36.1"),
        # A person's own word, as long as there was no control plane.
        ("v1.36.4", {}, "v1.36.1", update("v1.36.3"), "v1.36.4"),
        ("1.37", MINOR, "v1.36.1", update("v1.36.3"), "v1.37.2"),
        ("v1.37.0", {}, "v1.36.1", update("v1.36.3", "Expired"), "v1.37.0"),
        ("1.36", {}, None, update("v1.36.1"), "v1.36.4"),
    ],
)
def test_target(asked: str, updates: Object, current: str | None, said: Object | None, goes_to: str) -> None:
    subject = cluster(version=asked, updates=updates, status=said)
    assert choose_version(subject, RELEASES, current) == goes_to


@pytest.mark.parametrize(
    ("asked", "updates", "current", "said"),
    [
        ("1.36", MINOR, "v1.38.0", None),
        ("1.36", MINOR, "v1.38.9", None),  # its Release is gone
        ("1.35", {}, "v1.36.1", update(None, "UpToDate")),
        ("v1.36.1", {}, "v1.36.3", update(None, "AheadOfVersion")),
        ("v1.36.1", {}, "v1.37.0", update("v1.37.0", "Expired")),
        ("v1.36.1", {}, "v1.37.0", update("v1.37.0", "Pinned")),
    ],
)
def test_what_was_raised_is_not_brought_back(asked: str, updates: Object, current: str, said: Object | None) -> None:
    subject = cluster(version=asked, updates=updates, status=said)
    assert choose_version(subject, RELEASES, current) == current


def test_without_word_of_updates_the_owner_alone_counts() -> None:
    """Cluster API refuses to go back, and its refusal is told."""
    assert choose_version(cluster(version="v1.36.1"), RELEASES, "v1.36.3") == "v1.36.1"
    assert choose_version(cluster(version="v1.36.1", status=update(None, "Pinned")), RELEASES, "v1.36.3") == "v1.36.1"
    assert choose_version(cluster(version="1.36"), RELEASES, "v1.37.0") == "v1.36.4"


@pytest.mark.parametrize(
    ("asked", "updates", "current", "said", "goes_to"),
    [
        ("v1.36.4", {}, "v1.36.1", update(), "v1.36.1"),
        ("v1.36.4", {}, "v1.36.1", update("v1.36.3"), "v1.36.1"),
        ("v1.36.4", {}, "v1.36.1", update("v1.36.4", "VersionChanged"), "v1.36.4"),
        ("v1.36.4", {"channel": "None"}, "v1.36.1", update("v1.36.4", "VersionChanged"), "v1.36.4"),
        ("1.37", {}, "v1.36.1", update(), "v1.36.1"),
        ("1.37", {}, "v1.36.1", update("v1.37.0", "VersionChanged"), "v1.37.0"),
        ("1.37", MINOR, "v1.36.1", update("v1.37.0", "VersionChanged"), "v1.37.0"),
        ("1.37", MINOR, "v1.36.1", update("v1.36.3"), "v1.36.1"),
        ("1.38", {}, "v1.36.1", update(), "v1.36.1"),
        ("1.38", {}, "v1.36.1", update("v1.38.0"), "v1.36.1"),
        ("v1.36.1", {}, "v1.36.3", update(None, "Pinned"), "v1.36.1"),  # which Cluster API refuses
    ],
)
def test_what_a_person_asks_for_comes_by_an_update(
    asked: str, updates: Object, current: str, said: Object, goes_to: str
) -> None:
    subject = cluster(version=asked, updates=updates, status={**said, "version": "v1.36.1"})
    assert choose_version(subject, RELEASES, current, has_run=True) == goes_to
    waits = awaited(running(subject, current))
    assert (waits is not None) is (goes_to == current)
    assert waits is None or matches(asked, KubernetesVersion.parse(waits))


RUNS: Object = {"version": "v1.36.1"}


def running(of: Cluster, current: str) -> Snapshot:
    """The Cluster as it is with Cluster API at a version."""
    found = settled()
    assert found.live.cluster is not None
    spec = found.live.cluster["spec"]
    live = {**found.live.cluster, "spec": {**spec, "topology": {**spec["topology"], "version": current}}}
    return replace(found, cluster=of, releases=RELEASES, live=replace(found.live, cluster=live), now=NOW)


def test_a_version_that_there_is_no_release_of_is_told_at_once() -> None:
    subject = cluster(version="v1.36.9", status={"version": "v1.36.1"})
    with pytest.raises(ReleaseMissingError, match=r"no Release for v1\.36\.9"):
        choose_version(subject, RELEASES, "v1.36.1")
    with pytest.raises(ReleaseMissingError, match=r"no Release for v1\.36\.9"):
        awaited(running(subject, "v1.36.1"))


def test_what_else_is_wanted_does_not_wait_for_a_release() -> None:
    found = running(cluster(version="v1.36.9", controlPlane={"replicas": 1, "flavor": "cpu-2"}, status=RUNS), "v1.36.1")
    steps = plan(found)
    assert [step.id for step in steps][-2:] == ["cluster", "release"]
    assert steps[-2].apply[0]["spec"]["topology"]["version"] == "v1.36.1"
    assert [gate.reason for gate in steps[-1].gates] == ["ReleaseNotFound"]


@pytest.mark.parametrize(("initialized", "goes_to"), [(True, "v1.36.1"), (False, "v1.36.4")])
def test_a_control_plane_that_is_not_seen_for_a_moment_has_run(goes_to: str, *, initialized: bool) -> None:
    found = running(cluster(version="v1.36.4", status=update()), "v1.36.1")
    assert found.live.cluster is not None
    said = {"type": "ControlPlaneInitialized", "status": str(initialized), "reason": "x", "message": ""}
    live = {**found.live.cluster, "status": {"conditions": [said]}}
    found = replace(found, live=replace(found.live, cluster=live))
    assert found.site is not None
    assert found.revision is not None
    assert target(found, found.site, found.revision).version == goes_to


versions = st.sampled_from(VERSIONS)


@given(
    st.sampled_from(["1.35", "1.36", "1.37", *VERSIONS]),
    st.sampled_from([{}, MINOR, {"kubernetes": "None"}, {"channel": "None"}]),
    versions,
    st.none() | versions,
    st.sampled_from(["Updating", "Expired", "AheadOfVersion", "Pinned", "UpToDate"]),
)
def test_updates_only_go_up_and_by_one_minor(
    asked: str, updates: Object, current: str, target: str | None, reason: str
) -> None:
    if updates == MINOR and asked.startswith("v"):
        updates = {}
    quiet = choose_version(cluster(version=asked, updates=updates), RELEASES, current)
    found = choose_version(cluster(version=asked, updates=updates, status=update(target, reason)), RELEASES, current)
    before, after = KubernetesVersion.parse(current), KubernetesVersion.parse(found)
    if found not in (quiet, current):
        assert found == target
        assert before < after
        assert after.minor <= before.minor + 1
        assert reason == "Expired" or not asked.startswith("v")
    if KubernetesVersion.parse(quiet) > before:
        assert found == quiet


# --- the first version --------------------------------------------------------------------------------------------


def dated(version: str, days: tuple[int, int, int] | None, name: str | None = None, **dates: int) -> Release:
    """Days from now at which it enters rapid, regular, stable; None: never."""
    raw: dict[str, Any] = raw_release(version, f"node-{name or version}", name)
    channels = zip(("rapid", "regular", "stable"), days, strict=True) if days else ()
    raw["spec"]["channels"] = {channel: NOW + day * DAY for channel, day in channels}
    raw["spec"] |= {date: NOW + day * DAY for date, day in dates.items()}
    return Release.model_validate(raw)


IN_ALL, RAPID, COMING = (-30, -20, -10), (-5, 5, 10), (5, 10, 15)


@pytest.mark.parametrize(
    ("releases", "channel", "found"),
    [
        ([dated("v1.36.1", IN_ALL), dated("v1.36.2", RAPID), dated("v1.36.3", COMING)], "Regular", "v1.36.1"),
        ([dated("v1.36.1", IN_ALL), dated("v1.36.2", RAPID), dated("v1.36.3", COMING)], "Rapid", "v1.36.2"),
        ([dated("v1.36.1", IN_ALL), dated("v1.36.2", RAPID), dated("v1.36.3", COMING)], "None", "v1.36.2"),
        ([dated("v1.36.2", RAPID), dated("v1.36.3", COMING)], "Stable", "v1.36.2"),
        ([dated("v1.36.1", IN_ALL), dated("v1.36.2", IN_ALL, deprecated=-1)], "Regular", "v1.36.1"),
        ([dated("v1.36.1", IN_ALL, expires=-1), dated("v1.36.0", IN_ALL, deprecated=-1)], "Regular", "v1.36.0"),
        ([dated("v1.36.1", IN_ALL, expires=-1), dated("v1.36.3", COMING)], "Regular", "v1.36.1"),
        ([release("v1.36.1"), release("v1.36.3")], "Regular", "v1.36.3"),
        ([release("v1.36.1"), dated("v1.36.3", COMING)], "Regular", "v1.36.1"),
    ],
)
def test_first_version_is_the_newest_of_the_channel(releases: list[Release], channel: str, found: str) -> None:
    subject = cluster(version="1.36", updates={"channel": channel})
    for current in (None, "v1.35.6"):
        assert choose_version(subject, releases, current, NOW) == found


def test_a_preview_must_be_asked_for_exactly() -> None:
    releases = [dated("v1.36.3", COMING), release("v1.35.6")]
    assert choose_version(cluster(version="v1.36.3"), releases, None, NOW) == "v1.36.3"
    with pytest.raises(ReleaseMissingError, match=r"no Release for 1\.36 but v1\.36\.3, which is a preview"):
        choose_version(cluster(version="1.36"), releases, None, NOW)


@pytest.mark.parametrize(
    ("second", "image"),
    [
        (dated("v1.36.3", IN_ALL, "v1.36.3-2"), "node-v1.36.3-2"),
        (dated("v1.36.3", RAPID, "v1.36.3-2"), "node-v1.36.3"),
        (dated("v1.36.3", COMING, "v1.36.3-2"), "node-v1.36.3"),
        (dated("v1.36.3", IN_ALL, "v1.36.3-2", deprecated=-1), "node-v1.36.3"),
    ],
)
def test_image_comes_from_the_release_that_suits_best(second: Release, image: str) -> None:
    subject = snapshot(cluster(version="1.36"), releases=[second, dated("v1.36.3", IN_ALL)], now=NOW)
    assert aim(subject).images == {"v1.36.3": image}


# --- all of it ----------------------------------------------------------------------------------------------------


async def made(asked: str, **spec: Any) -> World:
    """A Cluster that runs v1.36.1, of which a newer Release has come since."""
    cloud = full_cloud(images={f"node-{v}": "active" for v in VERSIONS})
    world = World(raw_site(), raw_release("v1.36.1"), raw_cluster(version=asked, **spec), cloud=cloud)
    await world.settle()
    for version in ("v1.36.3", "v1.37.0"):
        world.api.put(raw_release(version))
    await world.settle()
    world.api.writes.clear()
    return world


def says(world: World, target: str, reason: str = "Updating") -> None:
    """What the updates feature writes."""
    assert world.cluster is not None
    status = {**world.cluster["status"], **update(target, reason)}
    world.api.change(world.cluster, status=status)


def version_of(world: World) -> str:
    assert world.capi is not None
    found: str = world.capi["spec"]["topology"]["version"]
    return found


async def test_the_topology_follows_and_stays() -> None:
    world = await made("1.36")
    assert version_of(world) == "v1.36.1"
    says(world, "v1.36.3")
    await world.settle()
    assert version_of(world) == "v1.36.3"
    assert {w for w in world.api.writes if w[0] != "status"} == {("apply", "Cluster", "team")}
    assert world.cluster is not None
    assert world.cluster["status"]["update"] == {"reason": "Updating", "target": "v1.36.3"}
    world.start()
    await world.settle()
    assert version_of(world) == "v1.36.3"


async def test_a_pin_holds_until_what_runs_has_expired() -> None:
    world = await made("v1.36.1")
    says(world, "v1.37.0")
    await world.settle()
    assert version_of(world) == "v1.36.1"
    says(world, "v1.37.0", "Expired")
    await world.settle()
    assert version_of(world) == "v1.37.0"
    says(world, "v1.37.0", "AheadOfVersion")
    await world.settle()
    assert version_of(world) == "v1.37.0"


async def test_a_minor_follows_a_patch() -> None:
    world = await made("1.36", updates=MINOR)
    for brought in ("v1.36.3", "v1.37.0"):
        says(world, brought)
        await world.settle()
        assert version_of(world) == brought
    world.ask(updates={})  # nobody goes back for that
    await world.settle()
    assert version_of(world) == "v1.37.0"

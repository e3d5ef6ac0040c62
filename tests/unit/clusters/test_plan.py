"""Plans as pure functions: what there is to do, in which order, and that it comes to an end."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaas.api.cluster import Cluster
from kaas.api.constants import FINALIZER
from kaas.clusters.classes import ClassRevision, class_revision
from kaas.clusters.plan import plan, wanted_of_cloud
from kaas.clusters.snapshot import Live, Snapshot
from kaas.kube.resources import DEFER_UPGRADE
from tests.unit.clusters.builders import (
    VERSIONS,
    Object,
    aim,
    applied,
    cluster,
    deployment,
    dev_site,
    full_cloud,
    ids,
    pool,
    raw_cluster,
    raw_release,
    raw_site,
    ready_class,
    reasons,
    settled,
    site,
    snapshot,
)
from tests.unit.clusters.fake_world import World, comparable

FINALIZED = {"finalizers": [FINALIZER]}
RELEASES = [raw_release(v) for v in VERSIONS]

ZONES = st.lists(st.sampled_from(["az-1", "az-2", "az-3"]), unique=True, max_size=3)
LABELS = st.dictionaries(st.sampled_from(["a", "example.com/b"]), st.sampled_from(["", "x", "y"]), max_size=2)
TAINTS = st.lists(
    st.builds(
        lambda key, value, effect: {"key": key, "effect": effect} | ({"value": value} if value is not None else {}),
        st.sampled_from(["k", "nvidia.com/gpu"]),
        st.sampled_from([None, "", "v"]),
        st.sampled_from(["NoSchedule", "NoExecute"]),
    ),
    unique_by=lambda t: (t["key"], t["effect"]),
    max_size=2,
)
POOLS = st.lists(
    st.builds(
        pool,
        st.sampled_from(["a", "b", "c"]),
        flavor=st.sampled_from(["cpu-4", "dgx"]),
        replicas=st.integers(0, 5),
        zones=ZONES,
        labels=LABELS,
        taints=TAINTS,
    ),
    unique_by=lambda p: p["name"],
    max_size=3,
)
SPECS = st.fixed_dictionaries(
    {
        "nodePools": POOLS,
        "controlPlane": st.fixed_dictionaries(
            {"flavor": st.sampled_from(["cpu-2", "cpu-4"]), "replicas": st.sampled_from([1, 3, 5]), "zones": ZONES}
        ),
    }
)
FEW = settings(max_examples=20)


def changed(before: Snapshot, **spec: Any) -> Snapshot:
    """The same Cluster after a user changed its spec."""
    subject = cluster(metadata=FINALIZED, **spec)
    return snapshot(subject, before.site, live=before.live, classes=before.classes, identity=before.identity)


# --- what is planned ----------------------------------------------------------------------------------------------


def test_new_cluster_from_the_finalizer_on() -> None:
    steps = plan(snapshot(cluster()))
    assert ids(steps) == ["finalizer", "identity", "class", "class-ready", "cluster"]
    assert reasons(steps) == ["ClassNotReady"]
    assert all(s.reason for s in steps)


def test_dev_has_no_identity() -> None:
    assert ids(plan(snapshot(cluster(site="dev"), dev_site()))) == ["finalizer", "class", "class-ready", "cluster"]


def test_class_that_is_ready_is_not_waited_for() -> None:
    revision = class_revision("openstack")
    assert ids(plan(snapshot(classes=ready_class(revision)))) == ["identity", "cluster"]


def test_existing_cluster_does_not_wait_for_its_class() -> None:
    before = settled()
    assert before.revision is not None
    unready = {before.revision.name: before.revision.cluster_class}
    found = snapshot(before.cluster, classes=unready, live=before.live, identity=before.identity)
    assert plan(found) == []


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (Snapshot(cluster()), "SiteNotFound"),
        (snapshot(releases=()), "ReleaseNotFound"),
        (snapshot(cluster(version="v1.34.0")), "ReleaseNotFound"),
        (snapshot(cluster(controlPlane={"flavor": "none"})), "FlavorNotOffered"),
        (snapshot(cluster(nodePools=[pool(zones=["az-9"])])), "ZoneNotOffered"),
        (snapshot(name_taken=True), "NameTaken"),
        (snapshot(cloud=full_cloud(images={})), "ImageNotFound"),
    ],
)
def test_what_is_missing_comes_first(found: Snapshot, reason: str) -> None:
    steps = plan(found)
    assert reasons(steps)[0] == reason
    assert not steps[0].apply
    assert steps[0].keep is None


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"nodePools": [pool(replicas=3)]}, "replicas"),
        ({"nodePools": []}, "no longer wanted"),
        ({"nodePools": [pool(), pool("more")]}, "more"),
        ({"version": "v1.36.3"}, "version"),
    ],
)
def test_one_change_is_one_step_with_one_object(spec: dict[str, Any], path: str) -> None:
    (step,) = plan(changed(settled(), **spec))
    assert (step.id, len(step.apply)) == ("cluster", 1)
    assert path in step.reason


def stopped(**spec: Any) -> Snapshot:
    """A Cluster whose update has stopped at its pool, after that had begun; and what its user asks for beside."""
    parts = [pool("cpu", replicas=3), pool("old", replicas=3)]
    before = settled(cluster(metadata=FINALIZED, nodePools=parts))
    step = {"name": "Pool/cpu", "state": "Failed", "started": "2027-01-05T22:00:00Z"}
    update = {"target": "v1.36.1", "waiting": ["cpu", "old"], "steps": [step]}
    label = "topology.cluster.x-k8s.io/deployment-name"
    found = []
    for name, version in (("cpu", "v1.36.1"), ("old", "v1.35.6")):
        part = deployment(name, name, version)
        found.append({**part, "metadata": {**part["metadata"], "labels": {label: name}}})
    asked = cluster(metadata=FINALIZED, **{"nodePools": parts, "status": {"update": update}, **spec})
    return replace(before, cluster=asked, live=replace(before.live, deployments=found))


@pytest.mark.parametrize(
    "more",
    [
        {"nodePools": [pool("cpu", replicas=9), pool("old", replicas=3), pool("new", flavor="unheard-of")]},
        {"nodePools": [pool("cpu", replicas=9), pool("old", replicas=3), pool("new", flavor="dgx")]},
    ],
)
def test_what_is_held_is_held_although_the_rest_has_to_wait(more: Object) -> None:
    found = replace(stopped(**more), cloud=full_cloud(free={"instances": 0}))
    hold, *rest = plan(found)
    assert (hold.id, hold.gates) == ("hold", ())
    assert rest[0].gates
    (before,), (after,) = [found.live.cluster], hold.apply
    assert before is not None
    topology = after["spec"]["topology"]
    cpu, old = topology["workers"]["machineDeployments"]
    assert (cpu["rollout"], cpu["replicas"]) == ({"strategy": {"type": "OnDelete"}}, 3)
    assert (DEFER_UPGRADE in old["metadata"]["annotations"], "rollout" in old) == (True, False)
    rest_of = [{k: v for k, v in t.items() if k != "workers"} for t in (topology, before["spec"]["topology"])]
    assert rest_of[0] == rest_of[1]
    once_more = replace(found, live=replace(found.live, cluster=after))
    assert "hold" not in ids(plan(once_more))
    assert "hold" not in ids(plan(stopped()))


def test_finalizer_that_was_lost_is_put_back() -> None:
    before = settled()
    found = snapshot(cluster(), live=before.live, classes=before.classes, identity=before.identity)
    assert ids(plan(found)) == ["finalizer"]


def test_rotated_credentials_are_one_step() -> None:
    before = settled()
    place = site(credentials={"secret": {"name": "rotated"}})
    found = snapshot(before.cluster, place, live=before.live, classes=before.classes, identity=before.identity)
    assert ids(plan(found)) == ["identity"]


def kept(**spec: Any) -> Cluster:
    return cluster(metadata={"finalizers": [FINALIZER]}, **spec)


@pytest.mark.parametrize(
    "spec",
    [
        {"externalNetwork": {"name": "other"}},
        {"loadBalancer": {"provider": "ovn"}},
        {"images": [{"version": "v1.36.1", "name": "another"}]},
        {"region": "RegionTwo"},
        {
            "flavors": [
                {"name": "cpu-2"},
                {"name": "cpu-4"},
                {"name": "dgx", "gpu": {"model": "A100 40 GB", "count": 4}},
            ]
        },
        {"flavors": [{"name": "cpu-4", "gpu": {"model": "T4", "count": 1}}, {"name": "cpu-2"}]},
        {"flavors": [{"name": "other"}]},
    ],
)
def test_changed_site_does_not_touch_an_existing_cluster(spec: dict[str, Any]) -> None:
    before = settled(kept(nodePools=[pool(), pool("gpus", flavor="dgx")]))
    more: dict[str, Any] = {"live": before.live, "classes": before.classes, "identity": before.identity}
    assert plan(snapshot(before.cluster, site(**spec), **more)) == []


def test_pool_that_changes_its_flavor_takes_what_the_site_says_now() -> None:
    before = settled(kept(nodePools=[pool("gpus", flavor="dgx")]))
    flavors = [{"name": "cpu-2"}, {"name": "dgx-2", "gpu": {"model": "H100", "count": 8}}]
    more: dict[str, Any] = {"live": before.live, "classes": before.classes, "identity": before.identity}
    after = plan(snapshot(kept(nodePools=[pool("gpus", flavor="dgx-2")]), site(flavors=flavors), **more))
    assert "H100" in str(after[-1].apply)


def test_flavor_that_the_site_no_longer_offers_can_still_shrink() -> None:
    before = settled(kept(nodePools=[pool("gpus", flavor="dgx", replicas=2)]))
    more: dict[str, Any] = {"live": before.live, "classes": before.classes, "identity": before.identity}
    smaller = kept(nodePools=[pool("gpus", flavor="dgx", replicas=1)])
    assert ids(plan(snapshot(smaller, site(flavors=[{"name": "cpu-2"}]), **more))) == ["cluster"]


def test_newer_controller_does_not_touch_an_existing_cluster() -> None:
    """Another class revision is for new Clusters, whatever variables it takes."""
    before = settled()
    old = class_revision("openstack")
    spec = {**old.cluster_class["spec"], "variables": [*old.cluster_class["spec"]["variables"], {"name": "more"}]}
    newest = {**old.cluster_class, "metadata": {**old.cluster_class["metadata"], "name": "newer"}, "spec": spec}
    newer = ClassRevision("newer", "openstack", (*old.objects[:-1], newest))
    more: dict[str, Any] = {"live": before.live, "classes": before.classes, "identity": before.identity}
    assert plan(snapshot(before.cluster, revision=newer, **more)) == []
    steps = plan(snapshot(revision=newer, classes=before.classes, identity=before.identity))
    assert ids(steps) == ["class", "class-ready", "cluster"]
    assert steps[-1].apply[0]["spec"]["topology"]["classRef"]["name"] == "newer"


# --- versions and images ------------------------------------------------------------------------------------------


def images(found: Snapshot) -> dict[str, str]:
    return dict(aim(found).images)


def test_upgrade_holds_both_images_until_nobody_has_the_old_one() -> None:
    before = settled()
    going = changed(before, version="v1.36.3")
    both = {"v1.36.1": "node-v1.36.1", "v1.36.3": "node-v1.36.3"}
    assert images(going) == both
    handed_over = applied(going)
    for live in (
        Live(cluster=handed_over, control_plane={"spec": {"version": "v1.36.1"}}),
        Live(cluster=handed_over, deployments=[deployment("cpu", "cpu", "v1.36.1")]),
        Live(cluster=handed_over, machines=[{"spec": {"version": "v1.36.1"}}]),
    ):
        found = snapshot(going.cluster, live=live, classes=before.classes, identity=before.identity)
        assert images(found) == both
        assert plan(found) == []
    done = snapshot(going.cluster, live=Live(cluster=handed_over), classes=before.classes, identity=before.identity)
    assert images(done) == {"v1.36.3": "node-v1.36.3"}
    assert ids(plan(done)) == ["cluster"]


def test_minor_stays_on_the_patch_that_it_has() -> None:
    before = settled()
    assert aim(changed(before, version="1.36")).version == "v1.36.1"
    assert aim(snapshot(cluster(version="1.36"))).version == "v1.36.3"
    assert aim(changed(settled(cluster(version="v1.35.6", metadata=FINALIZED)), version="1.36")).version == "v1.36.3"


# --- the cloud ----------------------------------------------------------------------------------------------------


@given(SPECS, st.data())
@FEW
def test_cloud_is_not_asked_when_a_cluster_only_shrinks(spec: dict[str, Any], data: st.DataObject) -> None:
    before = settled(cluster(metadata=FINALIZED, **spec))
    kept = [p for p in spec["nodePools"] if data.draw(st.booleans())]
    pools: list[Object] = [{**p, "replicas": data.draw(st.integers(0, p["replicas"]))} for p in kept]
    after = changed(before, nodePools=pools, controlPlane=spec["controlPlane"])
    assert wanted_of_cloud(after) is None
    assert wanted_of_cloud(before) is None


def test_what_is_newly_wanted() -> None:
    found = wanted_of_cloud(changed(settled(), nodePools=[pool(replicas=5), pool("gpu", flavor="dgx", zones=["az-2"])]))
    assert found is not None
    assert (dict(found.servers), found.flavors) == ({"cpu-4": 3, "dgx": 2}, frozenset({"dgx"}))
    assert not found.new_cluster
    assert not found.images


@pytest.mark.parametrize("found", [Snapshot(cluster()), snapshot(releases=()), snapshot(name_taken=True)])
def test_cloud_is_not_asked_before_the_rest_is_there(found: Snapshot) -> None:
    assert wanted_of_cloud(found) is None


def test_dev_has_no_cloud_to_ask() -> None:
    assert wanted_of_cloud(snapshot(cluster(site="dev"), dev_site())) is None


# --- simulated: every step carried out ----------------------------------------------------------------------------


def run(*inputs: Object) -> World:
    world = World(*inputs)
    asyncio.run(world.settle())
    return world


@given(SPECS)
@FEW
def test_plan_of_what_was_applied_is_empty(spec: dict[str, Any]) -> None:
    world = run(raw_site(), *RELEASES, raw_cluster(**spec))
    assert world.steps() == []
    world.api.writes.clear()
    world.start()
    asyncio.run(world.settle())
    assert world.api.writes == []


@given(SPECS, SPECS)
@FEW
def test_changed_cluster_ends_as_a_new_one_would(first: dict[str, Any], then: dict[str, Any]) -> None:
    world = run(raw_site(), *RELEASES, raw_cluster(**first))
    world.api.writes.clear()
    world.ask(**then)
    asyncio.run(world.settle())
    assert [w for w in world.api.writes if w[0] != "status"] in ([], [("apply", "Cluster", "team")])
    same = comparable(world) == comparable(run(raw_site(), *RELEASES, raw_cluster(**then)))
    assert same  # without the two in the message, whose comparison takes longer than the test


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_order_of_events_does_not_matter(order: tuple[int, ...]) -> None:
    """Site, Releases and Cluster may come in any order, with a turn of everybody between them."""
    parts: list[list[Object]] = [[raw_site()], RELEASES, [raw_cluster()]]
    world = World()
    for index in order:
        for obj in parts[index]:
            world.api.put(obj)
        asyncio.run(world.turn())
    asyncio.run(world.settle())
    assert comparable(world) == comparable(run(raw_site(), *RELEASES, raw_cluster()))


@given(st.integers(0, 12))
@settings(max_examples=13)
def test_deletion_at_any_moment_ends(turns: int) -> None:
    world = World(raw_site(), *RELEASES, raw_cluster())
    for _ in range(turns):
        asyncio.run(world.turn())
    world.delete()
    asyncio.run(world.settle())
    assert world.cluster is None
    assert world.capi is None

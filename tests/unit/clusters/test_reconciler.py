"""The reconciler against an API server in memory: what is written, refused, killed half-way, and taken away again."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kaas.api.constants import FINALIZER
from kaas.clusters.reconciler import REFUSED_SECONDS, RESYNC_SECONDS, same_status
from kaas.kube.errors import Unavailable
from kaas.kube.objects import ref_of
from tests.unit.clusters.builders import (
    VERSIONS,
    Object,
    full_cloud,
    pool,
    raw_cluster,
    raw_dev_site,
    raw_release,
    raw_site,
)
from tests.unit.clusters.fake_api import Killed, refusal
from tests.unit.clusters.fake_world import KEY, World, comparable

RELEASES = [raw_release(v) for v in VERSIONS]
INPUTS = [raw_site(), *RELEASES, raw_cluster()]


async def ready(*inputs: Object) -> World:
    world = World(*(inputs or INPUTS))
    await world.settle()
    world.api.writes.clear()
    return world


def phase(world: World) -> str:
    assert world.cluster is not None
    found: str = world.cluster["status"]["phase"]
    return found


async def test_from_nothing_to_ready() -> None:
    world = World(*INPUTS)
    await world.settle()
    assert phase(world) == "Ready"
    assert world.again == RESYNC_SECONDS
    written = [w for w in world.api.writes if w[0] != "status"]
    assert [(verb, kind) for verb, kind, _ in written] == [
        ("finalizers", "Cluster"),
        ("apply", "OpenStackClusterIdentity"),
        ("apply", "OpenStackClusterTemplate"),
        ("apply", "KubeadmControlPlaneTemplate"),
        ("apply", "OpenStackMachineTemplate"),
        ("apply", "KubeadmConfigTemplate"),
        ("apply", "OpenStackMachineTemplate"),
        ("apply", "ClusterClass"),
        ("apply", "Cluster"),
    ]
    assert world.events.said == [("Normal", "Pending"), ("Normal", "Provisioning"), ("Normal", "Ready")]


async def test_second_start_writes_nothing() -> None:
    world = await ready()
    world.start()
    await world.settle()
    assert world.api.writes == []


async def test_cloud_is_not_asked_when_nothing_new_is_wanted() -> None:
    world = await ready()
    world.clouds.looks = 0
    world.ask(nodePools=[pool(replicas=1)])
    await world.settle()
    assert world.clouds.looks == 0
    world.ask(nodePools=[pool(replicas=2)])
    await world.settle()
    assert world.clouds.looks == 1


@pytest.mark.parametrize("site", [raw_site(), raw_dev_site("north")])
@pytest.mark.parametrize(
    "changed",
    [
        {"nodePools": [pool(replicas=7)]},
        {"nodePools": []},
        {"nodePools": [pool(), pool("more")]},
        {"nodePools": [pool(labels={"a": "b"})]},
        {"controlPlane": {"flavor": "cpu-2", "replicas": 5}},
    ],
)
async def test_one_change_is_one_write(site: Object, changed: dict[str, Any]) -> None:
    """Beside the status, which says what became of it."""
    world = await ready(site, *RELEASES, raw_cluster())
    world.ask(**changed)
    await world.settle()
    assert [w for w in world.api.writes if w[0] != "status"] == [("apply", "Cluster", "team")]
    assert phase(world) == "Ready"


async def test_gate_tells_when_it_is_looked_at_again() -> None:
    world = World(*INPUTS, cloud=full_cloud(images={}))
    await world.settle()
    assert world.again == 15.0
    assert world.status("Accepted")["reason"] == "ImageNotFound"
    assert phase(world) == "Pending"
    assert {w[0] for w in world.api.writes} == {"status"}, "nothing half made"
    world.clouds.cloud = full_cloud()
    await world.settle()
    assert phase(world) == "Ready"


@pytest.mark.parametrize("missing", ["Site", "Release"])
async def test_missing_is_a_condition_that_heals(missing: str) -> None:
    world = World(*(o for o in INPUTS if o["kind"] != missing))
    await world.settle()
    assert world.status("Accepted")["reason"] == f"{missing}NotFound"
    for obj in INPUTS:
        world.api.put(obj)
    await world.settle()
    assert phase(world) == "Ready"


@pytest.mark.parametrize("kind", ["OpenStackClusterIdentity", "KubeadmControlPlaneTemplate", "ClusterClass"])
async def test_refusal_is_a_condition_and_ends_the_work(kind: str) -> None:
    world = World(*INPUTS)
    world.api.refuse[kind] = refusal("spec.template")
    await world.settle()
    accepted = world.status("Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "Refused")
    assert "spec.template is wrong" in accepted["message"]
    assert world.again == REFUSED_SECONDS
    assert world.capi is None
    assert kind not in {w[1] for w in world.api.writes}
    del world.api.refuse[kind]
    await world.settle()
    assert phase(world) == "Ready"


async def test_a_pool_that_has_to_wait_is_held_although_the_change_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await ready()
    apply = world.api.apply

    async def picky(obj: Object) -> Object:
        if obj["kind"] == "Cluster" and obj["spec"]["topology"]["workers"]["machineDeployments"][0]["replicas"] == 9:
            raise refusal("spec.topology")
        return await apply(obj)

    monkeypatch.setattr(world.api, "apply", picky)
    world.ask(nodePools=[pool(replicas=9)])
    assert world.cluster is not None
    assert world.capi is not None
    step = {"name": "Pool/cpu", "state": "Held", "started": "2027-01-05T22:00:00Z"}
    update = {"target": world.capi["spec"]["topology"]["version"], "waiting": ["cpu"], "steps": [step]}
    world.api.put({**world.cluster, "status": {**world.cluster["status"], "update": update}})
    await world.settle()
    assert phase(world) == "Blocked"
    (part,) = world.capi["spec"]["topology"]["workers"]["machineDeployments"]
    assert (part["rollout"]["strategy"]["type"], part["replicas"]) == ("OnDelete", 2)


async def test_refused_change_leaves_the_cluster_as_it_works() -> None:
    world = await ready()
    before = copy.deepcopy(world.capi)
    world.api.refuse["Cluster"] = refusal("spec.topology")
    world.ask(nodePools=[pool(replicas=9)])
    await world.settle()
    assert phase(world) == "Blocked"
    assert ("Warning", "Blocked") in world.events.said
    assert world.capi == before


async def test_no_answer_is_left_to_the_queue() -> None:
    world = World(*INPUTS)
    world.api.refuse["ClusterClass"] = Unavailable("apply", "no answer")
    world.watch()
    with pytest.raises(Unavailable):
        await world.reconciler.reconcile(KEY)
    assert world.cluster is not None
    said = next(c for c in world.cluster["status"]["conditions"] if c["type"] == "Accepted")
    assert (said["status"], said["reason"]) == ("False", "Refused")
    assert "no answer" in said["message"]


async def test_what_others_made_is_neither_taken_over_nor_deleted() -> None:
    theirs = {
        "apiVersion": "cluster.x-k8s.io/v1beta2",
        "kind": "Cluster",
        "metadata": {"name": "team", "namespace": "tenants", "labels": {"theirs": "true"}},
        "spec": {"topology": {"classRef": {"name": "theirs"}, "version": "v1.36.1"}},
    }
    world = World(*INPUTS, theirs)
    world.watch()
    await world.reconciler.reconcile(KEY)
    assert world.status("Accepted")["reason"] == "NameTaken"
    assert phase(world) == "Pending"
    before = copy.deepcopy(world.capi)
    world.delete()
    world.watch()
    await world.reconciler.reconcile(KEY)
    assert world.capi == before
    assert world.cluster is None


async def test_what_others_delete_is_made_again_when_it_is_gone() -> None:
    world = await ready()
    assert world.capi is not None
    former = world.capi["metadata"]["resourceVersion"]
    world.api.remove(ref_of(world.capi))
    world.watch()
    await world.reconciler.reconcile(KEY)
    accepted = world.status("Accepted")
    assert (phase(world), accepted["reason"]) == ("Degraded", "DeletedByOthers")
    assert "delete the Cluster; still there: " in accepted["message"]
    await world.settle()
    assert phase(world) == "Ready"
    assert world.capi["metadata"]["resourceVersion"] != former
    assert [w for w in world.api.writes if w[0] != "status"] == [("apply", "Cluster", "team")]


async def test_deletion_ends_and_leaves_only_what_was_given() -> None:
    world = await ready()
    world.delete()
    await world.settle()
    assert world.again is None
    assert {o["kind"] for o in world.api.objects.values()} == TEMPLATES | {"Site", "Release"}
    deleted = [(verb, kind) for verb, kind, _ in world.api.writes if verb != "status"]
    assert deleted == [
        ("delete", "Cluster"),
        ("delete", "OpenStackClusterIdentity"),
        ("delete", "ClusterClass"),
        ("finalizers", "Cluster"),
    ]


# Cluster API makes the class their owner, and the garbage collector takes them (a contract test).
TEMPLATES = {
    "OpenStackClusterTemplate",
    "OpenStackMachineTemplate",
    "KubeadmControlPlaneTemplate",
    "KubeadmConfigTemplate",
}


async def test_finalizer_stays_while_anything_is_left() -> None:
    world = await ready()
    world.delete()
    seen = set()
    while world.cluster is not None:
        left = {o["kind"] for o in world.api.objects.values()} - {"Site", "Release"} - TEMPLATES
        seen.add(len(left))
        if world.capi is not None or len(left) > 3:
            assert FINALIZER in world.cluster["metadata"]["finalizers"]
        await world.turn()
        if world.cluster is not None and world.capi is not None:
            assert world.status("Ready")["reason"] == "Deleting"
            assert phase(world) == "Deleting"
    assert len(seen) > 3, "it went step by step"


async def test_others_keep_identity_and_class() -> None:
    world = await ready(*INPUTS, raw_cluster("other", metadata={"uid": "other"}))
    await world.reconciler.reconcile(("tenants", "other"))
    world.cluster_api()
    world.delete()
    await world.settle()
    left = {o["kind"] for o in world.api.objects.values()}
    assert {"OpenStackClusterIdentity", "ClusterClass"} <= left


async def test_identity_goes_even_when_its_site_went_before() -> None:
    world = await ready()
    site = world.api.of_kind("Site")[0]
    world.api.objects.pop(next(k for k, o in world.api.objects.items() if o is site))
    world.delete()
    await world.settle()
    assert world.cluster is None
    assert world.api.of_kind("OpenStackClusterIdentity") == []


async def test_class_of_a_cluster_that_did_not_get_far_goes_too() -> None:
    world = World(*INPUTS)
    world.api.refuse["Cluster"] = refusal("spec")
    await world.settle()
    assert len(world.api.of_kind("ClusterClass")) == 1
    world.delete()
    await world.settle()
    assert world.cluster is None
    assert world.api.of_kind("ClusterClass") == []


async def test_wherever_the_program_is_killed_it_ends_the_same() -> None:
    whole = World(*INPUTS)
    await whole.settle()
    writes = len(whole.api.writes)
    assert writes > 9
    for point in range(1, writes + 1):
        world = World(*INPUTS)
        world.api.kill_after = point
        with pytest.raises(Killed):
            await world.settle()
        world.api.kill_after = None
        world.start()
        await world.settle()
        assert comparable(world) == comparable(whole), f"killed after write {point}"


async def test_wherever_a_deletion_is_killed_it_ends_the_same() -> None:
    whole = await ready()
    whole.delete()
    await whole.settle()
    for point in range(1, len(whole.api.writes) + 1):
        world = await ready()
        world.delete()
        world.api.kill_after = point
        with pytest.raises(Killed):
            await world.settle()
        world.api.kill_after = None
        world.start()
        await world.settle()
        assert comparable(world) == comparable(whole), f"killed after write {point}"


async def test_killed_while_made_then_deleted_leaves_nothing() -> None:
    for point in range(1, 12):
        world = World(*INPUTS)
        world.api.kill_after = point
        with pytest.raises(Killed):
            await world.settle()
        world.api.kill_after = None
        world.start()
        world.delete()
        await world.settle()
        left = {o["kind"] for o in world.api.objects.values()}
        assert left <= TEMPLATES | {"Site", "Release"}, f"killed after write {point}"


def test_order_of_named_items_is_no_difference() -> None:
    one = {"conditions": [{"type": "A"}, {"type": "B"}], "nodePools": [{"name": "x"}]}
    two = {"conditions": [{"type": "B"}, {"type": "A"}], "nodePools": [{"name": "x"}]}
    assert same_status(one, two)
    assert not same_status(one, {**two, "nodePools": [{"name": "y"}]})


async def test_what_others_say_in_the_status_is_neither_fought_over_nor_removed() -> None:
    world = await ready()
    assert world.cluster is not None
    said = world.cluster["status"]
    theirs = {"type": "RepairsAllowed", "status": "False", "reason": "Breaker", "message": "too many"}
    told = {**said, "conditions": [*said["conditions"], theirs], "repair": {"unhealthy": 3}}
    assert same_status(said, told)
    assert not same_status({**said, "phase": "Degraded"}, told)
    assert not same_status({**said, "conditions": said["conditions"][1:]}, told)

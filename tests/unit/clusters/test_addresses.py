"""A second floating IP that CAPO made: seen, borne out by the cloud, given back, and the status put right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kaas.api.parsed import Parsed
from kaas.clusters.addresses import DESCRIPTION, Surplus, Twice, surplus, twice
from kaas.clusters.observe import observe
from kaas.clusters.plan import plan
from kaas.clusters.reconciler import REFUSED_SECONDS, RESYNC_SECONDS, UNANSWERED_SECONDS
from kaas.kube import lean
from kaas.kube.objects import ref_of
from kaas.openstack.floating_ip import FloatingIP
from tests.unit.clusters.builders import NAME, NAMESPACE, VERSIONS, Object, raw_cluster, raw_release, raw_site
from tests.unit.clusters.fake_api import Killed
from tests.unit.clusters.fake_world import World

USED, OTHER = "192.0.2.1", "192.0.2.2"
CLUSTER = {"metadata": {"namespace": NAMESPACE, "name": NAME}}
OURS = DESCRIPTION.format(NAMESPACE, NAME)
IN_USE = FloatingIP("1", USED, "port", OURS)
SPARE = FloatingIP("2", OTHER, "", OURS)


def infrastructure(host: str = USED, ip: str = OTHER, **spec: str) -> Object:
    return {
        "apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1",
        "kind": "OpenStackCluster",
        "metadata": {"name": f"{NAME}-infra", "namespace": NAMESPACE},
        "spec": {"controlPlaneEndpoint": {"host": host, "port": 6443}, "managedSubnets": [], **spec},
        "status": {"apiServerLoadBalancer": {"ip": ip, "id": "lb"}, "ready": True},
    }


def found(*addresses: FloatingIP) -> dict[str, FloatingIP]:
    return {a.address: a for a in addresses}


@pytest.mark.parametrize(
    "obj",
    [
        None,
        {"metadata": {}},
        infrastructure(ip=USED),
        infrastructure(ip=""),
        infrastructure(host=""),
        infrastructure(apiServerFloatingIP=USED),
        {**infrastructure(), "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}},
    ],
    ids=["none", "empty", "same", "no address yet", "no endpoint yet", "chosen by a person", "on its way out"],
)
def test_one_address_is_none_too_many(obj: Object | None) -> None:
    assert twice(obj) is None


def test_two_addresses_are_seen_in_what_is_kept_of_the_object() -> None:
    assert twice(lean.infrastructure(infrastructure())) == Twice(USED, OTHER)
    assert twice(lean.infrastructure(infrastructure(apiServerFloatingIP=USED))) is None


@pytest.mark.parametrize(
    ("cloud", "goes"),
    [
        (found(IN_USE, SPARE), SPARE),
        (found(IN_USE), FloatingIP("", OTHER)),
        (found(SPARE), None),
        (found(FloatingIP("1", USED, "", OURS), SPARE), None),
        (found(IN_USE, FloatingIP("2", OTHER, "elsewhere", OURS)), None),
        (found(IN_USE, FloatingIP("2", OTHER, "", DESCRIPTION.format(NAMESPACE, "another"))), None),
        (found(IN_USE, FloatingIP("2", OTHER)), None),
        ({}, None),
    ],
    ids=[
        "spare",
        "gone",
        "first is gone",
        "first leads nowhere",
        "second in use",
        "another's",
        "a person's",
        "unknown",
    ],
)
def test_only_what_the_cloud_bears_out_goes(cloud: dict[str, FloatingIP], goes: FloatingIP | None) -> None:
    obj = infrastructure()
    wanted = Surplus(goes, USED, ref_of(obj)) if goes else None
    assert surplus(obj, CLUSTER, Twice(USED, OTHER), cloud) == wanted


# --- carried out --------------------------------------------------------------------------------------------------


async def with_two() -> World:
    """A Cluster that is well, but for what CAPO's status says of its address."""
    world = World(raw_site(), *(raw_release(v) for v in VERSIONS), raw_cluster())
    await world.settle()
    obj = infrastructure()
    world.api.change(_part(world), spec=obj["spec"], status=obj["status"])
    world.clouds.addresses = found(IN_USE, SPARE)
    world.api.writes.clear()
    return world


def _part(world: World) -> Object:
    (only,) = world.api.of_kind("OpenStackCluster")
    return only


def _ip(world: World) -> str:
    ip: str = _part(world)["status"]["apiServerLoadBalancer"]["ip"]
    return ip


async def look(world: World) -> None:
    """One turn of ours: the Cluster API of this world would put its own status there again."""
    world.watch()
    world.again = await world.reconciler.reconcile((NAMESPACE, NAME))


async def test_the_second_is_given_back_and_the_status_names_the_first() -> None:
    world = await with_two()
    await look(world)
    assert world.clouds.addresses == found(IN_USE)
    assert _part(world)["status"] == {"apiServerLoadBalancer": {"ip": USED, "id": "lb"}, "ready": True}
    assert [w[:2] for w in world.api.writes] == [("patch", "OpenStackCluster")]
    assert world.again == RESYNC_SECONDS
    await look(world)
    assert len(world.api.writes) == 1, "once"


async def test_killed_after_any_write_it_is_done_all_the_same() -> None:
    world = await with_two()
    world.api.kill_after = 1
    with pytest.raises(Killed):
        await look(world)
    world.api.kill_after = None
    world.start()
    await look(world)
    assert _ip(world) == USED

    world = await with_two()
    world.clouds.addresses = found(IN_USE)  # killed between the cloud's answer and our write
    await look(world)
    assert _ip(world) == USED


async def test_a_cloud_that_refuses_is_quoted_and_asked_again() -> None:
    world = await with_two()
    world.clouds.refusal = f"floating IP {OTHER} of Site north cannot be given back: the cloud forbids it"
    await look(world)
    assert world.status("Accepted")["message"] == world.clouds.refusal
    assert world.again == REFUSED_SECONDS
    assert _ip(world) == OTHER
    world.clouds.refusal = None
    await look(world)
    assert _ip(world) == USED


async def test_a_cloud_that_says_otherwise_leaves_all_as_it_is_and_is_asked_again() -> None:
    world = await with_two()
    world.clouds.addresses = found(IN_USE, FloatingIP("2", OTHER, "port", OURS))
    await look(world)
    assert (_ip(world), len(world.clouds.addresses)) == (OTHER, 2)
    assert world.again == UNANSWERED_SECONDS
    assert world.status("Accepted")["status"] == "True"


async def test_the_plan_says_what_is_done_and_why() -> None:
    world = await with_two()
    world.watch()
    seen = observe(world.index, (NAMESPACE, NAME), Parsed())
    assert seen is not None
    gone = Surplus(SPARE, USED, ref_of(_part(world)))
    (step,) = plan(replace(seen, surplus=gone))
    assert (step.id, step.release) == ("floating-ip", gone)
    assert f"CAPO made a second floating IP, {OTHER}, and cannot go on: the API server has {USED}" in step.reason

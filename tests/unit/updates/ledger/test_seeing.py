"""What the ledger is moved on by, read from Cluster API's objects and from the status."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kaas.api.constants import LABEL_POOL
from kaas.api.update_status import Before
from kaas.kube import resources
from kaas.kube.objects import Object
from kaas.kube.resources import CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL, TOPOLOGY_DEPLOYMENT_LABEL, Resource
from kaas.runtime.index import Index
from kaas.updates import seeing
from kaas.updates.facts import Aims, Change
from kaas.updates.ledger.seen import Part
from tests.unit.updates.subjects import NOW, at, cluster, site, version

AIMS = Aims(version("v1.36.3"), (Change.PATCH,))
NEW, OLD = "v1.36.3", "v1.36.1"


def part(kind: Resource, name: str, *, labels: Object | None = None, meta: Object | None = None, **more: Any) -> Object:
    own = {CLUSTER_NAME_LABEL: "team", **(labels or {})}
    metadata = {"name": name, "namespace": "tenants", "labels": own, "generation": 2, **(meta or {})}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **more}


def counts(machines: int, new: int, ready: int, observed: int = 2) -> Object:
    found = {"replicas": machines, "upToDateReplicas": new, "readyReplicas": ready}
    return found | {"observedGeneration": observed}


def deployment(of: str = NEW, **status: Any) -> Object:
    spec = {"template": {"spec": {"version": of}}}
    found = status or counts(3, 3, 3)
    return part(resources.MACHINE_DEPLOYMENT, "team-cpu", labels={LABEL_POOL: "cpu"}, spec=spec, status=found)


def machine(name: str, of: str, pool: str = "cpu", *, joined: bool = True, **meta: Any) -> Object:
    labels = {LABEL_POOL: pool} if pool else {CONTROL_PLANE_LABEL: ""}
    status: Object = {"nodeRef": {"name": name}} if joined else {"conditions": []}
    return part(resources.MACHINE, name, labels=labels, meta=meta, spec={"version": of}, status=status)


def topology(of: str = NEW, image: str | None = None, observed: int = 2, **keeps: str) -> Object:
    overrides = [{"name": "images", "value": {of: kept}} for kept in keeps.values()]
    pools = [{"name": "cpu", "metadata": {"labels": {LABEL_POOL: "cpu"}}, "variables": {"overrides": overrides}}]
    said: Object = {"version": of, "classRef": {"name": "class-1"}, "workers": {"machineDeployments": pools}}
    said |= {"variables": [{"name": "images", "value": {of: image}}]} if image else {}
    reconciled = {"type": "TopologyReconciled", "status": "True", "observedGeneration": observed}
    meta = {"labels": {CLUSTER_NAME_LABEL: "team"}}
    return part(resources.CAPI_CLUSTER, "team", meta=meta, spec={"topology": said}, status={"conditions": [reconciled]})


def pool_status(of: str, machines: int, new: int, ready: int) -> Object:
    found = {"replicas": machines, "ready": ready, "upToDate": new, "available": ready}
    return {"name": "cpu", **found, "version": of}


def seen(*objects: Object, status: Object | None = None, aims: Aims = AIMS, **spec: Any) -> tuple[Part, Part]:
    """The control plane, and the pool of three."""
    index = Index()
    for number, obj in enumerate(objects):
        obj["metadata"]["resourceVersion"] = str(number + 1)
        index.put(obj)
    found = cluster(status={"version": NEW, "nodePools": [pool_status(NEW, 3, 3, 3)], **(status or {})})
    pool = {"name": "cpu", "flavor": "cpu-4", "replicas": 3, **spec}
    raw = {**found.model_dump(by_alias=True, exclude_none=True, mode="json")}
    raw["spec"]["nodePools"] = [pool]
    parsed = type(found).model_validate(raw)
    sight = seeing.look(index, parsed, site(flavors=[{"name": "cpu-2"}, {"name": "cpu-4"}, BOX, SLOW]), aims)
    return seeing.control_plane(sight), seeing.pools(sight)["cpu"]


SLOW = {"name": "slow", "startupTimeoutSeconds": 5400}
BOX = {"name": "dgx", "bareMetal": True, "gpu": {"model": "A100", "count": 8}}


def test_what_cluster_api_counts_goes_before_what_the_status_says() -> None:
    _, pool = seen(deployment(**counts(4, 1, 3)), status={"nodePools": [pool_status(NEW, 3, 3, 3)]})
    assert (pool.machines, pool.new, pool.well, pool.through) == (4, 1, 3, False)
    assert pool.ready == 0  # the new one is the one that does not work yet
    _, pool = seen(status={"nodePools": [pool_status(NEW, 3, 3, 3)]})
    assert pool.through


@pytest.mark.parametrize(
    ("objects", "handed"),
    [
        ([deployment()], True),
        ([deployment(OLD)], False),
        ([deployment(**counts(3, 3, 3, observed=1))], False),
        ([deployment(), topology(observed=1)], False),
        ([deployment(), topology()], True),
        ([deployment(), topology(keeps="before")], False),
    ],
)
def test_counts_are_about_the_update_only_when_it_has_been_passed_on(objects: list[Object], handed: bool) -> None:
    _, pool = seen(*objects)
    assert (pool.handed, pool.through) == (handed, handed)


def test_an_image_and_a_class_revision_have_to_be_in_the_topology() -> None:
    image = replace(AIMS, image="ubuntu-2", class_revision="class-1")
    assert seen(deployment(), topology(image="ubuntu-2"), aims=image)[1].handed
    assert not seen(deployment(), topology(image="ubuntu-1"), aims=image)[1].handed
    assert not seen(deployment(), topology(image="ubuntu-2"), aims=replace(image, class_revision="class-2"))[1].handed
    assert not seen(status={"image": "ubuntu-1"}, aims=image)[1].handed
    assert seen(deployment(), topology(), aims=image)[1].handed  # machines in memory are made from none
    assert seen(status={"image": "ubuntu-2", "classRevision": "class-1"}, aims=image)[1].handed


def test_machines_tell_what_counts_do_not_know_yet() -> None:
    _, pool = seen(deployment(), machine("a", NEW), machine("b", NEW), machine("c", OLD))
    assert (pool.new, pool.through) == (2, False)
    gone = machine("c", OLD, deletionTimestamp="2027-01-04T11:00:00Z")
    _, pool = seen(deployment(), machine("a", NEW), machine("b", NEW), machine("d", NEW), gone)
    assert (pool.machines, pool.going, pool.through) == (4, at("2027-01-04 11:00"), False)


def test_since_when_machines_come() -> None:
    late = machine("b", NEW, joined=False, creationTimestamp="2027-01-04T10:00:00Z")
    later = machine("c", NEW, joined=False, creationTimestamp="2027-01-04T11:00:00Z")
    _, pool = seen(deployment(), machine("a", NEW, creationTimestamp="2027-01-04T09:00:00Z"), late, later)
    assert (pool.coming, pool.moved) == (at("2027-01-04 10:00"), at("2027-01-04 11:00"))


def test_new_certificates_are_those_of_machines_made_since() -> None:
    renewed = Aims(version(NEW), (Change.CERTIFICATES,), certificates=NOW)
    status = {"controlPlane": {"replicas": 3, "ready": 3, "upToDate": 3}}
    before = [machine(f"cp-{n}", NEW, "", creationTimestamp="2026-01-04T10:00:00Z") for n in range(3)]
    assert not seen(*before, status=status, aims=renewed)[0].through
    after = [machine(f"cp-{n}", NEW, "", creationTimestamp="2027-01-04T12:00:01Z") for n in range(3)]
    assert seen(*after, status=status, aims=renewed)[0].through


def test_a_control_plane_is_through_when_its_oldest_machine_runs_the_version() -> None:
    status = {"controlPlane": {"replicas": 3, "ready": 3, "upToDate": 3}}
    assert seen(status=status)[0].through
    assert not seen(status={**status, "version": OLD})[0].through


def test_machines_of_a_control_plane_are_counted_while_the_oldest_is_of_before() -> None:
    plane = part(resources.KUBEADM_CONTROL_PLANE, "team", spec={"version": NEW}, status=counts(2, 1, 2))
    both = machine("a", OLD, pool=""), machine("b", NEW, pool="")
    found, _ = seen(plane, *both, status={"version": OLD})
    assert (found.handed, found.machines, found.ready, found.through) == (True, 2, 1, False)
    plane = part(resources.KUBEADM_CONTROL_PLANE, "team", spec={"version": OLD}, status=counts(1, 1, 1))
    assert not seen(plane, both[0], status={"version": OLD})[0].handed


@pytest.mark.parametrize(
    ("spec", "startup", "drain"),
    [
        ({}, 1800, timedelta(minutes=10)),
        ({"flavor": "dgx"}, 3600, timedelta(hours=2)),
        ({"flavor": "dgx", "gpu": {"drainTimeoutSeconds": 0}}, 3600, None),
        ({"update": {"drainTimeoutSeconds": 60}}, 1800, timedelta(minutes=1)),
        ({"flavor": "slow"}, 5400, timedelta(minutes=10)),
    ],
)
def test_how_long_a_machine_may_take(spec: Object, startup: int, drain: timedelta | None) -> None:
    _, pool = seen(**spec)
    assert (pool.startup.total_seconds(), pool.drain) == (startup, drain)


def test_the_deepest_cause_is_quoted() -> None:
    why = "OpenStackServer team-x: Nova: No valid host was found"
    condition = {"type": "WorkersReady", "status": "False", "reason": "X", "message": why}
    stamp = {"lastTransitionTime": NOW.isoformat()}
    _, pool = seen(status={"conditions": [{**condition, **stamp}]})
    assert pool.trouble == why
    boots = {"type": "BootstrapConfigReady", "status": "True"}
    lacks = {"type": "InfrastructureReady", "status": "False", "message": "the server is built"}
    coming = machine("b", NEW, joined=False)
    coming["status"]["conditions"] = [boots, lacks]
    _, pool = seen(deployment(), coming)
    assert pool.trouble == "Machine b: the server is built"


def test_a_layout_that_is_missing_is_told_by_the_machine_that_waits_for_it() -> None:
    """What its Cluster says of its machines may be another thing."""
    waits = {"type": "DrainAllowed", "status": "False", "reason": "LayoutFailed", "message": "b is not laid out"}
    old = machine("a", OLD)
    old["metadata"]["deletionTimestamp"] = NOW.isoformat()
    old["status"]["conditions"] = [waits]
    _, pool = seen(deployment(), old)
    assert (pool.unlaid, pool.unlaid_for_good) == ("Machine a: b is not laid out", True)
    old["status"]["conditions"] = [{**waits, "reason": "LayoutMissing"}]
    _, pool = seen(deployment(), old)
    assert (pool.unlaid, pool.unlaid_for_good) == ("Machine a: b is not laid out", False)
    old["status"]["conditions"] = [{**waits, "reason": "OthersMissing"}]
    _, pool = seen(deployment(), old)
    assert (pool.unlaid, pool.trouble) == ("", "Machine a: b is not laid out")


def test_pools_are_updated_by_their_order_and_then_as_the_spec_has_them() -> None:
    pools = [{"name": n, "flavor": "cpu-4", "update": {"order": o}} for n, o in (("a", 5), ("b", -1), ("c", 5))]
    raw = cluster().model_dump(by_alias=True, exclude_none=True, mode="json")
    raw["spec"]["nodePools"] = pools
    assert seeing.pools_in_order(type(cluster()).model_validate(raw)) == ("b", "a", "c")


def test_how_long_it_may_take_to_find_a_cluster_well() -> None:
    assert seen(deployment())[1].settle == timedelta(minutes=10)
    check = {"name": "smoke", "job": {"namespace": "test", "cronJob": "smoke"}, "timeoutSeconds": 3600}
    asked = {"verification": {"settleSeconds": 900, "checks": [check]}}
    sight = seeing.Sight(cluster(updates=asked), site(), AIMS)
    assert seeing.control_plane(sight).settle == timedelta(minutes=75)  # Jobs begin when all else holds


# --- what is rolled back when it stops ----------------------------------------------------------------------------

BEFORE = Before(version=OLD, image="ubuntu-a", class_revision="class-0")
ALL = Aims(version(NEW), (Change.PATCH,), "ubuntu-b", "class-1", at("2027-01-01"))


def brought(said: Object | None, aims: Aims = ALL, before: Before | None = BEFORE) -> dict[str, bool]:
    """What the update brings, and whether Cluster API has it."""
    sight = seeing.Sight(cluster(), site(), aims, said)
    return {b.what: b.handed for b in seeing.brings(sight, before)}


def test_what_it_brings_and_whether_that_was_handed() -> None:
    handed = topology(NEW, "ubuntu-b")
    handed["spec"]["topology"]["controlPlane"] = {"rollout": {"after": "2027-01-01T00:00:00Z"}}
    every = ("Version", "Image", "ClassRevision", "Certificates")
    assert brought(handed) == dict.fromkeys(every, True)
    not_yet = topology(OLD, "ubuntu-a")
    not_yet["spec"]["topology"]["classRef"] = {"name": "class-0"}
    assert brought(not_yet) == dict.fromkeys(every, False)
    assert brought(None) == dict.fromkeys(every, True)  # what is not seen is not taken for something that can go back


def test_what_stays_the_same_is_not_brought() -> None:
    same = Before(version=NEW, image="ubuntu-b", class_revision="class-1")
    assert brought(topology(NEW, "ubuntu-b"), replace(ALL, certificates=None), same) == {}
    assert brought(topology(), before=None) == {}
    assert "Image" not in brought(topology())  # the class knows no images


def test_machines_beyond_those_wanted_are_counted_where_they_are() -> None:
    said = topology()
    (there,) = said["spec"]["topology"]["workers"]["machineDeployments"]
    there["replicas"] = 2
    labels = {LABEL_POOL: "cpu", TOPOLOGY_DEPLOYMENT_LABEL: "cpu"}
    found = [part(resources.MACHINE, f"m-{n}", labels=labels, spec={"version": NEW}, status={}) for n in range(4)]
    found[3]["metadata"]["deletionTimestamp"] = "2027-01-05T22:00:00Z"
    _, pool = seen(deployment(), said, *found)
    assert pool.surplus == (("cpu", 1),)
    there["replicas"] = 3
    _, pool = seen(deployment(), said, *found)
    assert pool.surplus == ()


def test_whether_its_version_has_reached_a_pool() -> None:
    assert [seen(deployment(of))[1].reached for of in (OLD, NEW)] == [False, True]
    assert [seen(status={"nodePools": [pool_status(of, 3, 3, 3)]})[1].reached for of in (OLD, NEW)] == [False, True]

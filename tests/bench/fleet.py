"""A fleet that stands ready: every Cluster with all that Cluster API and CAPO make of it, as they would have it stored.

Nothing is left to do for the controller, and its status is written already, so that a start writes nothing. The
Clusters themselves are not there: repairs find no kubeconfig, say so in RepairsAllowed, and ask again in five minutes.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from functools import cache
from typing import Any

from kaas.api.cluster import Cluster
from kaas.api.constants import (
    API_VERSION,
    CONDITION_REPAIRS,
    FINALIZER,
    LABEL_POOL,
    REPAIR_STATUS_MANAGER,
    SYSTEM_NAMESPACE,
)
from kaas.api.parsed import Parsed
from kaas.api.site import Site
from kaas.clusters.classes import class_revision
from kaas.clusters.observe import observe
from kaas.clusters.plan import plan
from kaas.clusters.status import status
from kaas.clusters.watched import interests
from kaas.kube.difference import with_applied_hash
from kaas.kube.objects import Object
from kaas.repairs.policy import policies
from kaas.repairs.reasons import Reason
from kaas.repairs.templates import templates
from kaas.runtime.clock import SystemClock
from kaas.runtime.index import Index
from tests.bench import parts

NAMESPACE = "default"
VERSION = "v1.36.1"
SITE = "fleet"
POOLS = {"web": 3, "batch": 2, "dgx": 2}
CONTROL_PLANES = 3
MACHINES = CONTROL_PLANES + sum(POOLS.values())
FLAVORS: list[Object] = [
    {"name": "m1.medium"},
    {"name": "m1.large"},
    {"name": "g1.a100x8", "gpu": {"model": "A100-SXM4-40GB", "count": 8}},
]


def name_of(number: int) -> str:
    """Name of a Cluster of the fleet."""
    return f"team-{number:05}"


def shared() -> list[Object]:
    """What the Clusters share: Site, Releases, CAPO's identity, and the class revision as Cluster API has taken it."""
    ready = {"conditions": [parts.condition("VariablesReady"), parts.condition("RefVersionsUpToDate")]}
    revision = class_revision("openstack")
    cluster_class = parts.stored({**revision.cluster_class, "status": ready}, "kaas")
    return [site(SITE), *_releases(), *(parts.stored(o, "kaas") for o in revision.objects[:-1]), cluster_class]


def site(name: str) -> Object:
    """A Site with three zones; its Secret is `<name>-openstack`."""
    spec: Object = {
        "provider": "openstack",
        "credentials": {"secret": {"name": f"{name}-openstack", "namespace": SYSTEM_NAMESPACE}, "cloud": "openstack"},
        "region": "RegionOne",
        "externalNetwork": {"name": "public"},
        "flavors": FLAVORS,
        "zones": [{"name": f"az-{n}", "controlPlane": True} for n in (1, 2, 3)],
        "loadBalancer": {"provider": "amphora"},
    }
    found = {"apiVersion": API_VERSION, "kind": "Site", "metadata": {"name": name}, "spec": spec}
    return parts.stored(found, "kubectl")


def _releases() -> list[Object]:
    versions = (VERSION, "v1.36.2", "v1.36.3")
    return [
        parts.stored(
            {
                "apiVersion": API_VERSION,
                "kind": "Release",
                "metadata": {"name": v},
                "spec": {"version": v, "image": f"ubuntu-2404-kube-{v}"},
            },
            "kubectl",
        )
        for v in versions
    ]


def cluster(name: str, at: str = SITE, **metadata: Any) -> Object:
    """One of our Clusters as its user wrote it: three control planes and three pools."""
    flavors = {"web": "m1.large", "batch": "m1.large", "dgx": "g1.a100x8"}
    pools = [{"name": p, "flavor": flavors[p], "replicas": n, "labels": {}, "taints": []} for p, n in POOLS.items()]
    spec = {
        "version": VERSION,
        "site": at,
        "controlPlane": {"replicas": CONTROL_PLANES, "flavor": "m1.medium"},
        "nodePools": pools,
        "network": {"pods": "192.168.0.0/16", "services": "10.128.0.0/12", "nodes": "10.6.0.0/24"},
    }
    meta = {"name": name, "namespace": NAMESPACE, **metadata}
    return {"apiVersion": API_VERSION, "kind": "Cluster", "metadata": meta, "spec": spec}


@cache
def _known() -> tuple[Object, ...]:
    return tuple([*shared(), identity()])


@cache
def identity() -> Object:
    """CAPO's identity of the Site, as our plan writes it."""
    index = Index()
    for obj in (*shared(), parts.stored(cluster("probe", finalizers=[FINALIZER]), "kubectl")):
        index.put(obj)
    return parts.stored(_step(index, "probe", "identity"), "kaas")


def _step(index: Index, name: str, step: str) -> Object:
    snapshot = observe(index, (NAMESPACE, name), Parsed())
    assert snapshot is not None
    return next(s.apply[0] for s in plan(snapshot) if s.id == step)


def standing(number: int) -> list[Object]:
    """One Cluster with everything that belongs to it; our own object is the first."""
    name = name_of(number)
    uid = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"cluster.{name}"))
    ours = parts.stored(cluster(name, finalizers=[FINALIZER]), "kubectl", uid)
    index = Index()
    for obj in (*_known(), ours):
        index.put(obj)
    capi = parts.capi_cluster(_step(index, name, "cluster"))
    made = [capi, *_made(capi)]
    keep = {i.resource.group_kind: i.keep for i in interests(index)}
    for obj in made:
        small = keep[(obj["apiVersion"].rpartition("/")[0], obj["kind"])]
        index.put(small(obj) if small else obj)
    return [_with_status(index, ours), *made, *_repair_templates(ours)]


def _repair_templates(ours: Object) -> list[Object]:
    """One for the control plane and one for each pool, as repairs apply them."""
    model = Cluster.model_validate(ours)
    wanted = templates(model, policies(model, Site.model_validate(site(model.spec.site)), {}))
    return [parts.stored(with_applied_hash(t), "kaas") for t in wanted]


def _with_status(index: Index, ours: Object) -> Object:
    snapshot = observe(index, (NAMESPACE, ours["metadata"]["name"]), Parsed())
    assert snapshot is not None
    steps = plan(snapshot)
    assert not steps, [s.reason for s in steps]
    found = status(snapshot, steps, SystemClock().now())["status"]
    assert found["phase"] == "Ready", found
    repairs = {"conditions": [_out_of_sight(ours["metadata"]["name"])]}
    entries = [
        *ours["metadata"]["managedFields"],
        parts.managed("kaas-status", API_VERSION, {"status": found}, "status"),
        parts.managed(REPAIR_STATUS_MANAGER, API_VERSION, {"status": repairs}, "status"),
    ]
    meta = {**ours["metadata"], "managedFields": entries}
    return {**ours, "metadata": meta, "status": {**found, "conditions": found["conditions"] + repairs["conditions"]}}


def _out_of_sight(name: str) -> Object:
    """What repairs say of a Cluster that has no kubeconfig."""
    problem = (
        f"read the kubeconfig of {NAMESPACE}/{name}: there is no Secret {name}-kubeconfig: "
        "no control plane was made yet (check name and namespace, and that the kind's CRD is installed)"
    )
    return {
        "type": CONDITION_REPAIRS,
        "status": "False",
        "reason": str(Reason.BLIND_TO_CLUSTER),
        "message": f"the cluster cannot be seen: {problem}; its nodes are left alone until it can",
        "lastTransitionTime": parts.SINCE,
    }


def _made(capi: Object) -> Iterator[Object]:
    """What Cluster API's topology controller, KCP and CAPO make."""
    yield parts.infrastructure(capi)
    yield parts.control_plane(capi, CONTROL_PLANES)
    for n in range(CONTROL_PLANES):
        yield from parts.machine(capi, f"cp-{n}", {"cluster.x-k8s.io/control-plane": ""})
    for pool, replicas in POOLS.items():
        yield parts.deployment(capi, pool, replicas)
        for n in range(replicas):
            yield from parts.machine(capi, f"{pool}-{n}", {LABEL_POOL: pool, "cluster.x-k8s.io/deployment-name": pool})

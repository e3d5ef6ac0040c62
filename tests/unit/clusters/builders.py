"""Small objects to test with: each builder gives a valid one, and takes what the test is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kaas.api.cluster import Cluster
from kaas.api.constants import API_VERSION, FINALIZER, LABEL_CLUSTER, LABEL_POOL
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.clusters.classes import ClassRevision, class_revision
from kaas.clusters.plan import Step, plan
from kaas.clusters.snapshot import Cloud, Live, Snapshot
from kaas.clusters.target import Target, target

Object = dict[str, Any]

NAMESPACE = "tenants"
NAME = "team"
UID = "11111111-2222-3333-4444-555555555555"
VERSIONS = ("v1.35.6", "v1.36.1", "v1.36.3")
CAPI = "cluster.x-k8s.io/v1beta2"


def pool(name: str = "cpu", **more: Any) -> Object:
    return {"name": name, "flavor": "cpu-4", "replicas": 2, **more}


def raw_cluster(
    name: str = NAME, *, metadata: Object | None = None, status: Object | None = None, **spec: Any
) -> Object:
    said = {
        "version": "v1.36.1",
        "site": "north",
        "controlPlane": {"flavor": "cpu-2", "replicas": 3},
        "nodePools": [pool()],
        **spec,
    }
    meta = {"name": name, "namespace": NAMESPACE, "uid": UID, "generation": 1, **(metadata or {})}
    found: Object = {"apiVersion": API_VERSION, "kind": "Cluster", "metadata": meta, "spec": said}
    return found | ({"status": status} if status else {})


def raw_site(name: str = "north", **spec: Any) -> Object:
    said = {
        "provider": "openstack",
        "credentials": {"secret": {"name": "north-openstack"}},
        "region": "RegionOne",
        "externalNetwork": {"name": "public"},
        "flavors": [
            {"name": "cpu-2"},
            {"name": "cpu-4"},
            {"name": "dgx", "gpu": {"model": "A100-SXM4-40GB", "count": 8}},
        ],
        "zones": [{"name": "az-1"}, {"name": "az-2"}, {"name": "az-3"}],
        **spec,
    }
    return {"apiVersion": API_VERSION, "kind": "Site", "metadata": {"name": name}, "spec": said}


def raw_dev_site(name: str = "dev") -> Object:
    spec = {"provider": "dev", "flavors": [{"name": "cpu-2"}, {"name": "cpu-4"}]}
    return {"apiVersion": API_VERSION, "kind": "Site", "metadata": {"name": name}, "spec": spec}


def raw_release(version: str, image: str | None = None, name: str | None = None) -> Object:
    spec = {"version": version, "image": image or f"node-{version}"}
    return {"apiVersion": API_VERSION, "kind": "Release", "metadata": {"name": name or version}, "spec": spec}


def cluster(name: str = NAME, **more: Any) -> Cluster:
    return Cluster.model_validate(raw_cluster(name, **more))


def site(name: str = "north", **spec: Any) -> Site:
    return Site.model_validate(raw_site(name, **spec))


def dev_site(name: str = "dev") -> Site:
    return Site.model_validate(raw_dev_site(name))


def release(version: str, image: str | None = None, name: str | None = None) -> Release:
    return Release.model_validate(raw_release(version, image, name))


RELEASES = tuple(release(v) for v in VERSIONS)


def snapshot(subject: Cluster | None = None, place: Site | None = None, **more: Any) -> Snapshot:
    """A Cluster that nothing was made of yet, but for its finalizer."""
    place = place or site()
    finalized = subject or cluster(metadata={"finalizers": [FINALIZER]})
    known = {"releases": RELEASES, "revision": class_revision(place.spec.provider), **more}
    return Snapshot(cluster=finalized, site=place, **known)


def aim(found: Snapshot) -> Target:
    assert found.site is not None
    assert found.revision is not None
    return target(found, found.site, found.revision)


def ready_class(revision: ClassRevision) -> dict[str, Object]:
    """The class of a revision as Cluster API has taken it up, by name."""
    status = {"conditions": [{"type": "VariablesReady", "status": "True"}]}
    return {revision.name: {**revision.cluster_class, "status": status}}


def condition(name: str, status: str = "True", reason: str = "Because", message: str = "") -> Object:
    return {"type": name, "status": status, "reason": reason, "message": message}


def capi_object(kind: str, name: str, *, conditions: Sequence[Object] = (), **more: Any) -> Object:
    """A part of what Cluster API makes of the Cluster; `labels` are added to those that it sets itself."""
    labels = {"cluster.x-k8s.io/cluster-name": NAME, **more.pop("labels", {})}
    meta = {"name": name, "namespace": NAMESPACE, "labels": labels, **more.pop("metadata", {})}
    status = {"conditions": list(conditions), **more.pop("status", {})}
    return {"apiVersion": CAPI, "kind": kind, "metadata": meta, "status": status, **more}


def machine(name: str, *conditions: Object, control_plane: bool = False, **more: Any) -> Object:
    labels = {"cluster.x-k8s.io/control-plane": ""} if control_plane else {}
    return capi_object("Machine", name, conditions=conditions, labels=labels, **more)


def deployment(name: str, of_pool: str, version: str = "v1.36.1", **status: Any) -> Object:
    spec = {"template": {"spec": {"version": version}}}
    return capi_object("MachineDeployment", name, labels={LABEL_POOL: of_pool}, spec=spec, status=status)


def capi_cluster(*conditions: Object, topology: Mapping[str, Any] | None = None, **more: Any) -> Object:
    """The Cluster API Cluster, observed in its newest generation."""
    meta = {"generation": 1, "labels": {LABEL_CLUSTER: NAME}, **more.pop("metadata", {})}
    found = capi_object("Cluster", NAME, conditions=conditions, metadata=meta, status={"observedGeneration": 1})
    return found | {"spec": {"topology": dict(topology or {}), **more.pop("spec", {})}} | more


def applied(found: Snapshot) -> Object:
    """The Cluster API Cluster that a plan for this snapshot writes."""
    (step,) = (s for s in plan(found) if s.id == "cluster")
    return step.apply[0]


def settled(subject: Cluster | None = None, place: Site | None = None, **more: Any) -> Snapshot:
    """A Cluster of which everything is made, so that nothing is left to do."""
    new = snapshot(subject, place, **more)
    assert new.site is not None
    assert new.revision is not None
    classes = ready_class(new.revision)
    first = snapshot(new.cluster, new.site, **{**more, "classes": classes})
    identity = next((s.apply[0] for s in plan(first) if s.id == "identity"), None)
    live = Live(cluster=applied(first))
    return snapshot(new.cluster, new.site, **{"classes": classes, "identity": identity, "live": live, **more})


def full_cloud(**more: Any) -> Cloud:
    """A cloud that has everything, without limits."""
    has: dict[str, Any] = {
        "images": {f"node-{v}": "active" for v in VERSIONS},
        "flavors": {"cpu-2": (2, 4096), "cpu-4": (4, 8192), "dgx": (128, 1 << 20)},
        "external_networks": frozenset({"public"}),
        "zones": frozenset({"az-1", "az-2", "az-3"}),
    }
    return Cloud(**{**has, **more})


def ids(steps: Sequence[Step]) -> list[str]:
    return [s.id for s in steps]


def reasons(steps: Sequence[Step]) -> list[str]:
    return [g.reason for s in steps for g in s.gates]

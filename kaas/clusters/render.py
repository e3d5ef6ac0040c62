"""The Cluster API objects of one Cluster. Pure: what goes in decides what comes out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import yaml
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from kaas import data
from kaas.api.cluster import Cluster
from kaas.api.constants import API_VERSION, LABEL_CLUSTER, LABEL_POOL, LABEL_SITE, SYSTEM_NAMESPACE
from kaas.api.node_repair_template import template_name
from kaas.api.patience import BOX_STARTUP, SERVER_STARTUP, startup
from kaas.api.repair import Mode, strictest
from kaas.api.site import Site
from kaas.clusters.classes import WORKER_CLASS, ClassRevision
from kaas.clusters.held import Holding, gpu_annotation
from kaas.clusters.holding import Holds, holds
from kaas.clusters.pools import Deployment, deployments
from kaas.clusters.snapshot import Live, Object
from kaas.clusters.target import Target
from kaas.kube.resources import DEFER_UPGRADE, DRAIN_HOOK

_SURROGATES = re.compile(r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}")

CAPO_IDENTITY_API = "infrastructure.cluster.x-k8s.io/v1alpha1"

# Seconds until a machine has joined, and that its node may be silent, and say that it is not ready.
SERVER_SECONDS = (SERVER_STARTUP, 300, 600)
BOX_SECONDS = (BOX_STARTUP, 900, 1800)

BOX_DELETION_SECONDS = {"nodeVolumeDetachTimeoutSeconds": 300, "nodeDeletionTimeoutSeconds": 60}

# Immutable in CAPO's OpenStackCluster: a Cluster keeps what it was made with, whatever becomes of the Site.
PINNED_VARIABLES = ("externalNetwork", "nodesCIDR", "loadBalancerProvider", "ownerTag")


def identity_name(site: str) -> str:
    """Name of the OpenStackClusterIdentity through which the Clusters of a Site use its credentials."""
    return f"kaas-{site}"


def owner_tag(uid: str) -> str:
    """Tag on what a Cluster has in OpenStack. By UID: two Clusters of one name never share it."""
    return f"kaas-cluster-{uid}"


def identity(site: Site) -> Object | None:
    """The Site's identity for CAPO; None for a provider without a cloud."""
    credentials = site.spec.credentials
    if site.spec.provider != "openstack" or credentials is None:
        return None
    secret = credentials.secret
    return {
        "apiVersion": CAPO_IDENTITY_API,
        "kind": "OpenStackClusterIdentity",
        "metadata": {"name": identity_name(site.metadata.name), "labels": {LABEL_SITE: site.metadata.name}},
        "spec": {"secretRef": {"name": secret.name, "namespace": secret.namespace}},
    }


def cluster(cluster: Cluster, site: Site, target: Target, live: Live) -> Object:
    """The Cluster API Cluster. `live` is what must not change under a Cluster that exists: see PINNED_VARIABLES."""
    found = deployments(cluster.spec.node_pools, site, Holding(live.cluster).gpus)
    held = holds(cluster, target, live, found)
    context = {
        "name": cluster.metadata.name,
        "namespace": cluster.metadata.namespace,
        "labels": {LABEL_CLUSTER: cluster.metadata.name, LABEL_SITE: site.metadata.name},
        "owner": _owner(cluster),
        "network": cluster.spec.network,
        "class_name": target.class_name,
        "class_namespace": SYSTEM_NAMESPACE,
        "version": target.version,
        "control_plane_replicas": cluster.spec.control_plane.replicas,
        "worker_class": WORKER_CLASS,
        "certificates": target.certificates,
        "control_plane_check": _health_check(cluster, site, None),
        "deployments": [
            _deployment(d, target, held) | {"health_check": _health_check(cluster, site, d)} for d in found
        ],
        "variables": _known(_variables(cluster, site, target, live), target),
    }
    return _parse(_template().render(context))


def everything(subject: Cluster, site: Site, target: Target, revision: ClassRevision) -> list[Object]:
    """All that a new Cluster needs, in the order in which it is applied."""
    own = identity(site)
    return [*([own] if own else []), *revision.objects, cluster(subject, site, target, Live())]


@lru_cache(maxsize=4096)
def _parse(text: str) -> Object:
    """Parsing is most of the cost of a plan, and most plans come out as the last one. Never change what it returns."""
    parsed: Object = yaml.load(text, yaml.CSafeLoader)
    return parsed


@cache
def _template() -> Any:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(data.folder("clusterclass")), undefined=StrictUndefined, autoescape=False
    )
    environment.policies["json.dumps_function"] = _dumps
    return environment.get_template("cluster.yaml.j2")


def _dumps(value: Any, **options: Any) -> str:
    """JSON that is YAML too, which has no pairs of surrogates: such a character is escaped by its own number."""
    return _SURROGATES.sub(_by_number, json.dumps(value, **options))


def _by_number(pair: re.Match[str]) -> str:
    character: str = json.loads(f'"{pair[0]}"')
    return f"\\U{ord(character):08x}"


def _owner(cluster: Cluster) -> Object | None:
    if not cluster.metadata.uid:
        return None
    return {
        "apiVersion": API_VERSION,
        "kind": "Cluster",
        "name": cluster.metadata.name,
        "uid": cluster.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _deployment(part: Deployment, target: Target, held: Holds) -> Object:
    overrides: Object = {
        "workerFlavor": part.flavor,
        "nodeLabels": part.node_labels,
        "nodeTaints": [t.to_json() for t in part.taints],
    }
    if image := held.images.get(part.name):
        overrides["images"] = {**target.images, target.version: image}
    return {
        "name": part.name,
        "replicas": part.replicas + held.surplus.get(part.name, 0),
        "zone": part.zone,
        "rollout": part.rollout,
        "on_delete": part.name in held.on_delete,
        "deletion": _deletion(part),
        "machine_labels": {LABEL_POOL: part.pool},
        "annotations": _annotations(part) | ({DEFER_UPGRADE: ""} if part.name in held.deferred else {}),
        "variables": _known(overrides.items(), target),
    }


def _annotations(part: Deployment) -> dict[str, str]:
    """What is said at the MachineDeployment, and by Cluster API at its Machines, those that are being deleted aside."""
    hook = {DRAIN_HOOK: ""} if part.waits_before_drain else {}
    return part.capacity | gpu_annotation(part.gpu) | hook


def _deletion(part: Deployment) -> Object | None:
    """How a machine goes, where that differs from the class; a pool of boxes says all of it."""
    drain = {} if part.drain_seconds is None else {"nodeDrainTimeoutSeconds": part.drain_seconds}
    return {"order": "Oldest", **drain, **BOX_DELETION_SECONDS} if part.gpu else drain or None


def _health_check(cluster: Cluster, site: Site, part: Deployment | None) -> Object:
    """What MachineHealthCheck does for a pool, None being the control plane. template: None when it is not to be."""
    pool = next((p for p in cluster.spec.node_pools if part and p.name == part.pool), None)
    mode = strictest(site.spec.repair.mode, cluster.spec.repair.mode, pool.repair.mode if pool else Mode.AUTOMATIC)
    slow = part is not None and (part.gpu is not None or part.flavor in _bare_metal(site))
    joined, unknown, not_ready = BOX_SECONDS if slow else SERVER_SECONDS
    return {
        "control_plane": part is None,
        "startup": startup(site, part.flavor if part else cluster.spec.control_plane.flavor, joined),
        "unknown": unknown,
        "not_ready": not_ready,
        "template": None if mode is Mode.OFF else template_name(cluster.metadata.name, part.pool if part else ""),
    }


def _bare_metal(site: Site) -> frozenset[str]:
    return frozenset(f.name for f in site.spec.flavors if f.bare_metal)


def _variables(cluster: Cluster, site: Site, target: Target, live: Live) -> Iterable[tuple[str, Any]]:
    spec, pinned = site.spec, live.variables
    wanted: Object = {
        "controlPlaneFlavor": cluster.spec.control_plane.flavor,
        "controlPlaneZones": control_plane_zones(cluster, site),
        "images": dict(target.images),
        "identity": _identity_variable(site, pinned.get("identity") or {}),
        "externalNetwork": spec.external_network.to_json() if spec.external_network else None,
        "nodesCIDR": cluster.spec.network.nodes,
        "dnsNameservers": [str(a) for a in spec.dns_nameservers],
        "loadBalancerProvider": spec.load_balancer.provider,
        "ownerTag": owner_tag(cluster.metadata.uid) if cluster.metadata.uid else None,
    }
    if pinned:
        wanted |= {name: pinned.get(name) for name in PINNED_VARIABLES}
    return wanted.items()


def control_plane_zones(cluster: Cluster, site: Site) -> list[str]:
    """Zones of the control plane: the Cluster's own, else those that the Site has for control planes."""
    return list(cluster.spec.control_plane.zones) or [z.name for z in site.spec.zones if z.control_plane]


def _identity_variable(site: Site, pinned: Mapping[str, str]) -> Object | None:
    """Credentials may change under a Cluster; its region may not: nothing of it is in another one."""
    if site.spec.credentials is None:
        return None
    region = pinned.get("region") if pinned else site.spec.region
    named = {"name": identity_name(site.metadata.name), "cloudName": site.spec.credentials.cloud}
    return named | ({"region": region} if region else {})


def _known(variables: Iterable[tuple[str, Any]], target: Target) -> Sequence[Object]:
    """Only what the Cluster's class revision takes, and nothing that is not set."""
    return [
        {"name": name, "value": value}
        for name, value in variables
        if value is not None and name in target.class_variables
    ]

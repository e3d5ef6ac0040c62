"""What this feature wants to see of the management cluster, whose key an event means, and how little of it is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kaas.api.constants import LABEL_SITE
from kaas.clusters.observe import Key
from kaas.clusters.others import concern
from kaas.clusters.snapshot import Object
from kaas.kube import lean, resources
from kaas.kube.listing import clusters_of_site
from kaas.kube.objects import labels, name_of
from kaas.kube.ports import Source
from kaas.kube.resources import CLUSTER_NAME_LABEL, Resource

PARTS = (
    resources.KUBEADM_CONTROL_PLANE,
    resources.MACHINE_DEPLOYMENT,
    resources.MACHINE,
    resources.OPENSTACK_CLUSTER,
    resources.OPENSTACK_MACHINE,
    resources.OPENSTACK_SERVER,
)
"""What Cluster API and its provider make of one Cluster."""
KEPT_OF = {resources.MACHINE: lean.machine, resources.OPENSTACK_CLUSTER: lean.infrastructure}


@dataclass(frozen=True)
class Interest:
    """One kind: whose keys an object of it means, what of it is kept in memory, and what of that is of concern."""

    resource: Resource
    keys: Callable[[Object], Iterable[Key]]
    keep: Callable[[Object], Object] | None = None
    concern: Callable[[Object], Any] | None = None


def interests(source: Source) -> list[Interest]:
    """Every kind that a snapshot is made of. `source` tells which Clusters use a Site."""

    def of_site(site: str) -> Iterable[Key]:
        return clusters_of_site(source, site)

    def waiting_for(cluster_class: Object) -> Iterable[Key]:
        """Those that may wait for a class; the others stay on the one that they have."""
        name = cluster_class["metadata"]["name"]
        for cluster in source.list(resources.CLUSTER):
            goes_to = ((cluster.get("status") or {}).get("update") or {}).get("classRevision")
            if goes_to == name or source.get(resources.CAPI_CLUSTER, *name_of(cluster)) is None:
                yield name_of(cluster)

    every = [
        Interest(resources.CLUSTER, lambda o: [name_of(o)], concern=concern),
        Interest(resources.SITE, lambda o: of_site(o["metadata"]["name"])),
        Interest(resources.RELEASE, lambda _: [name_of(c) for c in source.list(resources.CLUSTER)]),
        Interest(resources.CLUSTER_CLASS, waiting_for, lean.cluster_class),
        Interest(resources.OPENSTACK_CLUSTER_IDENTITY, lambda o: of_site(labels(o).get(LABEL_SITE, ""))),
        Interest(resources.CAPI_CLUSTER, lambda o: [name_of(o)], lean.cluster),
    ]
    return every + [Interest(r, _cluster_key, KEPT_OF.get(r, lean.part)) for r in PARTS]


def _cluster_key(obj: Object) -> Iterable[Key]:
    name = labels(obj).get(CLUSTER_NAME_LABEL)
    return [(obj["metadata"].get("namespace") or "", name)] if name else []

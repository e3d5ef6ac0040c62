"""Which kinds are in namespaces, as far as that is known without a Cluster. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kaas.addons.manifests import Bundle, identity
from kaas.kube.objects import Object, ref_of

NAMESPACED: Final = {
    "": (
        "ConfigMap Endpoints Event LimitRange PersistentVolumeClaim Pod PodTemplate ReplicationController "
        "ResourceQuota Secret Service ServiceAccount"
    ),
    "apps": "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
    "autoscaling": "HorizontalPodAutoscaler",
    "batch": "CronJob Job",
    "coordination.k8s.io": "Lease",
    "discovery.k8s.io": "EndpointSlice",
    "events.k8s.io": "Event",
    "networking.k8s.io": "Ingress NetworkPolicy",
    "policy": "PodDisruptionBudget",
    "rbac.authorization.k8s.io": "Role RoleBinding",
    "resource.k8s.io": "ResourceClaim ResourceClaimTemplate",
    "storage.k8s.io": "CSIStorageCapacity",
}
"""Kinds of Kubernetes itself that are in namespaces, by group (its discovery, v1.34 to v1.37)."""
_CRD: Final = ("apiextensions.k8s.io", "CustomResourceDefinition")


def without_namespace(bundle: Bundle) -> Iterator[str]:
    """Objects that every Cluster would refuse, since they say no namespace and their kind is in namespaces."""
    known = {(group, kind) for group, kinds in NAMESPACED.items() for kind in kinds.split()}
    known |= {found for obj in bundle.objects if (found := _defined(obj))}
    for obj in bundle.objects:
        group, kind, namespace, _ = identity(obj)
        if not namespace and (group, kind) in known:
            yield f"{ref_of(obj)} says no namespace, and its kind is in namespaces: set metadata.namespace"


def _defined(obj: Object) -> tuple[str, str] | None:
    """Group and kind of a CRD whose objects are in namespaces."""
    spec = obj.get("spec")
    if identity(obj)[:2] != _CRD or not isinstance(spec, dict) or spec.get("scope") != "Namespaced":
        return None
    names = spec.get("names")
    return str(spec.get("group")), str(names.get("kind") if isinstance(names, dict) else None)

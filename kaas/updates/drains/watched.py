"""What of the objects that it watches this feature reads. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kaas.kube import resources
from kaas.kube.objects import Object, condition, labels, metadata, name_of
from kaas.kube.ports import Source
from kaas.kube.resources import CLUSTER_NAME_LABEL
from kaas.updates.drains.seen import is_held, node_of

Key = tuple[str, str]
"""Namespace and name of a Machine."""
_CONDITIONS = ("Ready", "UpToDate", "OwnerRemediated")


def of_machine(source: Source, machine: Object) -> Iterable[Key]:
    """The machines of its Cluster that wait: each may wait for this one."""
    name = labels(machine).get(CLUSTER_NAME_LABEL)
    return held(source, (metadata(machine).get("namespace") or "", name)) if name else []


def held(source: Source, cluster: tuple[str, str]) -> list[Key]:
    """The machines of a Cluster that are to go and wait for us."""
    return [name_of(m) for m in source.of_cluster(resources.MACHINE, *cluster) if is_held(m)]


def machine_concern(machine: Object) -> Any:
    """Of a Machine: whether it is to go, what is said of that, whether it has joined, and whether it is well."""
    meta = metadata(machine)
    found = [(condition(machine, name) or {}).get("status") for name in _CONDITIONS]
    return meta.get("deletionTimestamp"), meta.get("annotations"), meta.get("uid"), node_of(machine), found


def cluster_concern(cluster: Object) -> Any:
    """Of a Cluster: its pools, and whether it is to go."""
    return metadata(cluster).get("deletionTimestamp"), cluster["spec"].get("nodePools")

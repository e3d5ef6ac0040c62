"""What of the objects that it watches this feature reads. Pure."""

from __future__ import annotations

from typing import Any

from kaas.kube import resources
from kaas.kube.objects import Object, condition, labels, metadata, name_of
from kaas.kube.ports import Source
from kaas.kube.resources import CLUSTER_NAME_LABEL
from kaas.updates.drains.seen import is_held, node_of

Key = tuple[str, str]
"""Namespace and name."""
_CONDITIONS = ("Ready", "UpToDate", "OwnerRemediated")


class Waiting:
    """Which machines wait for us, by Cluster: of thousands of machines few do, and each event asks for them."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._of: dict[Key, set[Key]] = {}

    def see(self, machine: Object) -> list[Key]:
        """A machine has appeared, changed or gone: those of its Cluster that wait, for each may wait for this one."""
        name = labels(machine).get(CLUSTER_NAME_LABEL)
        if not name:
            return []
        cluster = (name_of(machine)[0], name)
        if is_held(machine):
            self._of.setdefault(cluster, set()).add(name_of(machine))
        return self.of_cluster(cluster)

    def of_cluster(self, cluster: Key) -> list[Key]:
        """Those of a Cluster."""
        if cluster not in self._of:
            return []
        found = {key for key in self._of[cluster] if self._waits(key)}
        if found:
            self._of[cluster] = found
        else:
            del self._of[cluster]
        return sorted(found)

    def _waits(self, key: Key) -> bool:
        machine = self._source.get(resources.MACHINE, *key)
        return machine is not None and is_held(machine)


def machine_concern(machine: Object) -> Any:
    """Of a Machine: whether it is to go, what is said of that, whether it has joined, and whether it is well."""
    meta = metadata(machine)
    found = [(condition(machine, name) or {}).get("status") for name in _CONDITIONS]
    return meta.get("deletionTimestamp"), meta.get("annotations"), meta.get("uid"), node_of(machine), found


def cluster_concern(cluster: Object) -> Any:
    """Of a Cluster: its pools, and whether it is to go."""
    return metadata(cluster).get("deletionTimestamp"), cluster["spec"].get("nodePools")

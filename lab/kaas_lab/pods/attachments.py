"""Which node holds which volume: one that is ReadWriteOnce is attached to a single node at a time. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from kaas_lab.machines.api import Object

from .volumes import NotReady

SHARED = {"ReadWriteMany", "ReadOnlyMany"}


class Attachments:
    """Of all nodes of a lab: volume to node to the Pods that use it there."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, set[str]]] = {}

    def hold(self, volume: Object, node: str, pod: str) -> None:
        """Attach a PersistentVolume to a node for a Pod. Raises NotReady while another node has it for itself."""
        name = volume["metadata"]["name"]
        held = self._held.setdefault(name, {})
        others = [other for other, pods in held.items() if other != node and pods]
        if others and not SHARED & set(volume["spec"]["accessModes"]):
            message = f'Multi-Attach error for volume "{name}" Volume is already used by pod(s) on node {others[0]}'
            raise NotReady(message, "FailedAttachVolume")
        held.setdefault(node, set()).add(pod)

    def release(self, node: str, pod: str) -> None:
        """A Pod uses none of its volumes any more."""
        for held in self._held.values():
            held.get(node, set()).discard(pod)

    def users(self, volume: str) -> Iterable[str]:
        """Pods, by uid, that have a volume on any node."""
        return [pod for pods in self._held.get(volume, {}).values() for pod in pods]

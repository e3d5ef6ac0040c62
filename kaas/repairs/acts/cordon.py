"""Cordon a Node, and know whose cordon it is: what a person cordoned stays cordoned (`quarantine.release`)."""

from __future__ import annotations

from typing import Any, Final, Protocol

from kaas.api.constants import GROUP
from kaas.kube.client import KubeClient
from kaas.kube.objects import Object, Ref, annotation, metadata, ref_of
from kaas.kube.resources import NODE
from kaas.repairs.acts.task import Task
from kaas.repairs.facts import ClusterKey

CORDONED: Final = f"{GROUP}/cordoned-by-repair"
"""Annotation of a Node that a repair cordoned: why. Only a Node that has it is uncordoned."""


class Clients(Protocol):
    """Where the clients of workload clusters come from."""

    async def client(self, cluster: ClusterKey) -> KubeClient:
        """Client for a cluster's API server; KubeError when there is none."""


def node_ref(name: str) -> Ref:
    """Names a Node."""
    return Ref(NODE.api_version, NODE.kind, None, name)


def node_name(task: Task) -> str | None:
    """Node of a task, None when the machine never joined."""
    return task.node.name if task.node else task.patient.machine.node


def is_cordoned(node: Object) -> bool:
    """Whether nothing new is scheduled there."""
    return bool((node.get("spec") or {}).get("unschedulable"))


def is_ours(node: Object) -> bool:
    """Whether a repair cordoned it."""
    return annotation(node, CORDONED) is not None


async def cordon(client: KubeClient, node: Object, reason: str) -> Object:
    """Cordon a Node as it was read, unless it is; Conflict when it changed since. Returns it as it is now.

    Cordon and mark are one write, so that no crash leaves a cordon of which nobody knows whose it is.
    """
    if is_cordoned(node):
        return node
    return await write(client, node, {CORDONED: reason}, unschedulable=True)


async def write(
    client: KubeClient,
    node: Object,
    annotations: dict[str, str | None],
    *,
    labels: dict[str, str | None] | None = None,
    **spec: Any,
) -> Object:
    """Change a Node as it was read; None removes. Conflict when it changed since."""
    meta: Object = {"resourceVersion": metadata(node)["resourceVersion"], "annotations": annotations}
    if labels:
        meta["labels"] = labels
    return await client.patch(ref_of(node), {"metadata": meta, "spec": spec} if spec else {"metadata": meta})

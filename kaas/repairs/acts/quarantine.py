"""Keep a node for a person: nothing new is scheduled, and nothing that runs is touched, so that it can be examined."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from kaas.api.constants import LABEL_QUARANTINED
from kaas.kube.client import KubeClient
from kaas.kube.errors import Conflict
from kaas.kube.nodewatch import in_time
from kaas.kube.objects import Object, annotation, labels
from kaas.repairs.acts.cordon import CORDONED, Clients, is_cordoned, is_ours, node_name, node_ref, write
from kaas.repairs.acts.task import Result, Task

PASS = 8.0  # seconds
_NOT_IN_LABEL = re.compile(r"[^A-Za-z0-9._-]+")
_LABEL_LENGTH = 63


class Quarantine:
    """Cordon, label, taint and annotation of the Node, in one write. The Machine and the ticket are others' work."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    async def __call__(self, task: Task, now: datetime) -> Result:
        """Write what is not so yet."""
        name = node_name(task)
        if name is None:
            return Result(True, "kept for a person; it never joined, so there is no Node to mark")
        client = await self._clients.client(task.patient.machine.cluster)
        return await in_time(PASS, f"quarantine {name}", _keep(client, name, _signal(task), task.reason))


async def _keep(client: KubeClient, name: str, signal: str, reason: str) -> Result:
    node = await client.get(node_ref(name))
    if node is None:
        return Result(True, f"kept for a person; there is no Node {name} any more")
    if not _is_kept(node):
        annotations: dict[str, str | None] = {LABEL_QUARANTINED: reason}
        spec: dict[str, Any] = {"taints": [*_other_taints(node), _taint(signal)]}
        if not is_cordoned(node):
            annotations[CORDONED] = reason
            spec["unschedulable"] = True
        try:
            await write(client, node, annotations, labels={LABEL_QUARANTINED: signal}, **spec)
        except Conflict:
            return Result(False, "the Node changed meanwhile")
    return Result(True, f"kept for a person: {reason}")


async def release(client: KubeClient, name: str) -> bool:
    """Undo a quarantine, and the cordon if it was a repair's; whether there was any. Conflict: call it again."""
    node = await client.get(node_ref(name))
    if node is None or not (_marked(node) or is_ours(node)):
        return False
    annotations: dict[str, str | None] = {LABEL_QUARANTINED: None}
    spec: dict[str, Any] = {"taints": _other_taints(node) or None}
    if is_ours(node):
        annotations[CORDONED] = None
        spec["unschedulable"] = None
    await write(client, node, annotations, labels={LABEL_QUARANTINED: None}, **spec)
    return True


def label_value(text: str) -> str:
    """What a label can say of a text."""
    return _NOT_IN_LABEL.sub("-", text)[:_LABEL_LENGTH].strip("-._") or "unknown"


def _signal(task: Task) -> str:
    patient = task.patient
    cause = patient.progress.cause if patient.progress else ""
    return label_value(cause or (patient.findings[0].signal if patient.findings else ""))


def _is_kept(node: Object) -> bool:
    taints = (node.get("spec") or {}).get("taints") or []
    return bool(
        labels(node).get(LABEL_QUARANTINED)
        and annotation(node, LABEL_QUARANTINED) is not None
        and is_cordoned(node)
        and any(t.get("key") == LABEL_QUARANTINED for t in taints)
    )


def _marked(node: Object) -> bool:
    return (
        LABEL_QUARANTINED in labels(node)
        or annotation(node, LABEL_QUARANTINED) is not None
        or len(_other_taints(node)) != len((node.get("spec") or {}).get("taints") or [])
    )


def _other_taints(node: Object) -> list[Object]:
    return [t for t in (node.get("spec") or {}).get("taints") or [] if t.get("key") != LABEL_QUARANTINED]


def _taint(signal: str) -> Object:
    return {"key": LABEL_QUARANTINED, "value": signal, "effect": "NoSchedule"}

"""Replace: the Machine's owner is asked to, and does it by its own rules. Nothing is deleted here.

MachineSet and KubeadmControlPlane replace a Machine whose conditions `HealthCheckSucceeded` and `OwnerRemediated` are
both False; that is how an external remediation hands a Machine back. A control plane is replaced one at a time then,
with its quorum checked, and a MachineSet checks that nothing is being upgraded.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol

from kaas.api.constants import ANNOTATION_REPLACED, REPAIR_STATUS_MANAGER
from kaas.kube import resources
from kaas.kube.objects import Object, Ref, annotation, is_deleting, labels
from kaas.kube.resources import DEPLOYMENT_NAME_LABEL, Resource
from kaas.kube.times import stamp
from kaas.repairs.acts.task import Result, Task
from kaas.repairs.records import replaced_of, with_replaced

HEALTH_CHECK: Final = "HealthCheckSucceeded"
OWNER_REMEDIATED: Final = "OwnerRemediated"
WAITING: Final = "WaitingForRemediation"  # as MachineHealthCheck itself says it


class Writer(Protocol):
    """What is written to the management cluster."""

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        """Server-side apply of the status."""

    async def patch(self, ref: Ref, patch: Object, *, subresource: str = "") -> Object:
        """Merge patch."""


Get = Callable[[Resource, str | None, str], Object | None]
"""An object as the watches have seen it."""


class Replace:
    """Hands a Machine back to its owner as unhealthy, once; done when that is said."""

    def __init__(self, get: Get, writer: Writer) -> None:
        self._get = get
        self._writer = writer

    async def __call__(self, task: Task, now: datetime) -> Result:
        """Say that the Machine is to be replaced."""
        machine = self._get(resources.MACHINE, *task.patient.machine.key)
        if machine is None or is_deleting(machine):
            return Result(True, "its owner deletes the Machine")
        await self._remember(machine, task.started)
        await self._writer.apply_status(_handed_back(machine, task, now), manager=REPAIR_STATUS_MANAGER)
        return Result(True, "its owner was asked to replace the Machine")

    async def _remember(self, machine: Object, started: datetime) -> None:
        """Note the replacement at the MachineDeployment: the Machine is gone soon, and its history with it."""
        name = labels(machine).get(DEPLOYMENT_NAME_LABEL)
        namespace = machine["metadata"]["namespace"]
        deployment = self._get(resources.MACHINE_DEPLOYMENT, namespace, name) if name else None
        if deployment is None or name is None:
            return
        value = with_replaced(replaced_of(deployment), started)
        if annotation(deployment, ANNOTATION_REPLACED) != value:
            kind = resources.MACHINE_DEPLOYMENT
            patch: Object = {"metadata": {"annotations": {ANNOTATION_REPLACED: value}}}
            await self._writer.patch(Ref(kind.api_version, kind.kind, namespace, name), patch)


def _handed_back(machine: Object, task: Task, now: datetime) -> Object:
    meta = {k: machine["metadata"][k] for k in ("name", "namespace")}
    since = stamp(now)
    conditions = [
        {
            "type": name,
            "status": "False",
            "reason": reason,
            "message": task.reason[:1024],
            "lastTransitionTime": since,
        }
        for name, reason in ((HEALTH_CHECK, "NodeRepair"), (OWNER_REMEDIATED, WAITING))
    ]
    kind = resources.MACHINE
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, "status": {"conditions": conditions}}

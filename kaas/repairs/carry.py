"""Carries out what was planned for one node: writes it down, does it, tidies up. Killed anywhere, it goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from kaas.api.constants import (
    ANNOTATION_HISTORY,
    ANNOTATION_RELEASED,
    ANNOTATION_REPAIR,
    ANNOTATION_REPAIR_REASON,
    REPAIR_STATUS_MANAGER,
)
from kaas.api.repair import Action, Step, Ticket
from kaas.kube import resources
from kaas.kube.errors import Conflict, Unavailable
from kaas.kube.objects import Object, Ref, annotation, metadata, uid
from kaas.kube.ports import Announcer, EventType, Source, Times
from kaas.kube.resources import REMEDIATE_ANNOTATION, SKIP_REMEDIATION_ANNOTATION
from kaas.kube.times import stamp
from kaas.openstack.errors import CloudError
from kaas.repairs import records
from kaas.repairs.actions import COMMITTED
from kaas.repairs.acts.task import Act, ActFailed, Result, Task
from kaas.repairs.decisions import Decision, Finish
from kaas.repairs.facts import ClusterKey, NodeKey, NodeView, Patient, Progress
from kaas.repairs.metrics import RepairMetrics
from kaas.repairs.told import told
from kaas.repairs.ward import Treatment, Ward

log = logging.getLogger(__name__)

AGAIN_SECONDS = 10.0  # until something that did not answer is asked again
PASS_SECONDS = 3.0  # between two passes of an act that is not done


class Writer(Protocol):
    """What is written to the management cluster."""

    async def create(self, obj: Object) -> Object:
        """Create; Conflict when it is there."""

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        """Server-side apply of the status."""

    async def patch(self, ref: Ref, patch: Object, *, subresource: str = "") -> Object:
        """Merge patch."""

    async def delete(self, ref: Ref, *, uid: str | None = None) -> bool:
        """Ask for deletion."""


class Nodes(Protocol):
    """Nodes of the workload clusters."""

    async def look(self, cluster: ClusterKey, node: str) -> NodeView | None:
        """A Node as it is at this moment; Unavailable when it cannot be seen."""

    def nodes(self, cluster: ClusterKey) -> Mapping[str, NodeView]:
        """All, as last seen."""


@dataclass(frozen=True, slots=True)
class Office:
    """Where repairs are written down and told. send: takes a ticket; whether it was taken."""

    store: Source
    writer: Writer
    events: Announcer
    clock: Times
    send: Callable[[Ticket, Object], Coroutine[Any, Any, bool]]


@dataclass(frozen=True, slots=True)
class Hands:
    """What touches nodes and servers.

    give_back: makes a node schedulable again that a repair took out of service, and takes a served request from it.
    sick: whether a node is sick still, by a fresh look at it; None when it has no Node.
    """

    nodes: Nodes
    acts: Mapping[Action, Act]
    give_back: Callable[[ClusterKey, str], Awaitable[None]]
    sick: Callable[[Patient, NodeView | None], bool]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What carrying out has come to. changed: whether there is something new to plan from, in `cluster` if named."""

    changed: bool = False
    again: float | None = None
    cluster: ClusterKey | None = None


NOTHING: Final = Outcome()


class Carrier:
    """The only one that writes about repairs, but for templates and the Clusters' statuses."""

    def __init__(self, ward: Ward, office: Office, hands: Hands, metrics: RepairMetrics) -> None:
        self._ward = ward
        self._store, self._writer, self._events = office.store, office.writer, office.events
        self._clock, self._send = office.clock, office.send
        self._hands = hands
        self._metrics = metrics
        self._sending: set[asyncio.Task[bool]] = set()

    async def carry(self, key: NodeKey) -> Outcome:
        """Do the next thing about a node. What does not answer is asked again soon: a step's time is running."""
        treatment = self._ward.treatments.get(key)
        try:
            outcome = await self._carry(key)
        except (Unavailable, CloudError) as failure:
            if treatment is None:
                raise
            log.warning("repair of %s/%s has to wait: %s", *key, failure)
            treatment.trouble = str(failure)
            return Outcome(again=AGAIN_SECONDS)
        if treatment is not None:
            treatment.trouble = ""
        return outcome

    async def _carry(self, key: NodeKey) -> Outcome:
        treatment, machine = self._ward.treatments.get(key), self._store.get(resources.MACHINE, *key)
        if treatment is None:
            await self._tell(key, None)
            await self._forget_release(key, machine)
            return NOTHING
        if machine is None:
            return await self._gone(key, treatment)
        if treatment.progress.quarantined and annotation(machine, ANNOTATION_RELEASED) is not None:
            treatment.over = Finish(key, healed=False, message="released by a person")
        if treatment.over is not None:
            return await self._tidy_up(key, treatment, machine, treatment.over)
        if treatment.written != treatment.progress:
            await self._write(key, treatment, machine)
        else:
            await self._tell(key, treatment)
        if treatment.written != treatment.progress:
            return Outcome(again=0.0)  # planned anew meanwhile: that is written down before it is begun
        if treatment.progress.acted is None and not treatment.progress.failed:
            return await self._pass(key, treatment, machine)
        return NOTHING

    # -- a step -----------------------------------------------------------------------------------------------------

    async def _pass(self, key: NodeKey, treatment: Treatment, machine: Object) -> Outcome:
        """One pass of the step that is under way, after a look whether it is still needed.

        While something is waited for, a plan may begin the next step: what comes of this one is no news of that.
        """
        patient, progress = self._ward.patient(key), treatment.progress
        if patient is None or progress.action is None or progress.started is None:
            return Outcome(again=PASS_SECONDS)  # just taken up from its NodeRepair: it is looked at first
        needed, node = await self._needed(treatment, patient)
        if not self._is_current(key, treatment, progress):
            return Outcome(again=0.0)
        if not needed:
            treatment.over = Finish(key, healed=True, message="well at the last look before the step")
            return Outcome(changed=True, again=0.0, cluster=treatment.cluster)
        treatment.touched = progress.attempt
        step = next((s for s in treatment.policy.steps if s.action is progress.action), Step(action=progress.action))
        task = Task(patient, node, step, progress.started, treatment.reason or f"repair of {progress.cause}")
        result = await self._act(task)
        if not self._is_current(key, treatment, progress):
            return Outcome(again=0.0)
        if isinstance(result, ActFailed):
            return await self._failed(key, treatment, machine, str(result))
        return await self._done(key, treatment, machine, result) if result.done else Outcome(again=PASS_SECONDS)

    async def _needed(self, treatment: Treatment, patient: Patient) -> tuple[bool, NodeView | None]:
        """Whether the node is sick still, and how it is.

        What cannot be stopped half way is looked at only before it begins: it may be what keeps us from looking.
        """
        progress = treatment.progress
        if progress.action in COMMITTED and treatment.touched == progress.attempt:
            return True, self._hands.nodes.nodes(treatment.cluster).get(patient.machine.node or "")
        node = await self._fresh(treatment, patient)
        return self._hands.sick(patient, node), node

    async def _act(self, task: Task) -> Result | ActFailed:
        try:
            return await self._hands.acts[task.step.action](task, self._clock.now())
        except ActFailed as failure:
            return failure

    def _is_current(self, key: NodeKey, treatment: Treatment, progress: Progress) -> bool:
        """Whether the step is still the one that is meant, and the node still treated."""
        return self._ward.treatments.get(key) is treatment and treatment.progress.attempt == progress.attempt

    async def _fresh(self, treatment: Treatment, patient: Patient) -> NodeView | None:
        """The Node as it is now; raises Unavailable when it cannot be seen: then nothing is done to it."""
        name = patient.machine.node
        return await self._hands.nodes.look(treatment.cluster, name) if name else None

    async def _done(self, key: NodeKey, treatment: Treatment, machine: Object, result: Result) -> Outcome:
        now = self._clock.now()
        quarantined = now if treatment.progress.action is Action.QUARANTINE else None
        if quarantined:
            await self._hand_over(key, treatment, machine)
        await self._note(key, treatment, machine, replace(treatment.progress, acted=now, quarantined=quarantined))
        await self._say(machine, "NodeRepairStepDone", f"{treatment.progress.action}: {result.message}")
        return Outcome(changed=True, cluster=treatment.cluster)

    async def _hand_over(self, key: NodeKey, treatment: Treatment, machine: Object) -> None:
        """Have Cluster API leave a machine alone that a person has now, and tell that person."""
        await self._annotate(machine, {SKIP_REMEDIATION_ANNOTATION: "", ANNOTATION_RELEASED: None})
        if patient := self._ward.patient(key):
            self._ticket(treatment, patient)

    def _ticket(self, treatment: Treatment, patient: Patient) -> None:
        """Tell whoever looks after nodes, beside the repair: a receiver that is away must not hold it up."""
        url = self._ward.settings.ticket_url
        ticket = treatment.policy.ticket or (Ticket(url=url) if url else None)
        if ticket is not None:
            task = asyncio.create_task(self._send(ticket, _body(treatment, patient)))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _failed(self, key: NodeKey, treatment: Treatment, machine: Object, why: str) -> Outcome:
        now = self._clock.now()
        await self._note(
            key, treatment, machine, replace(treatment.progress, failed=why[: records.MOST_WORDS], not_before=now)
        )
        await self._say(machine, "NodeRepairStepFailed", f"{treatment.progress.action}: {why}", event_type="Warning")
        return Outcome(changed=True, cluster=treatment.cluster)

    async def _note(self, key: NodeKey, treatment: Treatment, machine: Object, progress: Progress) -> None:
        self._ward.note(key, progress)
        await self._write(key, treatment, machine)

    async def _write(self, key: NodeKey, treatment: Treatment, machine: Object) -> None:
        """Write down how far the repair is, in a NodeRepair that is made if MachineHealthCheck has made none."""
        if annotation(machine, REMEDIATE_ANNOTATION) is None:
            await self._annotate(machine, {REMEDIATE_ANNOTATION: ""})
        if self._store.get(resources.NODE_REPAIR, *key) is None:
            try:
                await self._writer.create(records.node_repair(machine, treatment.policy))
            except Conflict:
                log.debug("NodeRepair %s/%s is there already", *key)
        is_new = treatment.written is None or treatment.written.attempt != treatment.progress.attempt
        progress = treatment.progress
        await self._write_status(key, records.status_of(progress) | self._words(key))
        treatment.written = progress
        if is_new:
            self._metrics.began(treatment.progress, self._ward.patient(key), self._clock.now())
            await self._say(machine, "NodeRepairStep", treatment.reason or f"{progress.action} goes on")

    async def _tell(self, key: NodeKey, treatment: Treatment | None) -> None:
        """Write what holds a repair back, where there is a NodeRepair to write it in, and it says something else."""
        repair = self._store.get(resources.NODE_REPAIR, *key)
        if repair is None or key not in self._ward.decisions:
            return
        words = self._words(key)
        status = repair.get("status") or {}
        if all(status.get(k) == v for k, v in words.items() if k not in ("nextTime", "conditions")):
            return
        await self._write_status(key, (records.status_of(treatment.progress) if treatment else {}) | words)

    def _words(self, key: NodeKey) -> Object:
        decision: Decision | None = self._ward.decisions.get(key)
        repair = self._store.get(resources.NODE_REPAIR, *key) or {}
        said = told(decision, self._ward.patient(key), repair.get("status") or {}, self._clock.now())
        treatment = self._ward.treatments.get(key)
        if treatment and treatment.trouble:
            said["message"] = f"{said['message']} (waits: {treatment.trouble})"[: records.MOST_WORDS]
        return said

    async def _write_status(self, key: NodeKey, status: Object) -> None:
        kind = resources.NODE_REPAIR
        meta = {"namespace": key[0], "name": key[1]}
        obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, "status": status}
        await self._writer.apply_status(obj, manager=REPAIR_STATUS_MANAGER)

    # -- the end ----------------------------------------------------------------------------------------------------

    async def _tidy_up(self, key: NodeKey, treatment: Treatment, machine: Object, end: Finish) -> Outcome:
        """Give the node back, remember what was tried, let go of the NodeRepair: in this order, again if cut off."""
        progress, node = treatment.progress, (machine.get("status") or {}).get("nodeRef", {}).get("name")
        if node:
            await self._hands.give_back(treatment.cluster, node)
        now = self._clock.now()
        tried = records.over(progress, now, healed=end.healed, why=end.message)
        notes = {ANNOTATION_HISTORY: records.with_history(records.history_of(machine), tried)}
        gone = [REMEDIATE_ANNOTATION, ANNOTATION_REPAIR, ANNOTATION_REPAIR_REASON]
        gone += [SKIP_REMEDIATION_ANNOTATION] if progress.quarantined else []
        await self._annotate(machine, {**notes, **dict.fromkeys(gone)})
        await self._writer.delete(Ref(resources.NODE_REPAIR.api_version, resources.NODE_REPAIR.kind, *key))
        if annotation(machine, ANNOTATION_RELEASED) is not None:  # last: until then it says why the node is let go
            await self._annotate(machine, {ANNOTATION_RELEASED: None})
        self._ward.close(key, uid(self._store.get(resources.NODE_REPAIR, *key) or {}))
        self._metrics.ended(progress, tried, end, now)
        kind: EventType = "Normal" if end.healed else "Warning"
        await self._say(machine, "NodeRepaired" if end.healed else "NodeRepairEnded", end.message, event_type=kind)
        return Outcome(changed=True, cluster=treatment.cluster)

    async def _forget_release(self, key: NodeKey, machine: Object | None) -> None:
        """Take away the release of a machine that is not kept (any more): the next quarantine is not to end by it."""
        if machine is None or self._store.get(resources.NODE_REPAIR, *key) is not None:
            return
        if annotation(machine, ANNOTATION_RELEASED) is not None:
            await self._annotate(machine, {ANNOTATION_RELEASED: None})

    async def _gone(self, key: NodeKey, treatment: Treatment) -> Outcome:
        """The machine is gone, and its NodeRepair with it: replaced by us, or deleted by somebody else."""
        self._ward.close(key, uid(self._store.get(resources.NODE_REPAIR, *key) or {}))
        replaced = treatment.progress.action is Action.REPLACE
        end = Finish(key, healed=replaced, message="replaced" if replaced else "deleted by somebody else")
        now = self._clock.now()
        self._metrics.ended(treatment.progress, records.over(treatment.progress, now, healed=replaced), end, now)
        return Outcome(changed=True, cluster=treatment.cluster)

    async def _annotate(self, machine: Object, notes: Mapping[str, str | None]) -> None:
        """Set annotations of a Machine; None takes one away."""
        kind = resources.MACHINE
        ref = Ref(kind.api_version, kind.kind, metadata(machine)["namespace"], metadata(machine)["name"])
        await self._writer.patch(ref, {"metadata": {"uid": uid(machine), "annotations": dict(notes)}})

    async def _say(self, machine: Object, reason: str, message: str, *, event_type: EventType = "Normal") -> None:
        """Tell people, in an Event about the Machine and in the log."""
        where = {"namespace": metadata(machine)["namespace"], "machine": metadata(machine)["name"], "step": reason}
        log.info("%s", message, extra={"fields": where})
        await self._events.emit(machine, reason, message, event_type=event_type)


def _body(treatment: Treatment, patient: Patient) -> Object:
    """What a ticket says. No time of sending in it: the same ticket sent twice is one."""
    machine = patient.machine
    return {
        "cluster": {"namespace": machine.cluster[0], "name": machine.cluster[1]},
        "site": machine.site,
        "zone": machine.zone,
        "pool": machine.pool[2],
        "node": machine.node,
        "machine": machine.key[1],
        "server": machine.server,
        "began": stamp(treatment.progress.began),
        "cause": treatment.progress.cause,
        "findings": [f"{f.signal}: {f.message}" for f in patient.findings],
        "tried": [f"{t.action}: {t.outcome} {t.message}".rstrip() for t in treatment.progress.tried],
        "release": f"kaas repair release {machine.node or machine.key[1]} --namespace {machine.cluster[0]}",
    }

"""Cordon a node and have its Pods move: by eviction, which PodDisruptionBudgets may refuse, and never by deletion."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from kaas.kube.client import KubeClient
from kaas.kube.errors import Conflict, KubeError, NotFound
from kaas.kube.events import event_for
from kaas.kube.nodewatch import in_time
from kaas.kube.objects import Object, Objects, is_true, ref_of
from kaas.kube.resources import POD
from kaas.repairs.acts.cordon import Clients, cordon, node_name, node_ref
from kaas.repairs.acts.eviction import DISRUPTION, Fate, Notice, fate, listed, name_of, why_awaited
from kaas.repairs.acts.task import Result, Task

T = TypeVar("T")
log = logging.getLogger(__name__)

JOB_NOTICE = 120.0  # seconds; two checkpoints of a large model, and never more than half the step's time
PASS = 8.0  # seconds
AT_ONCE = 8  # requests to one API server


class Drain:
    """Passes of a drain.

    Left in peace are Pods of DaemonSets, static and finished ones. Evicted at once is what a controller makes again
    elsewhere; Pods of jobs after `job_notice` seconds' notice. Waited for are Pods that ask not to be disrupted, and
    those without a controller. At the step's time-out the drain is done, whatever is left.
    """

    def __init__(self, clients: Clients, *, job_notice: float = JOB_NOTICE) -> None:
        self._clients = clients
        self._job_notice = timedelta(seconds=job_notice)

    async def __call__(self, task: Task, now: datetime) -> Result:
        """Cordon, tell and evict what has not been yet, and say what is left."""
        name = node_name(task)
        if name is None:
            return Result(True, "it never joined: there is nothing to drain")
        client = await self._clients.client(task.patient.machine.cluster)
        return await in_time(PASS, f"drain {name}", self._pass(client, name, task, now))

    async def _pass(self, client: KubeClient, name: str, task: Task, now: datetime) -> Result:
        node = await client.get(node_ref(name))
        if node is None:
            return Result(True, f"there is no Node {name} any more")
        try:
            node = await cordon(client, node, task.reason)
        except Conflict:
            return Result(False, "the Node changed while it was cordoned")
        pods = await client.list(POD, field_selector=f"spec.nodeName={name}")
        timeout = timedelta(seconds=task.step.timeout_seconds)
        notice = Notice(task.reason, task.started + timeout, min(self._job_notice, timeout / 2))
        round_ = _Round(client, notice, now)
        return await round_.run(pods, silent=not is_true(node, "Ready"))


@dataclass(frozen=True)
class _Round:
    """One pass over the Pods of a node."""

    client: KubeClient
    notice: Notice
    now: datetime

    async def run(self, pods: Objects, *, silent: bool) -> Result:
        by_fate: dict[Fate, Objects] = {f: [] for f in Fate}
        for pod in sorted(pods, key=name_of):
            by_fate[fate(pod, self.now, silent=silent)].append(pod)
        left = [p for f, group in by_fate.items() if f is not Fate.STAYS for p in group]
        if not left:
            return Result(True, "drained")
        if self.now >= self.notice.deadline:
            return Result(True, f"not drained in time, {len(left)} pods are left: {_reasons(by_fate, {})}")
        waiting = by_fate[Fate.AWAITED] + by_fate[Fate.WARNED]
        await _each(self._tell, [p for p in waiting if self.notice.given(p) is None])
        due = by_fate[Fate.EVICTED] + [p for p in by_fate[Fate.WARNED] if self._had_notice(p)]
        refusals = {name_of(p): why for p, why in await _each(self._evict, due) if why}
        return Result(False, f"{len(left)} pods are left: {_reasons(by_fate, refusals)}")

    def _had_notice(self, pod: Object) -> bool:
        given = self.notice.given(pod)
        return given is not None and self.now >= given

    async def _tell(self, pod: Object) -> None:
        """Tell a Pod, once: the annotation is what remembers it."""
        text = self.notice.text(self.now, awaited=bool(why_awaited(pod)))
        with suppress(NotFound):
            told = await self.client.patch(ref_of(pod), {"metadata": {"annotations": {DISRUPTION: text}}})
            message = f"its node is to be repaired: {self.notice.why}: {text}"
            await self._announce(told, "DisruptionAhead", message)

    async def _evict(self, pod: Object) -> str:
        refusal = await self.client.evict(pod)
        if not refusal:
            await self._announce(pod, "EvictedForRepair", f"evicted, its node is being repaired: {self.notice.why}")
        return refusal

    async def _announce(self, pod: Object, reason: str, message: str) -> None:
        """No drain fails for an Event's sake."""
        try:
            await self.client.create(event_for(pod, reason, message, "Warning", self.now))
        except KubeError as failure:
            log.debug("event not sent: %s", failure)


async def _each(do: Callable[[Object], Awaitable[T]], pods: Iterable[Object]) -> list[tuple[Object, T]]:
    """Do it to every Pod, a few at once; what fails is raised when the others are done."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(pod: Object) -> tuple[Object, T]:
        async with gate:
            return pod, await do(pod)

    answers = await asyncio.gather(*(one(p) for p in pods), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [a for a in answers if not isinstance(a, BaseException)]


def _reasons(by_fate: dict[Fate, Objects], refusals: dict[str, str]) -> str:
    """What is waited for, for a person."""
    said = [f"{listed(names)} ({why})" for why, names in _grouped(refusals).items()]
    awaited = {name_of(p): why_awaited(p) for p in by_fate[Fate.AWAITED]}
    said += [f"{listed(names)} ({why})" for why, names in _grouped(awaited).items()]
    rest = [("jobs that were given notice", Fate.WARNED), ("ending", Fate.ENDING), ("evicted", Fate.EVICTED)]
    for why, kind in rest:
        names = [name_of(p) for p in by_fate[kind] if name_of(p) not in refusals]
        if names:
            said.append(f"{listed(names)} ({why})")
    return "; ".join(said)


def _grouped(reasons: dict[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, why in reasons.items():
        found.setdefault(why, []).append(name)
    return found

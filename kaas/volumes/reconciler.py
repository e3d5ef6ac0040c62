"""Has claims loaded and Pods freed.

Keys of the queue: `("claim", namespace, name)` looks at one claim and its load, `("pod", namespace, name)` at one Pod
that waits, `SWEEP` at all Pods with our gate that no watch shows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from kaas.kube import resources
from kaas.kube.client import Propagation
from kaas.kube.errors import Conflict, NotFound
from kaas.kube.objects import Object, Objects, Ref
from kaas.kube.ports import Announcer, Lister, Times
from kaas.volumes import observe, terms
from kaas.volumes.attempts import Job, Outcome, job_view
from kaas.volumes.cache.keeper import Keeps, Nobody
from kaas.volumes.claim import Claim, Key, claim_of, lean
from kaas.volumes.conditions import Told, condition_of, event_type, is_due, is_news, status_of
from kaas.volumes.gates import Gates, PodStore, PodWriter
from kaas.volumes.known import Claims
from kaas.volumes.logs import Texts
from kaas.volumes.lookout import Lookout
from kaas.volumes.metrics import VolumeMetrics
from kaas.volumes.places import Places
from kaas.volumes.plan import BEGINS, LOOK, STRAYS, End, Plan, Scene, had_job, plan, stuck
from kaas.volumes.pods import claims_of
from kaas.volumes.reasons import Reason
from kaas.volumes.settings import LoadSettings
from kaas.volumes.starting import AGAIN, Held, Starter, Writer
from kaas.volumes.turns import Bounds, Turns

log = logging.getLogger(__name__)

QueueKey = tuple[str, ...]
SWEEP: Final[QueueKey] = ("sweep",)
SWEEP_SECONDS: Final = 60.0
PATIENCE: Final = timedelta(seconds=2)
"""For which a claim waits for its turn before it is told so."""
APART: Final = timedelta(seconds=0.05)
"""Between two claims that are told so."""


class Cluster(Writer, PodWriter, Texts, Lister, Protocol):
    """What is asked of the API server."""

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        """Server-side apply of the status."""

    async def delete(self, ref: Ref, *, uid: str | None = None, propagation: Propagation = "Background") -> bool:
        """Ask for deletion."""


@dataclass(frozen=True, slots=True)
class Office:
    """The cluster, and how more is asked for. namespaces: those that are looked at, none means all.

    keeper: keeps snapshots of what was loaded.
    """

    store: PodStore
    client: Cluster
    announcer: Announcer
    clock: Times
    metrics: VolumeMetrics
    add: Callable[[QueueKey], None]
    namespaces: tuple[str, ...] = ()
    keeper: Keeps = field(default_factory=Nobody)


class VolumeReconciler:
    """Looks at claims and Pods, and does what is planned for them."""

    def __init__(self, office: Office, settings: LoadSettings) -> None:
        self._store, self._client, self._clock = office.store, office.client, office.clock
        self._announcer, self._metrics, self._add = office.announcer, office.metrics, office.add
        self._namespaces, self._keeper = office.namespaces, office.keeper
        bounds = Bounds(settings.at_once, settings.per_namespace)
        self._turns = Turns(bounds, lambda: observe.running(self._store), self._resting)
        self._starter = Starter(office.client, office.store, settings)
        self._claims = Claims(office.store)
        self.gates = Gates(office.store, self._claims, office.client, office.announcer, office.clock, office.metrics)
        self._places = Places(office, self.gates, self._claims, settings.gpu_label)
        self._lookout = Lookout(office.client)
        self._told_at: dict[str, datetime] = {}
        office.metrics.watch_loads(lambda: len(observe.running(self._store)), lambda: len(self._turns))

    async def reconcile(self, key: QueueKey) -> float | None:
        """Do what the key says; returns the seconds after which to do it again, None: on the next event."""
        match key:
            case ("claim", namespace, name):
                return await self._claim((namespace, name))
            case ("pod", namespace, name):
                return await self._pod((namespace, name))
            case _:
                return await self._sweep()

    # -- Pods ---------------------------------------------------------------------------------------------------------

    async def _pod(self, key: Key) -> float | None:
        pod = self.gates.known(key)
        if pod is None:
            return None
        if self.gates.saw(pod):
            for claim in claims_of(pod):
                self._add(("claim", *claim))
        await self.gates.look([pod])
        return None

    async def _sweep(self) -> float:
        """Pods with our gate are found whoever put it there, and whatever was missed."""
        pending: Objects = []
        for namespace in self._namespaces or (None,):
            pending += await self._client.list(resources.POD, namespace, field_selector="status.phase=Pending")
        self.gates.found_without_label(pending)
        await self.gates.look(self.gates.waiting())
        return SWEEP_SECONDS

    # -- claims -------------------------------------------------------------------------------------------------------

    async def _claim(self, key: Key) -> float | None:
        claim = self._claims.get(key)
        self._turns.leave(key)
        again = None
        if claim is not None:
            again = await self._look(claim)
        else:
            self._turns.forget(key)
            self._places.forget(key)
            await self.gates.look(self.gates.waiting_for(key))
        for behind in self._places.those_behind(key):
            self._add(("claim", *behind))
        self._next_turns()
        return again

    async def _look(self, claim: Claim) -> float | None:
        scene = await self._scene(claim)
        planned = plan(scene)
        if planned.start:
            planned = await self._begin(claim, scene)
        elif (moved := await self._places.moved(scene, planned)) is not None:
            planned = moved
        if planned.finished and planned.told and planned.told.holds:
            planned = await self._keep(claim, scene.jobs[0], planned, planned.told)
        changed = await self._tell(claim, planned)
        await self._release(claim, scene, planned)
        await self._end(claim, planned.ends)
        if planned.told and changed and is_news(planned.told, claim.condition):
            await self._announce(claim, planned.told)
        self._forget(claim, scene, planned)
        return planned.again

    async def _scene(self, claim: Claim) -> Scene:
        jobs = [await self._complete(claim, job) for job in observe.jobs_of(self._store, claim.uid)]
        scene = Scene(
            claim=claim,
            binding=observe.binding_of(self._store, claim),
            waiting_pods=bool(self.gates.waiting_for(claim.key)) if claim.request.concerns else False,
            jobs=jobs,
            now=self._clock.now(),
        )
        if not claim.request.concerns or claim.loaded:
            return scene
        return await self._lookout.look(scene)

    async def _complete(self, claim: Claim, job: Job) -> Job:
        """With its Pods as they are now when it has ended: watches of Jobs and Pods do not keep step."""
        known = job.outcome is Outcome.RUNNING if not job.done else len(job.results) == job.pods
        if known or job.deleting or claim.loaded or claim.failed or claim.deleting:
            return job
        selector = f"{terms.LOADER_LABEL}={claim.uid}"
        pods = await self._client.list(resources.POD, claim.key[0], selector)
        found = self._store.get(resources.JOB, claim.key[0], job.name)
        return job_view(found, [p for p in pods if _belongs(p, job)]) if found else job

    # -- beginning ----------------------------------------------------------------------------------------------------

    async def _begin(self, claim: Claim, scene: Scene) -> Plan:
        """Make the Job, if it is the claim's turn."""
        if had_job(claim) and (waits := await self._strays(claim)):
            return waits
        if (told := self._places.behind(claim, scene.binding)) is not None:
            return Plan(told, again=6 * LOOK)
        if not self._turns.take(claim.key, claim.created):
            return self._wait(claim)
        try:
            with self._places.beginning(claim.key):
                return await self._start(claim, scene)
        except Held as held:
            self._turns.held(claim.key, self._clock.now())
            self._places.held(claim.key)
            return Plan(held.told, again=AGAIN)
        finally:
            self._turns.done(claim.key)
            self._next_turns()

    def _resting(self) -> list[Key]:
        return observe.resting(self._store, self._clock.now())

    def _wait(self, claim: Claim) -> Plan:
        """It is told so when it has waited for a while; of many at once not in one go, for others are to be let go."""
        bounds, now = self._turns.bounds, self._clock.now()
        if (due := self._told_at.get(claim.uid)) is None:
            due = self._told_at[claim.uid] = now + PATIENCE + self._turns.ahead(claim.key) * APART
        if now < due:
            return Plan(again=(due - now).total_seconds())
        message = f"waits for its turn: {bounds.at_once} loads run at once, {bounds.per_namespace} in a namespace"
        return Plan(Told(Reason.PENDING, message, load=claim.load))

    async def _start(self, claim: Claim, scene: Scene) -> Plan:
        """A load that is over is never begun again, so the claim itself is asked, not what was seen of it."""
        fresh = await self._client.get(Ref("v1", "PersistentVolumeClaim", *claim.key))
        if fresh is None:
            return Plan()
        self._store.put(lean(fresh))
        now = claim_of(fresh)
        if now.uid != claim.uid or not plan(replace(scene, claim=now)).start:
            return Plan(again=0.0)
        if waits := await self._strays(now):
            return waits
        job = await self._starter.start(now, await self._places.of(fresh, scene.binding), self._places.spent(now))
        self._store.put(observe.job_lean(job))
        self._places.begun(claim.key)
        return Plan(Told(Reason.LISTING, BEGINS, load=now.load), again=LOOK)

    async def _strays(self, claim: Claim) -> Plan | None:
        """To wait, while a loader still writes whose Job was lost.

        If there was a Job, the API server is asked: the watch of Pods may be behind.
        """
        found = observe.strays(self._store, claim)
        if not found and had_job(claim):
            pods = await self._client.list(resources.POD, claim.key[0], f"{terms.LOADER_LABEL}={claim.uid}")
            found = observe.open_ones(pods)
        told = Told(Reason.PENDING, STRAYS + stuck(found, self._clock.now()), load=claim.load)
        return Plan(told, again=LOOK) if found else None

    def _next_turns(self) -> None:
        """Have claims looked at whose turn it is."""
        for key in self._turns.next():
            self._add(("claim", *key))

    async def _keep(self, claim: Claim, job: Job, planned: Plan, told: Told) -> Plan:
        """Have a snapshot kept of what was loaded; Pods wait until it is cut, for then they may write."""
        kept = await self._keeper.keep(claim, job)
        if kept.again is not None:
            return Plan(Told(Reason.VERIFYING, "; ".join(kept.notes), load=told.load), again=kept.again)
        return replace(planned, told=replace(told, message="; ".join((told.message, *kept.notes))))

    # -- telling and ending -------------------------------------------------------------------------------------------

    async def _tell(self, claim: Claim, planned: Plan) -> bool:
        """Write the condition, if it is to be written; the claim may be gone by then."""
        now = self._clock.now()
        if planned.clear:
            conditions = []
        elif planned.told is not None and is_due(planned.told, claim.condition, now):
            conditions = [condition_of(planned.told, claim.condition, now)]
        else:
            return False
        with suppress(NotFound):
            answer = await self._client.apply_status(status_of(claim.key, conditions), manager=terms.MANAGER)
            self._store.put(lean(answer))
            return True
        return False

    async def _release(self, claim: Claim, scene: Scene, planned: Plan) -> None:
        """Free the Pods of the claim, as it is told to be by now."""
        freed = await self.gates.look(self.gates.waiting_for(claim.key))
        if planned.finished and planned.told is not None and planned.told.holds and freed:
            ends = [a.ended for job in scene.jobs for a in job.attempts if a.ended is not None]
            if ends:
                self._metrics.released((self._clock.now() - max(ends)).total_seconds())

    async def _end(self, claim: Claim, ends: Sequence[End]) -> None:
        for end in ends:
            propagation: Propagation = "Foreground" if end.waits else "Background"
            with suppress(Conflict):
                ref = Ref("batch/v1", "Job", claim.key[0], end.job)
                await self._client.delete(ref, uid=end.uid, propagation=propagation)

    async def _announce(self, claim: Claim, told: Told) -> None:
        about = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"namespace": claim.key[0], "name": claim.key[1], "uid": claim.uid},
        }
        await self._announcer.emit(about, told.reason, told.message, event_type=event_type(told))

    def _forget(self, claim: Claim, scene: Scene, planned: Plan) -> None:
        """Count a load that ended, and drop what was remembered of it."""
        if planned.finished and planned.told is not None:
            job = scene.jobs[0]
            taken = (scene.now - job.created).total_seconds()
            self._metrics.ended(planned.told.reason, job.results, taken)
        if planned.finished or not scene.jobs:
            self._lookout.forget(claim.uid)
        if scene.jobs:
            self._told_at.pop(claim.uid, None)
            self._turns.forget(claim.key)


def _belongs(pod: Object, job: Job) -> bool:
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(o.get("uid") == job.uid for o in owners)

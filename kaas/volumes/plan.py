"""What is to be done about one claim, and what its condition says: a pure function of what is seen and the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from kaas.kube.times import stamp
from kaas.loader.report import Phase as Stage
from kaas.loader.report import Progress
from kaas.loader.report import Reason as Why
from kaas.volumes import terms
from kaas.volumes.annotations import Bind
from kaas.volumes.attempts import Attempt, Job, Outcome
from kaas.volumes.claim import Claim, Phase
from kaas.volumes.conditions import Told
from kaas.volumes.identity import Load
from kaas.volumes.progress import span, summary, words
from kaas.volumes.reasons import ACTIVE, FINAL, Reason

LOOK: Final = 5.0
"""Seconds between two looks at a load that runs."""
STILL: Final = timedelta(seconds=120)
"""For which nothing goes on, after which a load is told to be stalled; it gives up by itself after ten minutes. As long
without a word of the loader's, that is told."""
BINDING: Final = timedelta(seconds=3)
"""For which nothing is said of a claim that a volume is made for: a binder that finds it changed looks again in 15 s.
Source: Kubernetes, `--pvclaimbinder-sync-period`."""
UNSTARTED: Final = timedelta(seconds=10)
"""After which is asked why a load's Pod does not run."""


class Binding(Enum):
    """When the volume of a claim comes to be."""

    IMMEDIATE = "immediate"
    FIRST_CONSUMER = "first consumer"
    NO_CLASS = "no class"
    """The StorageClass that the claim names is not there."""


@dataclass(frozen=True, slots=True)
class Scene:
    """All that is seen of a claim.

    waiting_pods: whether a Pod waits for it. jobs: loaders' of this claim, whatever they load. progress: of its Pods
    together, None before it is known; unknown: of how many of them it is not. still_since: when something last went on;
    heard: when a loader that runs last said anything. cause: why a load does not start, as Events say it.
    """

    claim: Claim
    binding: Binding
    waiting_pods: bool
    jobs: Sequence[Job]
    now: datetime
    progress: Progress | None = None
    unknown: int = 0
    still_since: datetime | None = None
    heard: datetime | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """A Job that is to go. waits: nothing else is begun before all of its Pods have ended."""

    job: str
    uid: str
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, in this order: start, told, ends.

    told: None leaves the condition as it is; clear: it is taken away. again: seconds to the next look, None: on events.
    """

    told: Told | None = None
    start: bool = False
    ends: tuple[End, ...] = ()
    clear: bool = False
    again: float | None = None
    finished: bool = False
    """Whether a load has just ended, well or not: it is counted once."""
    runs: bool = False
    """Whether the Job of the load that is asked for has not ended."""


def plan(scene: Scene) -> Plan:
    """What is to be done about a claim."""
    claim = scene.claim
    if claim.deleting:
        return Plan(ends=_all(scene.jobs))
    if claim.data_source or not claim.request.concerns:  # the condition of one with a DataSource is the populator's
        outdated = bool(claim.condition) and claim.condition.get("status") != "True"
        return Plan(ends=_all(scene.jobs), clear=outdated and not claim.data_source)
    if claim.loaded:
        return Plan(ends=_all(scene.jobs))
    load = claim.load
    if load is None:
        said = "; ".join(map(str, claim.faults))
        return Plan(Told(Reason.INVALID, said), ends=_all(scene.jobs))
    if claim.phase is Phase.LOST:
        told = Told(Reason.FAILED, f"volume {claim.volume} is lost: delete the claim and make it anew", load=load)
        return Plan(told, ends=_all(scene.jobs))
    return _toward(scene, load)


def _all(jobs: Sequence[Job], *, waits: bool = False) -> tuple[End, ...]:
    return tuple(End(j.name, j.uid, waits) for j in jobs if not j.deleting)


def _toward(scene: Scene, load: Load) -> Plan:
    """Toward the load that is asked for, once no other one writes into the volume."""
    others = [j for j in scene.jobs if j.mark != load.mark]
    if others:
        open_ones = [a for j in others for a in j.attempts]
        told = Told(Reason.PENDING, _BEFORE + stuck(open_ones, scene.now), load=load)
        return Plan(told, ends=_all(others, waits=True), again=6 * LOOK)
    if scene.claim.failed:
        return Plan(ends=_all(scene.jobs))
    if scene.jobs:
        return _under_way(scene, scene.jobs[0], load)
    return _before(scene, load)


def _before(scene: Scene, load: Load) -> Plan:
    """There is no Job yet."""
    claim, spec = scene.claim, scene.claim.spec
    waits = scene.binding is Binding.FIRST_CONSUMER and spec is not None and spec.bind is Bind.WAIT
    if claim.phase is Phase.BOUND or (scene.binding is Binding.FIRST_CONSUMER and (scene.waiting_pods or not waits)):
        return Plan(start=True)
    if scene.now - claim.created < BINDING and (scene.binding is Binding.IMMEDIATE or claim.node):
        return Plan(again=BINDING.total_seconds())
    if scene.binding is Binding.FIRST_CONSUMER:
        message = f'its place is decided by the first Pod that mounts it, or at once with {terms.BIND}: "immediate"'
        return Plan(Told(Reason.WAITING, message, load=load))
    if scene.binding is Binding.NO_CLASS:
        return Plan(Told(Reason.PENDING, f"StorageClass {claim.storage_class} is not there: make it", load=load))
    if claim.origin:
        return Plan(_restoring(scene, claim.created, load), again=6 * LOOK)
    cause = f": {scene.cause}" if scene.cause else ""
    return Plan(Told(Reason.PENDING, f"its volume is not there yet{cause}", load=load), again=6 * LOOK)


def _restoring(scene: Scene, since: datetime, load: Load) -> Told:
    """Its volume is being born of a snapshot. What a claim is born of can never be changed."""
    message = f"its volume is being made of snapshot {scene.claim.origin} since {stamp(since)}"
    if scene.cause:
        message += f": {scene.cause}. {_UNBORN}"
    return Told(Reason.RESTORING, message, load=load)


def _under_way(scene: Scene, job: Job, load: Load) -> Plan:
    """Its Job is there."""
    if job.done:
        told = Told(Reason.LOADED, summary(job.results), holds=True, load=load)
        return Plan(told, ends=_all([job]), finished=True)
    if job.deleting:
        return Plan(Told(Reason.PENDING, _DELETED + stuck(job.attempts, scene.now), load=load), again=6 * LOOK)
    if job.outcome is Outcome.FAILED:
        return Plan(_failure(job, load, scene.claim), ends=_all([job]), finished=True)
    return Plan(_running(scene, job, load), again=LOOK, runs=True)


def _failure(job: Job, load: Load, claim: Claim) -> Told:
    """How a Job has failed for good, by what its loader said."""
    way_out = _STRANGE if claim.foreign and claim.fresh else _WAY_OUT
    if job.reason == "DeadlineExceeded":
        ends = f"; the last: {job.last.words}" if job.last else ""
        allowed = span((job.deadline - job.created + job.spent).total_seconds())
        return Told(Reason.FAILED, f"it was not done within {allowed} ({terms.TIMEOUT}){ends}. {way_out}", load=load)
    blamed = job.blamed
    if blamed is None:
        return Told(Reason.FAILED, f"{job.reason}: {job.message}. {way_out}", load=load)
    number = job.failures if job.pods == 1 else job.tried(blamed)
    tries, result = f"{number} tries" if number > 1 else "one try", blamed.result
    at_once = job.reason == "PodFailurePolicy"
    if result is None or str(result.reason) not in FINAL or (result.reason is Why.FAILED and not at_once):
        return Told(Reason.FAILED, f"it was given up after {tries}; the last: {blamed.words}. {way_out}", load=load)
    given_up = "" if at_once else f"given up after {tries}: "
    return Told(str(result.reason), f"{given_up}{result.message}. {way_out}", load=load)


STRAYS: Final = "waits until a loader whose Job is gone has ended"
_DELETED: Final = "its Job was deleted; it begins again when that is gone"
_BEFORE: Final = "waits until the load before, which is no longer asked for, has ended"
MOVES: Final = "no node takes its loader"
"""How it begins when a Job is made anew elsewhere."""
_UNBORN: Final = f"If it stays so, delete the claim and make it anew with {terms.CACHE}: none"
_STRANGE: Final = (
    f"Correct it and set another {terms.ID} to have it loaded again; if it is another namespace's snapshot that is to "
    f"blame, delete the claim and make it anew with {terms.CACHE}: none"
)
_WAY_OUT: Final = f"Correct it and set another {terms.ID} to have it loaded again"


def had_job(claim: Claim) -> bool:
    """Whether a loader may run whose Job is gone, by what was last told of the claim."""
    said = str(claim.condition.get("message") or "")
    return claim.condition.get("reason") in ACTIVE or said.startswith((STRAYS, _DELETED, _BEFORE, MOVES))


def stuck(attempts: Sequence[Attempt], now: datetime) -> str:
    """What is said of Pods that do not end: nothing goes on before they have; "" when there are none."""
    found = next((a for a in attempts if a.stuck(now)), None)
    if found is None or found.due is None:
        return ""
    where = f"node {found.node}" if found.node else "its node"
    return (
        f"; {where} has not ended the loader's Pod, as it was to by {stamp(found.due)}, most likely because it does "
        "not answer: it goes on when the node is back, or, of one that is off for good, when its Node object is "
        "deleted or tainted node.kubernetes.io/out-of-service"
    )


def _running(scene: Scene, job: Job, load: Load) -> Told:
    """What a Job that has not ended does."""
    until = f"; it is given up at {stamp(job.deadline)}"
    open_attempts = [a for a in job.attempts if a.exit is None]
    lost = stuck(open_attempts, scene.now)
    if lost and all(a.stuck(scene.now) for a in open_attempts):
        rests = replace(scene, progress=scene.progress and replace(scene.progress, rate=0.0, remaining=None))
        return Told(Reason.STALLED, f"{_words(rests, job)}{lost}{until}", load=load)
    if job.running:
        return _loading(scene, job, load, lost)
    if scene.claim.origin and scene.claim.phase is Phase.PENDING:
        return _restoring(scene, job.created, load)
    if not open_attempts and job.last is not None:
        attempt = f"attempt {job.failures + 1}/{job.tries}" if job.pods == 1 else "another attempt"
        return Told(Reason.RETRY, f"{attempt} begins soon; the last: {job.last.words}", load=load)
    cause = next((c for a in open_attempts if (c := _unstarted(scene, a.unplaced, a.waiting))), scene.cause)
    if cause and scene.now - job.created >= UNSTARTED:
        return Told(Reason.PENDING, f"its Pod does not start: {cause}{until}", load=load)
    return Told(Reason.LISTING, BEGINS, load=load)


def _unstarted(scene: Scene, unplaced: str, waiting: str) -> str:
    if unplaced:
        return unplaced
    return waiting if waiting and waiting not in {"ContainerCreating", "PodInitializing"} else scene.cause


def _loading(scene: Scene, job: Job, load: Load, lost: str) -> Told:
    """At least one Pod runs. lost: what is said of others that do not end."""
    text, progress = _words(scene, job), scene.progress
    reason = _STAGES[progress.phase] if progress else Reason.LISTING
    if scene.heard is not None and scene.now - scene.heard >= STILL:
        where = ", ".join(sorted({a.node for a in job.running if a.node}))
        silent = f"nothing is heard of its loader{where and f' on node {where}'} since {stamp(scene.heard)}"
        return Told(reason, f"{silent}; the last: {text}{lost}", load=load)
    if lost:
        return Told(reason, f"{lost.removeprefix('; ')}; {text}", load=load, ticks=True)
    if scene.still_since is not None and scene.now - scene.still_since >= STILL:
        message = f"{text}; nothing has come since {stamp(scene.still_since)}, it begins again by itself"
        return Told(Reason.STALLED, message, load=load, ticks=True)
    return Told(reason, text, load=load, ticks=progress is not None)


def _words(scene: Scene, job: Job) -> str:
    """How far a load is. Of several Pods each has attempts of its own."""
    if scene.progress is None:
        return BEGINS
    text = words(scene.progress, job.failures + 1 if job.pods == 1 else 1, job.tries)
    return f"{text}, of {job.pods - scene.unknown} of its {job.pods} Pods" if scene.unknown else text


BEGINS: Final = "its loader begins"

_STAGES: Final = {Stage.LISTING: Reason.LISTING, Stage.LOADING: Reason.LOADING, Stage.VERIFYING: Reason.VERIFYING}


def wants_events(scene: Scene) -> bool:
    """Whether only Events can say why nothing happens: no Pod was made, or one that has its node does not begin."""
    if scene.claim.phase is Phase.PENDING and not scene.jobs:
        return scene.binding is Binding.IMMEDIATE and scene.now - scene.claim.created >= UNSTARTED
    for job in scene.jobs:
        if job.outcome is not Outcome.RUNNING or job.deleting or scene.now - job.created < UNSTARTED:
            continue
        if scene.claim.origin and scene.claim.phase is Phase.PENDING:
            return True
        begun = [a for a in job.attempts if a.exit is None]
        if not any(a.running or a.unplaced for a in begun) and (begun or not job.last):
            return True
    return False

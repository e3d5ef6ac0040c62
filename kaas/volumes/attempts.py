"""What Kubernetes says of a load: its Job, the Pods of its attempts, and how they ended. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

from kaas.kube.objects import Object, annotation, condition, is_deleting, labels, metadata, uid
from kaas.kube.times import at
from kaas.loader.report import Exit, Reason, Result
from kaas.volumes.job import CONTAINER, DIGEST, SPENT

LATE: Final = timedelta(seconds=60)
"""For which a kubelet that is well may still take when the grace of a Pod that is being deleted is over."""
REST: Final = timedelta(minutes=5)
"""Without a Pod that runs, after which a Job is one that rests: for want of room, an image, a quota, or its node."""
_DIGITS: Final = 7
"""Of the longest time that a load may be given, 30 days in seconds."""
INDEX_LABEL: Final = "batch.kubernetes.io/job-completion-index"
_CONDITIONS: Final = ("Complete", "SuccessCriteriaMet", "Failed", "FailureTarget")


class Outcome(Enum):
    """What has become of a Job."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One Pod of a load.

    waiting: why its container has not begun, reason and message. unplaced: why no node takes it. began: when its
    container did. exit: code with which it ended, at `ended`; died: what the kubelet says of that, as OOMKilled. due:
    when it is to be gone, with its grace; None when nobody deletes it. node: "" before it has one.
    """

    name: str
    created: datetime
    index: int = 0
    waiting: str = ""
    unplaced: str = ""
    began: datetime | None = None
    exit: int | None = None
    ended: datetime | None = None
    died: str = ""
    result: Result | None = None
    due: datetime | None = None
    node: str = ""

    @property
    def running(self) -> bool:
        """Whether its container runs."""
        return self.began is not None and self.exit is None

    def stuck(self, now: datetime) -> bool:
        """Whether its node has not ended it, though it was told to and had the time: most likely it does not answer."""
        return self.exit is None and self.due is not None and now - self.due >= LATE

    @property
    def words(self) -> str:
        """How it ended, for a person."""
        if self.result is not None:
            return f"{self.result.reason}: {self.result.message}"
        return f"the loader ended with {self.died or f'exit code {self.exit}'}"


@dataclass(frozen=True, slots=True)
class Job:
    """The Job of a load. mark: which load it does. reason, message: of its failure, as the Job controller says.

    spent: what Jobs of this load before it had of the time for all attempts.
    """

    name: str
    uid: str
    mark: str
    deleting: bool
    outcome: Outcome
    created: datetime
    deadline: datetime
    pods: int = 1
    failures: int = 0
    tries: int = 1
    reason: str = ""
    message: str = ""
    attempts: tuple[Attempt, ...] = ()
    spent: timedelta = timedelta()

    @property
    def done(self) -> bool:
        """Whether all of it was loaded: as the Job says, or, sooner, as its Pods do."""
        if self.outcome is Outcome.DONE:
            return True
        well = {a.index for a in self.attempts if a.exit == Exit.DONE}
        return self.outcome is Outcome.RUNNING and well >= set(range(self.pods))

    @property
    def running(self) -> Sequence[Attempt]:
        """Attempts whose container runs."""
        return [a for a in self.attempts if a.running]

    def rests(self, now: datetime) -> bool:
        """Whether none of its Pods has run for a while. One of a node that does not answer is not known to run."""
        if any(not a.stuck(now) for a in self.running):
            return False
        ends = [a.ended for a in self.attempts if a.ended is not None]
        return now - max([self.created, *ends]) >= REST

    @property
    def last(self) -> Attempt | None:
        """The attempt that ended last, of those that failed."""
        return next(reversed(self._failed), None)

    @property
    def blamed(self) -> Attempt | None:
        """The attempt by which a Job that failed is judged: others are ended because that one was given up."""
        permanent = [a for a in self._failed if a.exit == Exit.PERMANENT]
        if permanent:
            return permanent[0]
        last = {a.index: a for a in self._failed}
        spent = [a for a in self._failed if a is last[a.index] and self.tried(a) >= self.tries]
        by_itself = [a for a in spent if a.result is None or a.result.reason is not Reason.INTERRUPTED]
        return next(iter([*by_itself, *spent]), self.last)

    def tried(self, attempt: Attempt) -> int:
        """How often the part of an attempt has failed, so far as its Pods are there."""
        return sum(a.index == attempt.index for a in self._failed)

    @property
    def _failed(self) -> Sequence[Attempt]:
        """Attempts that failed, in the order in which they ended."""
        found = [(a.ended, a.name, a) for a in self.attempts if a.ended is not None and a.exit != Exit.DONE]
        return [a for *_, a in sorted(found, key=lambda item: item[:2])]

    @property
    def results(self) -> Sequence[Result]:
        """Results of the Pods that did their part, one a part."""
        found = {a.index: a.result for a in self.attempts if a.exit == Exit.DONE and a.result is not None}
        return [found[i] for i in sorted(found)]


def job_view(job: Object, pods: Iterable[Object]) -> Job:
    """What counts of a Job and its Pods."""
    meta, spec, status = metadata(job), job["spec"], job.get("status") or {}
    outcome, found = _outcome(job)
    created = at(meta["creationTimestamp"])
    began = at(status["startTime"]) if status.get("startTime") else created
    tries = spec.get("backoffLimitPerIndex", spec.get("backoffLimit", 0))
    return Job(
        name=meta["name"],
        uid=uid(job),
        mark=annotation(job, DIGEST) or "",
        deleting=is_deleting(job),
        outcome=outcome,
        created=created,
        deadline=began + timedelta(seconds=spec.get("activeDeadlineSeconds") or 0),
        pods=spec.get("completions") or 1,
        failures=int(status.get("failed") or 0),
        tries=int(tries) + 1,
        reason=str(found.get("reason") or ""),
        message=str(found.get("message") or ""),
        attempts=tuple(sorted(map(attempt_of, pods), key=lambda a: (a.created, a.name))),
        spent=_spent(job),
    )


def _spent(job: Object) -> timedelta:
    """Who may make Jobs may write anything there."""
    said = annotation(job, SPENT) or ""
    return timedelta(seconds=int(said) if said.isdecimal() and len(said) <= _DIGITS else 0)


def outcome_of(job: Object) -> Outcome:
    """What has become of a Job."""
    return _outcome(job)[0]


def _outcome(job: Object) -> tuple[Outcome, Mapping[str, Any]]:
    for name in _CONDITIONS:
        found = condition(job, name)
        if found is not None and found.get("status") == "True":
            return (Outcome.FAILED if name.startswith("Fail") else Outcome.DONE), found
    return Outcome.RUNNING, {}


def attempt_of(pod: Object) -> Attempt:
    """What counts of a loader's Pod."""
    meta, status = metadata(pod), pod.get("status") or {}
    entries = [s for s in status.get("containerStatuses") or () if s.get("name") == CONTAINER]
    state = (entries[0].get("state") or {}) if entries else {}
    waiting, running, ended = (state.get(k) or {} for k in ("waiting", "running", "terminated"))
    index = labels(pod).get(INDEX_LABEL) or "0"
    began = running.get("startedAt") or ended.get("startedAt")
    return Attempt(
        name=meta["name"],
        created=at(meta["creationTimestamp"]),
        index=int(index) if index.isdigit() else 0,
        waiting=": ".join(filter(None, (waiting.get("reason"), waiting.get("message")))),
        unplaced=_unplaced(pod),
        began=at(began) if began else None,
        exit=_exit(status, ended),
        ended=_ended(status, ended, meta),
        died=str(ended.get("reason") or status.get("reason") or ""),
        result=Result.parse(str(ended.get("message") or "")),
        due=at(meta["deletionTimestamp"]) if is_deleting(pod) else None,
        node=str((pod.get("spec") or {}).get("nodeName") or ""),
    )


def _exit(status: Mapping[str, Any], ended: Mapping[str, Any]) -> int | None:
    """Exit code; -1 of a Pod that failed without its container having ended, as when its node was lost."""
    if "exitCode" in ended:
        return int(ended["exitCode"])
    return -1 if status.get("phase") == "Failed" else None


def _ended(status: Mapping[str, Any], ended: Mapping[str, Any], meta: Mapping[str, Any]) -> datetime | None:
    if _exit(status, ended) is None:
        return None
    return at(ended.get("finishedAt") or status.get("startTime") or meta["creationTimestamp"])


def _unplaced(pod: Object) -> str:
    found = condition(pod, "PodScheduled")
    if found is None or found.get("status") != "False":
        return ""
    return str(found.get("message") or found.get("reason") or "no node takes it")

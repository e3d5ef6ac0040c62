"""From what the index has to the scene of one claim. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, Protocol

from kaas.kube import resources
from kaas.kube.objects import Object, labels, owner_uids
from kaas.kube.ports import Source
from kaas.kube.resources import Resource
from kaas.kube.times import at
from kaas.volumes.attempts import REST, Attempt, Job, Outcome, attempt_of, job_view, outcome_of
from kaas.volumes.claim import Claim, Key, Phase
from kaas.volumes.plan import Binding
from kaas.volumes.terms import LOADER_LABEL

WAIT_FOR_FIRST: Final = "WaitForFirstConsumer"


def binding_of(store: Source, claim: Claim) -> Binding:
    """When the volume of a claim comes to be, by its StorageClass."""
    if not claim.storage_class:
        return Binding.IMMEDIATE
    found = store.get(resources.STORAGE_CLASS, None, claim.storage_class)
    if found is None:
        return Binding.IMMEDIATE if claim.volume else Binding.NO_CLASS
    return Binding.FIRST_CONSUMER if found.get("volumeBindingMode") == WAIT_FOR_FIRST else Binding.IMMEDIATE


def jobs_of(store: Source, claim_uid: str) -> list[Job]:
    """Jobs of a claim's loads, with their Pods."""
    return [
        job_view(job, store.owned_by(job["metadata"]["uid"], resources.POD))
        for job in store.owned_by(claim_uid, resources.JOB)
    ]


class Cache(Source, Protocol):
    """Where observed objects are read from."""

    def each(self, resource: Resource, namespace: str | None = None) -> Iterable[Object]:
        """Objects of a kind in no order."""


def strays(store: Cache, claim: Claim) -> list[Attempt]:
    """Loaders that may write into a claim's volume and have no Job: Pods of a lost one end later than it."""
    return open_ones(p for p in store.each(resources.POD, claim.key[0]) if labels(p).get(LOADER_LABEL) == claim.uid)


def open_ones(pods: Iterable[Object]) -> list[Attempt]:
    """Loaders that have not ended."""
    return [attempt for attempt in map(attempt_of, pods) if attempt.exit is None]


def running(store: Cache) -> list[Key]:
    """Claims of all Jobs that have not ended."""
    return [key for job in store.each(resources.JOB) if outcome_of(job) is Outcome.RUNNING for key in claim_keys(job)]


def resting(store: Cache, now: datetime) -> list[Key]:
    """Claims of the Jobs that have not ended and none of whose Pods has run for a while."""
    found = (job for job in store.each(resources.JOB) if outcome_of(job) is Outcome.RUNNING)
    old = (job for job in found if now - at(job["metadata"]["creationTimestamp"]) >= REST)
    views = ((job, job_view(job, store.owned_by(job["metadata"]["uid"], resources.POD))) for job in old)
    return [key for job, view in views if view.rests(now) for key in claim_keys(job)]


def claim_keys(job: Object) -> list[Key]:
    """The claim that a Job loads."""
    owners: Sequence[Object] = job["metadata"].get("ownerReferences") or ()
    return [
        (job["metadata"]["namespace"], o["name"])
        for o in owners
        if o.get("kind") == "PersistentVolumeClaim" and owner_uids(job)
    ]


def job_lean(job: Object) -> Object:
    """Of a Job, what is kept in memory."""
    meta, spec = job["metadata"], job["spec"]
    kept = {k: meta[k] for k in _METADATA if k in meta}
    return {
        "apiVersion": job["apiVersion"],
        "kind": job["kind"],
        "metadata": kept,
        "spec": {k: spec[k] for k in _SPEC if k in spec},
        "status": {k: v for k, v in (job.get("status") or {}).items() if k in _STATUS},
    }


_METADATA: Final = (
    *("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "ownerReferences"),
    *("labels", "annotations"),
)
_SPEC: Final = ("activeDeadlineSeconds", "backoffLimit", "backoffLimitPerIndex", "completions")
_STATUS: Final = ("conditions", "failed", "startTime")


def causes(events: Sequence[Object]) -> str:
    """The newest warning among Events, in its own words; "" when there is none."""
    warnings = [e for e in events if e.get("type") == "Warning" and e.get("message")]
    newest = max(warnings, key=_when, default=None)
    return f"{newest.get('reason')}: {str(newest['message']).strip()}" if newest else ""


def _when(event: Object) -> str:
    series = event.get("series") or {}
    moments = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return str(next(filter(None, moments), event["metadata"].get("creationTimestamp") or ""))


def events_of(claim: Claim, jobs: Sequence[Job]) -> str:
    """Field selector of the Events that may say why nothing happens: the newest Pod's, else the Job's or claim's."""
    job = jobs[-1] if jobs else None
    pods = [a for a in job.attempts if a.exit is None] if job else []
    kind, name = ("PersistentVolumeClaim", claim.key[1])
    unborn = bool(claim.origin) and claim.phase is Phase.PENDING
    if job is not None and not unborn:
        kind, name = ("Pod", pods[-1].name) if pods else ("Job", job.name)
    return f"involvedObject.kind={kind},involvedObject.name={name}"

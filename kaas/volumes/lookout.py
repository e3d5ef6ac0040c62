"""How far a load is, by its log; why it does not begin, by Events. It is remembered, and can be read again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from kaas.kube import resources
from kaas.kube.ports import Lister
from kaas.loader.report import Progress
from kaas.volumes import observe
from kaas.volumes.attempts import Job
from kaas.volumes.logs import AT_ONCE, Texts, tail
from kaas.volumes.parts import Parts, Whole
from kaas.volumes.plan import LOOK, Scene, wants_events
from kaas.volumes.progress import last_progress

AGAIN: Final = timedelta(seconds=LOOK)
CAUSE_AGAIN: Final = timedelta(seconds=15)
"""Between two looks at Events of a load that does not start."""


class Reader(Texts, Lister, Protocol):
    """Who reads logs and Events of an API server."""


@dataclass(slots=True)
class _Seen:
    """What is remembered of a claim's load. pods: those that run; lines: the last of each of them."""

    job: str = ""
    pods: frozenset[str] = frozenset()
    parts: Parts = field(default_factory=Parts)
    lines: dict[str, Progress] = field(default_factory=dict)
    whole: Whole = field(default_factory=Whole)
    moved: datetime | None = None
    heard: datetime | None = None
    read: datetime | None = None
    cause: str = ""
    asked: datetime | None = None


class Lookout:
    """Looks at loads, at each not all the time."""

    def __init__(self, client: Reader) -> None:
        self._client = client
        self._seen: dict[str, _Seen] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    def forget(self, claim_uid: str) -> None:
        """A load is over."""
        self._seen.pop(claim_uid, None)

    async def look(self, scene: Scene) -> Scene:
        """The scene with its progress, or with the cause why there is none."""
        seen = self._seen.setdefault(scene.claim.uid, _Seen())
        if wants_events(scene):
            await self._ask_why(scene, seen)
            return replace(scene, cause=seen.cause)
        seen.cause = ""
        await self._read_progress(scene, seen)
        known = replace(scene, progress=seen.whole.progress, unknown=seen.whole.unknown)
        return replace(known, still_since=seen.moved, heard=seen.heard)

    async def _read_progress(self, scene: Scene, seen: _Seen) -> None:
        job = scene.jobs[0] if scene.jobs else None
        if job is None or not job.running:
            return
        _begin(seen, job, scene.now)
        if seen.read and scene.now - seen.read < AGAIN:
            return
        seen.read = scene.now
        asked = [*job.running, *(seen.parts.ended(job) if job.pods > 1 else ())]
        reads = (tail(self._client, scene.claim.key[0], a.name, self._turns) for a in asked)
        texts = await asyncio.gather(*reads)
        found = [(a, p) for a, text in zip(asked, texts, strict=True) if (p := last_progress(text)) is not None]
        for attempt, progress in found:
            (seen.parts.goes_on if job.pods > 1 else seen.parts.heard)(attempt, progress)
        _judge(seen, job, {a.name: p for a, p in found if a.running}, scene.now)

    async def _ask_why(self, scene: Scene, seen: _Seen) -> None:
        if seen.asked and scene.now - seen.asked < CAUSE_AGAIN:
            return
        seen.asked = scene.now
        selector = observe.events_of(scene.claim, scene.jobs)
        events = await self._client.list(resources.EVENT, scene.claim.key[0], field_selector=selector)
        seen.cause = observe.causes(events)


def _begin(seen: _Seen, job: Job, now: datetime) -> None:
    """What was known of another Job's Pods counts no more; other Pods are given their time to say something."""
    if job.uid != seen.job:
        seen.job, seen.parts, seen.whole = job.uid, Parts(), Whole()
    pods = frozenset(a.name for a in job.running)
    if pods != seen.pods:
        seen.pods, seen.lines, seen.moved, seen.heard = pods, {}, now, now


def _judge(seen: _Seen, job: Job, lines: Mapping[str, Progress], now: datetime) -> None:
    """When something last went on, and when a loader last said anything: a line that is not the one before."""
    before, seen.whole = seen.whole.progress, seen.parts.whole(job)
    if any(line.still is None or line != seen.lines.get(pod) for pod, line in lines.items()):
        seen.heard = now
    seen.lines.update(lines)
    still = [line.still for line in lines.values() if line.still is not None]
    if not lines or len(still) < len(lines):  # an older loader does not say for how long nothing has gone on
        after = seen.whole.progress
        if after is not None and (before is None or _mark(before) != _mark(after)):
            seen.moved = now
        return
    moved = now - timedelta(seconds=min(still))
    if seen.moved is None or abs(moved - seen.moved) >= AGAIN:  # lines are some seconds old, now more, now less
        seen.moved = moved


def _mark(progress: Progress) -> tuple[str, int, int]:
    return progress.phase, progress.bytes_done, progress.files_done

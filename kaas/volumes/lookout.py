"""How far a load is, by its log; why it does not begin, by Events. It is remembered, and can be read again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from kaas.kube import resources
from kaas.kube.objects import Objects
from kaas.kube.resources import Resource
from kaas.loader.report import Progress
from kaas.volumes import observe
from kaas.volumes.logs import AT_ONCE, Texts, tail
from kaas.volumes.plan import LOOK, Scene, wants_events
from kaas.volumes.progress import last_progress, together

AGAIN: Final = timedelta(seconds=LOOK)
CAUSE_AGAIN: Final = timedelta(seconds=15)
"""Between two looks at Events of a load that does not start."""


class Reader(Texts, Protocol):
    """Who reads logs and Events of an API server."""

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str | None = None,
        *,
        field_selector: str | None = None,
    ) -> Objects:
        """Objects of a kind."""


@dataclass(slots=True)
class _Seen:
    progress: Progress | None = None
    moved: datetime | None = None
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
        return replace(scene, progress=seen.progress, still_since=seen.moved)

    async def _read_progress(self, scene: Scene, seen: _Seen) -> None:
        running = [a.name for job in scene.jobs for a in job.attempts if a.running]
        if not running or (seen.read and scene.now - seen.read < AGAIN):
            return
        seen.read = scene.now
        reads = (tail(self._client, scene.claim.key[0], pod, self._turns) for pod in running)
        texts = await asyncio.gather(*reads)
        parts = [p for p in map(last_progress, texts) if p is not None]
        progress = together(parts) if len(parts) == len(running) else None
        if progress is None:
            return
        if seen.progress is None or _mark(progress) != _mark(seen.progress):
            seen.moved = scene.now
        seen.progress = progress

    async def _ask_why(self, scene: Scene, seen: _Seen) -> None:
        if seen.asked and scene.now - seen.asked < CAUSE_AGAIN:
            return
        seen.asked = scene.now
        selector = observe.events_of(scene.claim, scene.jobs)
        events = await self._client.list(resources.EVENT, scene.claim.key[0], field_selector=selector)
        seen.cause = observe.causes(events)


def _mark(progress: Progress) -> tuple[str, int, int]:
    return progress.phase, progress.bytes_done, progress.files_done

"""How far a load of one or several Pods is: what each last said, also those that have ended. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from kaas.loader.report import Exit, Phase, Progress
from kaas.volumes.attempts import Attempt, Job
from kaas.volumes.progress import together

TRIES: Final = 3
"""How often the log of a Pod that has ended is asked for: its node may be gone."""


@dataclass(frozen=True, slots=True)
class Whole:
    """How far all Pods are together. unknown: of how many of them nothing is known; then there are no totals."""

    progress: Progress | None = None
    unknown: int = 0


class Parts:
    """What is known of each part of one Job. A part is what one Pod does, however often that is tried."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[str, Progress]] = {}
        self._asked: dict[str, int] = {}

    def heard(self, attempt: Attempt, progress: Progress) -> None:
        """An attempt says so."""
        self._last[attempt.index] = attempt.name, progress

    def goes_on(self, attempt: Attempt, progress: Progress) -> None:
        """The same, of one part of several: while it lists anew, what the attempt before knew is the last word."""
        if progress.bytes_total is not None or not self._has_totals(attempt.index):
            self.heard(attempt, progress)

    def ended(self, job: Job) -> Sequence[Attempt]:
        """Attempts that have ended and whose log is to be read: nothing else tells how far their parts are."""
        busy = {a.index for a in job.running}
        newest = {a.index: a for a in job.attempts if a.exit is not None and a.index not in busy}
        found = [a for a in newest.values() if not self._enough(a) and self._asked.get(a.name, 0) < TRIES]
        for attempt in found:
            self._asked[attempt.name] = self._asked.get(attempt.name, 0) + 1
        return found

    def whole(self, job: Job) -> Whole:
        """How far a Job is."""
        done = {a.index: a.name for a in job.attempts if a.exit == Exit.DONE}
        names = {a.name for a in job.running}
        found = [p for i in range(job.pods) if (p := self._part(i, names, done.get(i))) is not None]
        progress, unknown = together(found), job.pods - len(found)
        if progress is not None and unknown:
            progress = replace(progress, bytes_total=None, files_total=None, remaining=None)
        return Whole(progress, unknown)

    def _part(self, index: int, running: set[str], done: str | None) -> Progress | None:
        """done: the attempt that did it, None while none has."""
        name, last = self._last.get(index, ("", None))
        if last is None or name in running:
            return last
        rests = replace(last, rate=0.0, remaining=None)
        if done is None:
            return rests
        if name != done or last.bytes_total is None or last.files_total is None:
            return None
        return replace(rests, phase=Phase.VERIFYING, bytes_done=last.bytes_total, files_done=last.files_total)

    def _enough(self, ended: Attempt) -> bool:
        """Whether the log of an attempt that has ended tells nothing more."""
        told = self._has_totals(ended.index)
        return told and (ended.exit != Exit.DONE or self._last[ended.index][0] == ended.name)

    def _has_totals(self, index: int) -> bool:
        return index in self._last and self._last[index][1].bytes_total is not None

"""What `up` tells the person who waits: lines with the time since the start, and a bar while programs are built."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

DETAIL_WIDTH = 48


class Step:
    """One step of a list, shown while it runs."""

    def __init__(self, progress: Progress, task: TaskID, whole: TaskID, weight: int) -> None:
        self._progress, self._task, self._whole, self._weight = progress, task, whole, weight
        self._begin, self._shown = time.monotonic(), 0.0

    def detail(self, text: str) -> None:
        """Show what the step is at, cut to the width of its column; moves the bar by the time gone."""
        self._progress.update(self._task, detail=text[-DETAIL_WIDTH:])
        # The last tenth of a step is left for its end: the weight is another machine's time.
        share = min(time.monotonic() - self._begin, 0.9 * self._weight)
        self._progress.advance(self._whole, share - self._shown)
        self._shown = share

    def done(self) -> float:
        """Close the step; returns its seconds."""
        self._progress.advance(self._whole, self._weight - self._shown)
        self._progress.remove_task(self._task)
        return time.monotonic() - self._begin


class Steps:
    """A list of steps of known weight; see `Reporter.steps`."""

    def __init__(self, reporter: Reporter, progress: Progress, count: int, whole: TaskID) -> None:
        self._reporter, self._progress, self._count, self._whole = reporter, progress, count, whole
        self._started = 0

    @contextmanager
    def step(self, name: str, weight: int) -> Iterator[Step]:
        """Run one step; when it ends well, a line says how long it took."""
        self._started += 1
        place = f"[{self._started}/{self._count}]"
        if not self._reporter.is_live:
            self._reporter.say(f"{place} {name} ...")
        task = self._progress.add_task(name, total=None, place=place, detail="")
        step = Step(self._progress, task, self._whole, weight)
        yield step
        self._reporter.say(f"{place} {name} {step.done():.0f} s")


class Reporter:
    """Says lines to the console; safe to use from several threads."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._begin = time.monotonic()
        self._lock = threading.Lock()

    @property
    def is_live(self) -> bool:
        """Whether a person watches: a terminal, not a log."""
        return self._console.is_terminal

    def say(self, text: str) -> None:
        """Print one line with the seconds since the start."""
        with self._lock:
            self._console.print(f"{time.monotonic() - self._begin:6.1f} s  {text}", markup=False, soft_wrap=True)

    @contextmanager
    def steps(self, what: str, weights: list[int]) -> Iterator[Steps]:
        """Show a bar over steps of these weights (seconds); plain lines where there is no terminal."""
        columns = (
            TextColumn("{task.fields[place]:>8}"),
            SpinnerColumn(),
            TextColumn("{task.description:24}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.fields[detail]}", style="dim"),
        )
        with Progress(*columns, console=self._console, disable=not self.is_live) as progress:
            whole = progress.add_task(what, total=sum(weights), place="", detail="")
            yield Steps(self, progress, len(weights), whole)

"""A load told to people: a bar on a terminal, a line now and then anywhere else, and one line at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from kaas.cli.output import console
from kaas.cli.settings import Settings
from kaas.loader.report import Phase, Progress, Reason, Result

SECONDS: Final = 10.0
"""Between two lines where there is no terminal."""
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP: Final = 1024
_MINUTE: Final = 60
_HOUR: Final = 3600


class Screen:
    """Progress on stderr, the result on stdout."""

    def __init__(self, settings: Settings, now: Callable[[], float] = time.monotonic) -> None:
        self._out = console(settings)
        self._err = console(settings, stderr=True)
        self._now = now
        self._next = now() + SECONDS
        self._bar: Bar | None = _bar(self._err) if self._err.is_terminal else None
        self._task = self._bar.add_task("", total=None) if self._bar else None

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def progress(self, progress: Progress) -> None:
        """Draw it, or write a line when it is time for one."""
        if self._bar is not None and self._task is not None:
            self._bar.update(
                self._task, description=told(progress), completed=progress.bytes_done, total=progress.bytes_total
            )
        elif self._now() >= self._next:
            self._next = self._now() + SECONDS
            self._err.print(told(progress), markup=False)

    def result(self, result: Result) -> None:
        """One line: on stdout when all is there, else on stderr with the way on."""
        self._end()
        if result.reason is Reason.LOADED:
            self._out.print(summary(result), markup=False)
            return
        self._err.print(f"kaas: {result.message}", markup=False)
        if result.reason not in _FINAL:
            self._err.print("kaas: what is there stays: the same command goes on from there", markup=False)

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


_FINAL: Final = frozenset({Reason.INVALID_SPEC, Reason.INVALID_KEY, Reason.SOURCE_NOT_FOUND, Reason.ACCESS_DENIED})


def _bar(where: Console) -> Bar:
    return Bar(BarColumn(bar_width=24), TextColumn("{task.description}", markup=False), console=where, transient=True)


def told(progress: Progress) -> str:
    """Progress in a line: `Loading  43.1%  12.4/28.8 GiB  812/1,893 files  1.2 GiB/s  ETA 13s`."""
    if progress.phase is Phase.LISTING:
        return f"{progress.phase.value}  {progress.listed:,} objects"
    parts = [progress.phase.value]
    if progress.bytes_total:
        parts.append(f"{100 * min(1.0, progress.bytes_done / progress.bytes_total):.1f}%")
    parts.append(_of(size(progress.bytes_done), progress.bytes_total, size))
    parts.append(_of(f"{progress.files_done:,}", progress.files_total, "{:,}".format) + " files")
    if progress.rate:
        parts.append(f"{size(progress.rate)}/s")
    if progress.remaining is not None:
        parts.append(f"ETA {lasting(progress.remaining)}")
    return "  ".join(parts)


def _of(done: str, total: int | None, shown: Callable[[int], str]) -> str:
    return done if total is None else f"{done}/{shown(total)}"


def size(count: float) -> str:
    """Bytes with their unit, powers of 1,024."""
    unit = 0
    while count >= _STEP and unit < len(_UNITS) - 1:
        count, unit = count / _STEP, unit + 1
    return f"{count:.0f} {_UNITS[unit]}" if unit == 0 else f"{count:.1f} {_UNITS[unit]}"


def lasting(seconds: float) -> str:
    """A time as `13s`, `4m10s` or `2h05m`."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02}s"
    return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"


def summary(result: Result) -> str:
    """A load that is done, in a line."""
    rate = f", {size(result.bytes / result.seconds)}/s" if result.seconds and result.bytes else ""
    parts = [f"loaded {result.files:,} files, {size(result.bytes)} in {lasting(result.seconds)}{rate}"]
    if result.skipped:
        parts.append(f"{result.skipped:,} were there already")
    if result.deleted:
        parts.append(f"{result.deleted:,} deleted")
    ways = ", ".join(f"{count:,} by {way}" for way, count in sorted(result.verified.items()) if count)
    if ways:
        parts.append(f"compared: {ways}")
    return "; ".join(parts)

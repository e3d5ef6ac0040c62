"""Runs a load: opens the source, hears signals, and tells how far it is and how it ended, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import traceback
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from kaas.cli.exits import ExitCode
from kaas.cli.load_lines import Lines
from kaas.cli.load_request import Asked, Request, read
from kaas.cli.settings import Settings
from kaas.loader import container
from kaas.loader import run as engine
from kaas.loader.address import Scheme
from kaas.loader.crew import Crew
from kaas.loader.faults import Fault, exit_code, of_source
from kaas.loader.report import Progress, Reason, Result
from kaas.loader.source import Source, SourceError
from kaas.loader.sources.opening import open_source

Tell = Callable[[Progress], None]


class Teller(Protocol):
    """Where a load is told."""

    def progress(self, progress: Progress) -> None:
        """Tell how far it is."""

    def result(self, result: Result) -> None:
        """Tell how it ended."""


def run(settings: Settings, asked: Asked, *, lines: bool, dry_run: bool, termination_log: Path | None) -> int:
    """Load, or show what would be loaded; the exit code."""
    if dry_run:
        return _dry(settings, asked, lines=lines)
    stop, crew = Stop(), _crew(asked)
    with _teller(settings, termination_log, lines=lines) as teller:
        result = outcome(lambda: _load(asked, teller.progress, stop, crew), verbose=settings.verbose)
        teller.result(result)
    if stop.by is signal.SIGINT and result.reason is Reason.INTERRUPTED and not asked.job:
        return ExitCode.INTERRUPTED
    return exit_code(result.reason)


def _dry(settings: Settings, asked: Asked, *, lines: bool) -> int:
    from kaas.cli.load_dry import preview  # noqa: PLC0415 - slow to import

    found: list[int] = []

    async def look() -> Result:
        request = read(asked)
        source = await _opened(request)
        try:
            found.append(await preview(settings, source, request, lines=lines))
        finally:
            await source.close()
        return Result(Reason.LOADED, "")

    result = outcome(look, verbose=settings.verbose)
    if not found:
        with _teller(settings, None, lines=lines) as teller:
            teller.result(result)
    return found[0] if found else exit_code(result.reason)


def _teller(settings: Settings, termination_log: Path | None, *, lines: bool) -> AbstractContextManager[Teller]:
    if lines:
        return Lines(termination_log)
    from kaas.cli.load_view import Screen  # noqa: PLC0415 - slow to import

    return Screen(settings)


def _crew(asked: Asked) -> Crew:
    """Other processes, where they can read the source. They have imported what this one has."""
    if not asked.source.startswith(f"{Scheme.S3}://"):
        return Crew()
    with contextlib.suppress(ModuleNotFoundError):  # whoever opens the source tells what is missing
        import kaas.loader.sources.s3  # noqa: F401, PLC0415 - slow to import
    return Crew.gather(container.limits().cpus)


async def _load(asked: Asked, tell: Tell, stop: Stop, crew: Crew) -> Result:
    stop.listen()
    request = read(asked)
    source = await _opened(request)
    try:
        return await engine.load(source, request.destination, request.options, report=tell, stop=stop.event, crew=crew)
    finally:
        await source.close()


async def _opened(request: Request) -> Source:
    source = await open_source(request.address, request.access)
    gc.freeze()
    gc.enable()
    return source


def outcome(work: Callable[[], Coroutine[Any, Any, Result]], *, verbose: bool = False) -> Result:
    """The result of some work, also of one that fails."""
    try:
        return asyncio.run(work())
    except Fault as fault:
        return Result(fault.reason, str(fault))
    except SourceError as error:
        found = of_source(error)
        return Result(found.reason, str(found))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return Result(Reason.INTERRUPTED, "it was told twice to stop")
    except Exception as error:
        if verbose:
            traceback.print_exc()
        return Result(Reason.FAILED, f"{type(error).__name__}: {error} (an error of kaas itself: `-v` shows where)")


class Stop:
    """Hears SIGINT and SIGTERM: the first asks the load to stop in order, the second ends it at once.

    by: the first signal, None before it.
    """

    def __init__(self) -> None:
        self.by: signal.Signals | None = None
        self.event = asyncio.Event()

    def listen(self) -> None:
        """From now on, for the running task."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._hear, number, task)

    def _hear(self, number: signal.Signals, task: asyncio.Task[Any] | None) -> None:
        if self.by is None:
            self.by = number
            self.event.set()
        elif task is not None:
            task.cancel()

"""A loader with a crew, in a process of its own."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

from kaas.loader import lane
from kaas.loader.crew import Crew
from kaas.loader.hands import Hands
from kaas.loader.report import Result
from tests.loader_faults.loading import load_from
from tests.loader_faults.server import Store

DEADLINE = 300
CPUS = 2.0


def refuse(*_: object) -> None:
    raise AssertionError("the loader was to leave this to others")


def loading(url: str, to: str, said: Any, alone: bool, stop: Any, options: dict[str, Any]) -> None:
    """Load by a crew. said: takes its processes, then the result. alone: whether the loader may load by itself too."""
    crew = Crew.gather(CPUS)
    said.put([each._pid for each in crew._mates])

    async def run() -> Result:
        event = asyncio.Event()
        if stop is not None:
            threading.Thread(
                target=lambda loop: stop.wait() and loop.call_soon_threadsafe(event.set),
                args=(asyncio.get_running_loop(),),
                daemon=True,
            ).start()
        return await load_from(url, Path(to), crew=crew, stop=event, **options)

    with ExitStack() as held:
        if not alone:
            held.enter_context(patch.object(Hands, "files", refuse))
            held.enter_context(patch.object(lane, "written", refuse))
        said.put(asyncio.run(run()))


class Strange(Exception):
    """An error that can be sent, and not be received."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def strangely(*_: object) -> None:
    raise Strange("nobody", "knows it")


def failing(url: str, to: str, said: Any) -> None:
    """Load by a crew that fails; said: takes the error."""
    with patch.object(Hands, "files", strangely):
        crew = Crew.gather(CPUS)
        try:
            asyncio.run(load_from(url, Path(to), crew=crew))
        except RuntimeError as error:
            said.put(str(error))


class Loader:
    """A loader in a process of its own, and its crew."""

    def __init__(self, store: Store, to: Path, *, alone: bool = True, **options: Any) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.loader_faults.crews", "kaas.loader.sources.s3"])
        self._said = context.Queue()
        self.stop = context.Event()
        self._process = context.Process(
            target=loading, args=(store.url, str(to), self._said, alone, self.stop, options), daemon=False
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    async def crew(self) -> list[int]:
        """Processes of the crew."""
        found: list[int] = await asyncio.to_thread(self._said.get, True, DEADLINE)
        return found

    async def result(self) -> Result:
        """What came of it."""
        found: Result = await asyncio.to_thread(self._said.get, True, DEADLINE)
        await asyncio.to_thread(self._process.join)
        return found

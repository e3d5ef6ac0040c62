"""A loader in a process of its own that is killed again and again, when the store has served so many bytes."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.loader_faults.loading import in_a_process
from tests.loader_faults.server import Store


async def killed_at_points(
    store: Store, to: Path, total: int, kills: int, options: Mapping[str, Any] = MappingProxyType({})
) -> int:
    """Load to the end, with kills at so many points of `total` bytes, the same ones each time; how many there were."""
    chance = random.Random(8)  # noqa: S311 - the same points each time
    points = sorted(chance.randrange(1, total) for _ in range(kills))
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.loader_faults.loading", "kaas.loader.sources.s3"])
    killed = 0
    async with store.running():
        for point in [*points, 2**62]:
            process = processes.Process(target=in_a_process, args=(store.url, str(to), dict(options)))
            process.start()
            assert process.pid is not None
            killed += await _until_dead(store, process.pid, process.sentinel, point)
            process.join()
            if process.exitcode == 0:
                break
            assert process.exitcode == -signal.SIGKILL
    assert process.exitcode == 0
    return killed


async def _until_dead(store: Store, pid: int, sentinel: int, point: int) -> int:
    """Kill a process when the store has served so many bytes in all; whether it was killed."""
    dead = asyncio.Event()
    killed: list[int] = []

    def watch(served: int) -> None:
        if served >= point and not killed:
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)

    store.watch = watch
    loop = asyncio.get_running_loop()
    loop.add_reader(sentinel, dead.set)
    try:
        async with asyncio.timeout(300):
            await dead.wait()
    finally:
        loop.remove_reader(sentinel)
        store.watch = lambda _: None
    return len(killed)

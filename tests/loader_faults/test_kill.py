"""A load is killed again and again, at any byte, and goes on from where it was."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
from pathlib import Path

from tests.loader_faults.blobs import blob
from tests.loader_faults.loading import MIB, RANGE, STREAMS, differing, in_a_process
from tests.loader_faults.server import Store

KILLS = 50
LARGE = {"large/1": blob(60 * MIB + 1, 1, md5=False), "large/2": blob(30 * MIB, 2, summed=False)}
SMALL = {f"small/{n:04d}": blob(10_000 + n, n) for n in range(1500)}
TOTAL = sum(found.size for found in (LARGE | SMALL).values())


async def test_killed_at_fifty_points_it_is_right_and_nothing_was_fetched_twice(tmp_path: Path) -> None:
    store = Store()
    store.objects = LARGE | SMALL
    chance = random.Random(8)  # noqa: S311 - the same points each time
    points = sorted(chance.randrange(1, TOTAL) for _ in range(KILLS))
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.loader_faults.loading", "kaas.loader.sources.s3"])
    kills = 0
    async with store.running():
        for point in [*points, 2**62]:
            process = processes.Process(target=in_a_process, args=(store.url, str(tmp_path)))
            process.start()
            assert process.pid is not None
            kills += await until_dead(store, process.pid, process.sentinel, point)
            process.join()
            if process.exitcode == 0:
                break
            assert process.exitcode == -signal.SIGKILL
    assert process.exitcode == 0
    assert kills >= KILLS * 0.9  # two points may lie in what one process had in flight
    assert differing(store, tmp_path) == []
    twice = sum(store.served.values()) - TOTAL
    assert twice <= kills * STREAMS * RANGE
    for key, found in LARGE.items():
        assert store.served[key] - found.size <= kills * STREAMS * RANGE
    once = sum(store.gets[key] == 1 for key in SMALL)
    assert once >= len(SMALL) - kills * STREAMS


async def until_dead(store: Store, pid: int, sentinel: int, point: int) -> int:
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

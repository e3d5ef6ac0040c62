from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from kaas.loader.inline import Inline


@pytest.mark.parametrize(
    ("seconds", "waits", "threads"),
    [(0.0001, 1, 0), (0.003, 1, 84), (0.003, 0, 0)],
    ids=["disk", "server", "busy machine"],
)
def test_slow_disks_get_threads(seconds: float, waits: int, threads: int) -> None:
    clock, waited, used = [0.0], [0], []

    def work() -> None:
        clock[0] += seconds
        waited[0] += waits

    async def thread(work: Callable[[], None]) -> None:
        used.append(work)

    async def all_of_them() -> None:
        inline = Inline(thread, lambda: clock[0], lambda: waited[0])
        for _ in range(100):
            await inline.do(work)

    asyncio.run(all_of_them())
    assert len(used) == threads

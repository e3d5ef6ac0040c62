from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from kaas.loader.inline import Inline


@pytest.mark.parametrize(("seconds", "threads"), [(0.0001, 0), (0.003, 84)])
def test_slow_disks_get_threads(seconds: float, threads: int) -> None:
    clock, used = [0.0], []

    def work() -> None:
        clock[0] += seconds

    async def thread(work: Callable[[], None]) -> None:
        used.append(work)

    async def all_of_them() -> None:
        inline = Inline(thread, lambda: clock[0])
        for _ in range(100):
            await inline.do(work)

    asyncio.run(all_of_them())
    assert len(used) == threads

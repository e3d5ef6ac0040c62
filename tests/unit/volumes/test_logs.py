"""Logs of loaders: read by few at a time, and never waited for by anything else."""

from __future__ import annotations

import asyncio
from typing import Any

from kaas.runtime.clock import settle
from kaas.volumes.logs import AT_ONCE, tail


class Kubelets:
    """They answer when they are told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.reading = self.most = 0
        self.content = self

    async def text(self, path: str, *, silence: float) -> Any:
        self.reading += 1
        self.most = max(self.most, self.reading)
        await self.go_on.wait()
        return self

    async def read(self, limit: int) -> bytes:
        return b"a line"

    async def __aenter__(self) -> Kubelets:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.reading -= 1


async def test_kubelets_that_do_not_answer_leave_connections_for_others() -> None:
    kubelets, turns = Kubelets(), asyncio.Semaphore(AT_ONCE)
    reads = [asyncio.ensure_future(tail(kubelets, "team", f"pod-{n}", turns)) for n in range(3 * AT_ONCE)]
    await settle()
    assert kubelets.reading == AT_ONCE
    kubelets.go_on.set()
    assert await asyncio.gather(*reads) == ["a line"] * len(reads)
    assert (kubelets.most, kubelets.reading) == (AT_ONCE, 0)

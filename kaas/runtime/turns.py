"""Turns of one event loop, for those who have much to compute between two waits."""

from __future__ import annotations

import asyncio


class Turns:
    """Lets many begin one after the other, each in a turn of the loop of its own.

    What begins in the same turn holds up everything else for as long as all of it needs together.
    """

    def __init__(self) -> None:
        self._taken = asyncio.Lock()

    async def take(self) -> None:
        """Return when nobody else has begun in this turn; first come, first served."""
        await self._taken.acquire()
        asyncio.get_running_loop().call_soon(self._taken.release)

"""Memory that ranges in flight share."""

from __future__ import annotations

import asyncio
from collections import deque


class Room:
    """So many bytes. What is larger than all of it goes when it is alone. For one event loop."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, length: int) -> None:
        """Wait until so many bytes are free, and hold them."""
        while self._held and self._held + length > self._size:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        self._held += length

    def give(self, length: int) -> None:
        """Hold so many bytes no more; who waits looks again."""
        self._held -= length
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)

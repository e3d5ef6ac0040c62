"""Waiting for what has to be over before anything else may happen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

_LOOK: Final = 0.01


async def until(over: Callable[[], bool]) -> None:
    """Wait until it is over, however often the wait is cancelled; that is then raised once it is."""
    cancelled: asyncio.CancelledError | None = None
    while not over():
        try:
            await asyncio.sleep(_LOOK)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled:
        raise cancelled

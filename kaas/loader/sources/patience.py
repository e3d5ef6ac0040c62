"""Asking again for a page of a listing, which nobody but the source can."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from kaas.loader.source import Unreachable
from kaas.loader.sources.access import ATTEMPTS, LONGEST_WAIT

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[object]]
"""Waits for so many seconds."""


async def patiently(ask: Callable[[], Awaitable[T]], sleep: Sleep) -> T:
    """What is asked for, after waits that double, with jitter, and are never shorter than the server said."""
    for attempt in range(ATTEMPTS - 1):
        try:
            return await ask()
        except Unreachable as error:
            longest = min(LONGEST_WAIT, 0.25 * 2**attempt)
            await sleep(max(error.wait, random.uniform(longest / 2, longest)))  # noqa: S311 - jitter
    return await ask()

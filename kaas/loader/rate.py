"""So many bytes a second and no more, so that a load does not take all of a link. Pure: its clock is given."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final

from kaas.kube import quantity
from kaas.loader.options import MIB

SMALLEST: Final = 64 * 1024
"""Bytes a second: a range of one MiB takes a quarter of a minute, and a load that moves is seen to."""
LONGEST: Final = 10.0
"""Seconds of one sleep: between two of them the load is told that it is waited for, and is not silent."""
PATTERN: Final = r"[0-9]{1,15}([.][0-9]{1,9})?([KMGTPE]i|[kMGTPE])?"
"""As bytes a second are written: an amount of Kubernetes that can be one of bytes."""
_TEXT: Final = re.compile(PATTERN)
_SHOWN: Final = 80
_WAY_OUT: Final = "write bytes a second, at least 64Ki, as 50Mi, 1Gi or 200M"


def parse(text: str) -> int:
    """Bytes a second as people write them; ValueError for what is none, or too few."""
    if not _TEXT.fullmatch(text):
        raise ValueError(f"{text[:_SHOWN]!r} is no rate: {_WAY_OUT}")
    found = quantity.whole(text)
    if found < SMALLEST:
        raise ValueError(f"{text!r} is too little: {_WAY_OUT}")
    return found


def piece(rate: int | None, wanted: int) -> int:
    """Bytes of a range at this rate, None for no limit: what is wanted, or what comes in a second, but at least 1 MiB.

    A power of two when what is wanted is one.
    """
    return wanted if rate is None else min(wanted, max(MIB, 1 << (rate.bit_length() - 1)))


class Rate:
    """Tells the requests of one load when to begin. Time that nobody used is not made up for.

    rate: bytes a second. now: seconds that only grow; sleep: waits for so many of them; waiting: called meanwhile.
    """

    def __init__(
        self,
        rate: int,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
        waiting: Callable[[], None],
    ) -> None:
        self._rate = rate
        self._now = now
        self._sleep = sleep
        self._waiting = waiting
        self._free = now()

    async def take(self, length: int) -> None:
        """Wait until so many bytes may be asked for; who comes next waits for as long as they may take."""
        if not length:
            return
        begin = max(self._now(), self._free)
        self._free = begin + length / self._rate
        while (left := begin - self._now()) > 0:
            await self._sleep(min(left, LONGEST))
            self._waiting()

    def give(self, length: int) -> None:
        """So many bytes that were taken are not asked for: others may have them."""
        self._free -= length / self._rate

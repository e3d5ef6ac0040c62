"""How many requests are made at once: more while it gets faster, half as many when the store asks for it. Pure.

Where one request waits for the network, many at once bring many times as much. Where the processor is what there is
too little of, each one more only has threads wait for each other: on two cores beside its server, 16 requests at once
take a quarter longer than 4. So it begins with few, and doubles them for as long as that clearly pays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

START: Final = 4
"""Requests at once to begin with."""
PERIOD: Final = 1.0
"""Seconds over which a rate is measured; half of it while requests are doubled."""
BETTER: Final = 1.05
"""A rate so many times the one before is worth the requests that it took."""
MUCH_BETTER: Final = 1.15
"""A rate so many times the one before is worth twice as many requests."""
FILE: Final = 64 * 1024
"""Bytes that a request costs as much as, whatever it brings."""
COOL: Final = 5.0
"""Seconds without growth after the store has asked for less."""
LONG: Final = 5.0
"""Seconds after which a rate is taken for one, however few requests have been done."""


@dataclass(slots=True)
class Pace:
    """Slow start, then additive increase, multiplicative decrease.

    window: requests at once, from 1 to `most`; start: in seconds.
    """

    most: int
    window: int
    start: float
    _bytes: int = 0
    _done: int = 0
    _rate: float = 0.0
    _before: int = 0
    _doubles: bool = True
    _slowed: float = float("-inf")

    def done(self, length: int) -> None:
        """A request brought so many bytes."""
        self._bytes += length + FILE
        self._done += 1

    def slow(self, now: float) -> None:
        """The store asked for less. Requests of one crowd ask once: within a period the window is halved only once."""
        if now - self._slowed >= PERIOD:
            self.window = max(1, self.window // 2)
            self._slowed = now
            self._restart(now)
            self._rate = 0.0
            self._doubles = False

    def look(self, now: float) -> None:
        """Change the window by what was measured, once a period: each request has to have had its time."""
        passed = now - self.start
        if passed < (PERIOD / 2 if self._doubles else PERIOD) or (self._done < self.window and passed < LONG):
            return
        rate = self._bytes / passed
        self._restart(now)
        if now - self._slowed >= COOL:
            self._weigh(rate)

    def _weigh(self, rate: float) -> None:
        grown = self.window > self._before
        if rate > self._rate * (MUCH_BETTER if self._doubles else BETTER):
            self._before = self.window
            self.window = min(self.most, self.window * 2 if self._doubles else self.window + max(1, self.window // 4))
        else:
            self._doubles = False
            if grown and self._before:
                self.window = self._before  # it brought nothing: back
        self._rate = max(rate, self._rate * 0.9)  # an old best is forgotten by and by, so that it is tried again

    def _restart(self, now: float) -> None:
        self._bytes, self._done, self.start = 0, 0, now

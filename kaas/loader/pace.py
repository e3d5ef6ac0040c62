"""How many requests are made at once: more while it gets faster, half as many when the store asks for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PERIOD: Final = 1.0
"""Seconds over which a rate is measured."""
BETTER: Final = 1.05
"""A rate so many times the one before is worth the requests that it took."""
FILE: Final = 64 * 1024
"""Bytes that a request costs as much as, whatever it brings."""
COOL: Final = 5.0
"""Seconds without growth after the store has asked for less."""


@dataclass(slots=True)
class Pace:
    """Additive increase, multiplicative decrease. window: requests at once, from 1 to `most`; start: in seconds."""

    most: int
    window: int
    start: float
    _bytes: int = 0
    _rate: float = 0.0
    _before: int = 0
    _slowed: float = float("-inf")

    def done(self, length: int) -> None:
        """A request brought so many bytes."""
        self._bytes += length + FILE

    def slow(self, now: float) -> None:
        """The store asked for less. Requests of one crowd ask once: within a period the window is halved only once."""
        if now - self._slowed >= PERIOD:
            self.window = max(1, self.window // 2)
            self._slowed = now
            self._restart(now)
            self._rate = 0.0

    def look(self, now: float) -> None:
        """Change the window by what was measured, once a period."""
        passed = now - self.start
        if passed < PERIOD:
            return
        rate = self._bytes / passed
        self._restart(now)
        if now - self._slowed >= COOL:
            self._weigh(rate)

    def _weigh(self, rate: float) -> None:
        grown = self.window > self._before
        if rate > self._rate * BETTER:
            self._before = self.window
            self.window = min(self.most, self.window + max(1, self.window // 4))
        elif grown and self._before:
            self.window, self._before = self._before, self._before  # it brought nothing: back
        self._rate = max(rate, self._rate * 0.9)  # an old best is forgotten by and by, so that it is tried again

    def _restart(self, now: float) -> None:
        self._bytes, self.start = 0, now

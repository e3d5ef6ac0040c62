"""How far kaas is with one add-on of one Cluster, and when it does something about it next."""

from __future__ import annotations

import hashlib
from typing import Final

from kaas.addons.progress import Progress
from kaas.addons.told import Gone
from kaas.addons.work import Pause, Work

DRIFT: Final = 1800.0
"""Seconds after which all objects are applied again."""
STARTING: Final = 10.0
STARTING_FOR: Final = 600.0
STARTED_LATE: Final = 60.0
"""What does not work yet is looked at every 10 seconds for 10 minutes, then every minute."""
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 300.0
"""Seconds after which what was refused is tried again: twice as many each time."""
SOON: Final = 5.0
"""Seconds after which what may end by itself is tried again, as long as it is not a failure yet."""
PATIENCE: Final = 120.0
"""Seconds for which it may go on before it is one: a webhook of the same add-on has to start first."""


class Course:
    """Times are those of a clock that never goes back.

    goal: what is being worked on, None when all is as it is to be. due: when that goes on, or all is applied again.
    look: when it is asked next whether it works, None when it does. rests: whether nothing else is done.
    gone: what is told of what is taken out.
    """

    def __init__(self, now: float, spread: str, *, rests: bool = False) -> None:
        self.rests = rests
        self.goal: str | None = None
        self.due = now + _share(spread) * DRIFT
        self.look: float | None = None
        self.progress = Progress()
        self.gone = Gone()
        self._began = now
        self._failures = 0
        self._starts = now
        self._missed, self._is_soon = 0, False
        self._work: Work | None = None
        self._server: object = None

    def aim(self, goal: str, now: float) -> bool:
        """Work on something, at once if that is new; whether it is."""
        if goal == self.goal:
            return False
        self.goal, self.due, self._began, self._failures, self._work = goal, now, now, 0, None
        return True

    def begun(self, server: object) -> Work | None:
        """What was begun with a server and is not through."""
        return self._work if server is self._server else None

    @property
    def is_under_way(self) -> bool:
        """Whether something was begun that is not through."""
        return self._work is not None

    def begin(self, work: Work, server: object) -> Work:
        """Go on with this from now on."""
        self._work, self._server = work, server
        self.progress.begun()
        return work

    def paused(self, pause: Pause, now: float) -> None:
        """It goes on where it was."""
        self.due = now + pause.seconds

    def broken(self) -> None:
        """What was begun has to be begun anew; when is not said."""
        self._work = None

    def refused(self, now: float) -> None:
        """It failed, and is tried again with growing pauses."""
        self._work = None
        self.due = now + min(FIRST_PAUSE * 2**self._failures, LONGEST_PAUSE)
        self._failures = min(self._failures + 1, 10)

    def delayed(self, now: float) -> bool:
        """It did not succeed yet, which may be better soon; False when that has gone on for too long."""
        if now - self._began >= PATIENCE:
            return False
        self._work, self.due = None, now + SOON
        return True

    def finished(self, now: float) -> None:
        """All is there."""
        self.goal, self._work, self._failures, self._is_soon = None, None, 0, False
        self.due, self.look, self._starts = now + DRIFT, now, now

    def starting(self, now: float) -> None:
        """It does not work yet."""
        self.look = now + (STARTING if now - self._starts < STARTING_FOR else STARTED_LATE)

    def missed(self, now: float) -> None:
        """Something of it is not there: all is applied again soon, with growing pauses if that does not help."""
        if not self._is_soon:
            self.due = min(self.due, now + min(FIRST_PAUSE * 2**self._missed, LONGEST_PAUSE))
            self._missed, self._is_soon = min(self._missed + 1, 10), True

    def works(self) -> None:
        """It works."""
        self.look, self._missed = None, 0


def _share(text: str) -> float:
    """A number from 0 to 1 that is always the same for a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**32

"""One answer for all who ask at about the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from kaas.openstack.errors import CloudError

Answer = TypeVar("Answer")


class Shared(Generic[Answer]):
    """Keeps an answer, or the error there was, for a while. For one event loop.

    clock: monotonic seconds. fresh, fresh_failure: seconds.
    """

    def __init__(self, clock: Callable[[], float], fresh: float, fresh_failure: float) -> None:
        self._clock = clock
        self._fresh, self._fresh_failure = fresh, fresh_failure
        self._kept: Answer | CloudError | None = None
        self._asked = 0.0
        self._asking: asyncio.Task[Answer | CloudError] | None = None
        self._forgotten = 0

    async def get(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer, from `ask` when none is fresh. Raises CloudError; a caller that is cancelled ends nothing."""
        found = self._kept
        if found is None or self._clock() - self._asked >= self._keeps(found):
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask(ask, self._forgotten))
            found = await asyncio.shield(self._asking)
        if isinstance(found, CloudError):
            raise CloudError(found.problem)
        return found

    def forget(self) -> None:
        """Ask anew next time; what is being asked now is answered, and not kept."""
        self._kept = None
        self._asking = None
        self._forgotten += 1

    @property
    def idle(self) -> bool:
        """Whether nothing is being asked."""
        return self._asking is None

    def _keeps(self, found: Answer | CloudError) -> float:
        return self._fresh_failure if isinstance(found, CloudError) else self._fresh

    async def _ask(self, ask: Callable[[], Awaitable[Answer]], forgotten: int) -> Answer | CloudError:
        began = self._clock()
        found: Answer | CloudError
        try:
            found = await ask()
        except CloudError as error:
            found = error
        finally:
            if forgotten == self._forgotten:
                self._asking = None
        if forgotten == self._forgotten:
            self._kept, self._asked = found, began if not isinstance(found, CloudError) else self._clock()
        return found

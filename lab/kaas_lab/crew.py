"""Work done side by side, of which the first failure ends all."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


class Crew:
    """Threads that are waited for together.

    They are daemons and are not joined after a failure: a caller that stops the lab's processes ends what they wait
    for, and the program can end at once even if one is stuck in a call.
    """

    def __init__(self) -> None:
        self._results: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._running = 0

    def start(self, name: str, work: Callable[[], object]) -> None:
        """Begin `work` in a thread."""

        def run() -> None:
            try:
                work()
            except BaseException as error:
                self._results.put(error)
            else:
                self._results.put(None)

        self._running += 1
        threading.Thread(target=run, name=name, daemon=True).start()

    def wait(self) -> None:
        """Return when all are done; raise the first failure as soon as it happens."""
        while self._running:
            error = self._results.get()
            self._running -= 1
            if error is not None:
                raise error

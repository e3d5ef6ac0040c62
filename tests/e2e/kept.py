"""The controller as a Deployment keeps it: one that has lost its Lease, as on a busy machine, is started again."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from kaas_lab import processes

LEASE_LOST = "start it again to be the standby"
"""What the controller says when it ends because another may lead."""


class Kept:
    """Keeps one process until `end`; whatever else ends it stays so, and fails the test."""

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]], log: Path) -> None:
        self._start, self._log = start, log
        self._over = False
        self._one = threading.Lock()
        self._process = start()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def runs(self) -> None:
        """Raise AssertionError when it has ended by itself for good."""
        assert self._over or self._thread.is_alive(), f"the controller has ended:\n{processes.tail(self._log)}"

    def end(self, *, hard: bool) -> None:
        """End it; `hard` as a kill -9 does."""
        with self._one:
            self._over = True
            (self._process.kill if hard else self._process.terminate)()
        self._process.wait(60)
        self._thread.join()

    def _keep(self) -> None:
        while True:
            self._process.wait()
            with self._one:
                if self._over or LEASE_LOST not in processes.tail(self._log, 1):
                    return
                self._process = self._start()

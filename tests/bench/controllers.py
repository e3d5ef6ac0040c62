"""Controllers as real processes, beside the one that a Platform can start."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from kaas_lab import processes

from tests import metrics
from tests.e2e.platform import METRICS_OFFSET, Platform

PATIENCE = 900.0
POLL = 0.1


class TooLateError(Exception):
    """What was waited for did not come."""


def until(what: str, check: Callable[[], Any], seconds: float = PATIENCE, pause: float = POLL) -> Any:
    """The first true answer of `check`. Raises TooLateError."""
    end = time.monotonic() + seconds
    while not (found := check()):
        if time.monotonic() > end:
            raise TooLateError(f"{what}: not after {seconds:.0f} s")
        time.sleep(pause)
    return found


@dataclass(frozen=True)
class Controller:
    """One running controller. started: monotonic seconds."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    started: float

    def metrics(self) -> metrics.Metrics:
        """Its metrics; empty while it does not serve them. Raises ProcessFailed when it has ended."""
        if (code := self.process.poll()) is not None:
            raise processes.ProcessFailed(f"the controller ended with {code}:\n{processes.tail(self.log)}")
        try:
            return metrics.scrape(self.port)
        except OSError:
            return {}

    @property
    def leads(self) -> bool:
        """Whether it holds the Lease."""
        return self.metrics().get("kaas_leading") == 1.0

    def synced(self, clusters: int) -> bool:
        """Whether it has reconciled as many keys as there are Clusters, and nothing is left to do."""
        found = self.metrics()
        busy = metrics.total(found, "kaas_queue_depth") + metrics.total(found, "kaas_queue_working")
        return metrics.total(found, "kaas_reconciles_total") >= clusters and not busy

    @property
    def memory(self) -> float:
        """Resident set in MB of 10^6 bytes."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / 1e6

    @property
    def processor(self) -> float:
        """Seconds of processor time that it has used."""
        return processor_of(self.process.pid)


def processor_of(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


@contextmanager
def controller(platform: Platform, number: int = 0, *options: str) -> Iterator[Controller]:
    """A controller under its own account, ended at the end; `number` tells several apart."""
    name, port = f"controller-{number}", platform.layout.management_port(METRICS_OFFSET + number)
    log = platform.layout.logs / f"{name}.log"
    argv = [sys.executable, "-m", "kaas", "--kubeconfig", platform.account(), "controller", "--metrics-port", str(port)]
    process = processes.spawn(platform.layout.state, name, [*argv, *options], log=log)
    try:
        yield Controller(process, port, log, time.monotonic())
    finally:
        processes.stop([process.pid], patience=15.0)

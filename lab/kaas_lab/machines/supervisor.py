"""Processes of the machines of one site: started once, found again after the agent's own restart, ended at once.

A machine that is switched off does not say goodbye, so its processes get SIGKILL.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from kaas_lab import processes

PREFIX = "machine"
ENDS = 30.0  # seconds that the kernel may take, on a busy machine, for a process that has been killed


def process_name(site: str, server: str, component: str) -> str:
    """Mark of a machine's process; the agent finds its own by it."""
    return f"{PREFIX}/{site}/{server}/{component}"


class Supervisor:
    """Keeps one process a name."""

    def __init__(self, state: Path, site: str) -> None:
        self._state, self._site = state, site
        mine = f"{PREFIX}/{site}/"
        self._pids = {name: pid for pid, name in processes.find(state).items() if name.startswith(mine)}
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def is_alive(self, server: str, component: str) -> bool:
        """Whether the machine's process runs."""
        pid = self._pids.get(process_name(self._site, server, component))
        if pid is None:
            return False
        if (child := self._children.get(pid)) is not None:
            return child.poll() is None
        return processes.is_alive(pid)

    def ensure(
        self,
        server: str,
        component: str,
        argv: Iterable[str | Path],
        *,
        log: Path,
        cwd: Path,
        env: Mapping[str, str],
    ) -> None:
        """Start the process unless it runs."""
        if self.is_alive(server, component):
            return
        name = process_name(self._site, server, component)
        child = processes.spawn(self._state, name, argv, log=log, env=env, cwd=cwd)
        self._pids[name] = child.pid
        self._children[child.pid] = child

    def components(self, server: str) -> list[str]:
        """Components of a machine that were started and not killed."""
        start = process_name(self._site, server, "")
        return [name.removeprefix(start) for name in self._pids if name.startswith(start)]

    def servers(self) -> set[str]:
        """Machines that have processes."""
        return {name.split("/")[2] for name in self._pids}

    def kill(self, server: str, component: str) -> None:
        """End one process at once, and return when it has. Raises ProcessFailed when it does not."""
        pid = self._pids.pop(process_name(self._site, server, component), None)
        if pid is None or not self._is_mine(pid, server, component):
            return
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        if child := self._children.pop(pid, None):
            child.wait()
        processes.wait_for(f"process {pid} ({component} of {server}) ends", lambda: not processes.is_alive(pid), ENDS)

    def kill_all(self, server: str) -> None:
        """End all processes of a machine at once."""
        for component in self.components(server):
            self.kill(server, component)

    def _is_mine(self, pid: int, server: str, component: str) -> bool:
        """The number of a process that ended long ago may be another's now."""
        return pid in self._children or (
            processes.environment(pid).get(processes.NAME) == process_name(self._site, server, component)
        )

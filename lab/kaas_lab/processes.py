"""Processes of a lab: started in sessions of their own, found again by a mark in their environment.

A process is ours when its environment says `KAAS_LAB=<state directory>`. Children inherit the mark, no file has to be
right for `stop_all` to find them, and so nothing outlives `down`: not after Ctrl-C, not after `kill -9` of the parent.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

MARK = "KAAS_LAB"
NAME = "KAAS_LAB_PROCESS"
LOG_TAIL_LINES = 15
_MOMENT = 0.001
_MARKED_WITHIN = 10.0  # seconds: a program may have wiped what it was started with


_stopping: set[Path] = set()
_starting = threading.Lock()


class ProcessFailed(Exception):
    """A process ended, or did not become ready in time. The message carries the last lines of its log."""


def tail(log: Path, lines: int = LOG_TAIL_LINES) -> str:
    """Last lines of a log, or a remark that there is none."""
    if not log.exists():
        return f"(no log at {log})"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def spawn(
    state: Path,
    name: str,
    argv: Iterable[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, marked as part of the lab at `state`, with its output in `log`.

    Raises ProcessFailed when the program cannot be run, and once `forbid` was called for that lab.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    marks = {MARK: str(state.resolve()), NAME: name}
    with log.open("ab") as out, _starting:
        if state.resolve() in _stopping:
            raise ProcessFailed(f"{name} was not started: the lab is being stopped")
        try:
            process = subprocess.Popen(  # noqa: S603 - argv is the lab's own
                [str(a) for a in argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {}), **marks},
                cwd=cwd,
                start_new_session=True,
            )
        except OSError as error:
            raise ProcessFailed(f"{name} cannot be started: {error}") from error
        _wait_until_marked(process)
    return process


def _wait_until_marked(process: subprocess.Popen[bytes]) -> None:
    """Return when `find` finds a process that was started, or it has ended.

    The kernel closes the pipe by which we hear of an exec a moment before the environment can be read. Source: Linux,
    fs/exec.c, begin_new_exec; fs/proc/base.c, environ_read.
    """
    end = time.monotonic() + _MARKED_WITHIN
    while not environment(process.pid) and is_alive(process.pid) and time.monotonic() < end:
        time.sleep(_MOMENT)


def forbid(state: Path) -> None:
    """Let `spawn` start nothing more for a lab: a thread that is busy starting it must not outlive its end."""
    with _starting:
        _stopping.add(state.resolve())


def permit(state: Path) -> None:
    """Take `forbid` back."""
    _stopping.discard(state.resolve())


def environment(pid: int) -> dict[str, str]:
    """Environment that a process was started with; empty when it is gone or not ours to read."""
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (item.partition(b"=") for item in raw.split(b"\0") if b"=" in item)
    return {k.decode(errors="replace"): v.decode(errors="replace") for k, _, v in pairs}


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not, unless threads of it still hold its sockets."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    if stat.rpartition(")")[2].split()[0] != "Z":
        return True
    try:
        return len(os.listdir(f"/proc/{pid}/task")) > 1
    except OSError:
        return False


def find(state: Path) -> dict[int, str]:
    """Living processes of the lab at `state`: process id to name. Never includes the caller."""
    mark, found = str(state.resolve()), {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        pid = int(entry.name)
        env = environment(pid)
        if env.get(MARK) == mark and is_alive(pid):
            found[pid] = env.get(NAME, "?")
    return found


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def stop(pids: Iterable[int], patience: float = 10.0) -> None:
    """End processes: SIGTERM, `patience` seconds, then SIGKILL. Returns when none is alive.

    kube-apiserver takes a minute to stop when clients watch it, hence the limit.
    """
    left = set(pids)
    _signal(left, signal.SIGCONT)  # one that a fault had stopped could not react
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 30.0)):
        _signal(left, number)
        end = time.monotonic() + seconds
        while left and time.monotonic() < end:
            _reap(left)
            left = {p for p in left if is_alive(p)}
            time.sleep(0.05)


def _reap(pids: Iterable[int]) -> None:
    for pid in pids:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            continue


def stop_all(state: Path, patience: float = 10.0) -> list[str]:
    """End every process of the lab at `state`, those that start meanwhile too; returns their names."""
    ended: list[str] = []
    while found := find(state):
        stop(found, patience)
        ended.extend(found.values())
    return sorted(ended)


def wait_until(
    what: str, ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, limit: float = 180.0
) -> None:
    """Return once `ready()` holds. Raises ProcessFailed at once when the process ends, or after `limit` seconds."""
    end = time.monotonic() + limit
    while not ready():
        if (code := process.poll()) is not None:
            raise ProcessFailed(f"{what} ended with exit code {code}; the end of {log}:\n{tail(log)}")
        if time.monotonic() > end:
            raise ProcessFailed(f"{what} is not ready after {limit:.0f} s; the end of {log}:\n{tail(log)}")
        time.sleep(0.05)


def wait_for(what: str, holds: Callable[[], bool], limit: float) -> None:
    """Return once `holds()`; raises ProcessFailed after `limit` seconds. For what is of no single process."""
    end = time.monotonic() + limit
    while not holds():
        if time.monotonic() > end:
            raise ProcessFailed(f"not reached in {limit:.0f} s: {what}")
        time.sleep(0.05)

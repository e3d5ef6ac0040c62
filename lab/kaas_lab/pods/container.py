"""A container as a process of this machine, with its log."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from . import sandbox
from .limits import Limits
from .sandbox import Program
from .times import now

Output = tuple[asyncio.StreamReader, asyncio.ReadTransport]
Outputs = Mapping[str, Output]
STREAMS = "stdout", "stderr"
NAMES = "pod/"
"""How the names of containers' processes begin."""
DRAIN_SECONDS = 2.0
"""How long a process that left the container's session may hold its output open after the container's end."""
LINE_BYTES = 1 << 16
# Of the agent's own environment; the rest is the image's, which has none.
_INHERITED = ("PATH", "LANG", "LD_LIBRARY_PATH")


class CannotStart(Exception):
    """The program is not there or not executable: StartError."""


class Container:
    """One run of a container. log: gets `TIME STREAM TEXT` a line. was_out_of_memory: known when it has ended."""

    def __init__(self, process: asyncio.subprocess.Process, outputs: Outputs, log: Path, limits: Limits) -> None:
        self._process, self._log, self._limits = process, log, limits
        self.was_out_of_memory = False
        self._pumps = [
            asyncio.create_task(self._pump(stream, transport, name)) for name, (stream, transport) in outputs.items()
        ]
        self.pid = process.pid

    async def wait(self) -> int:
        """Exit code: 128 and the number of the signal that killed it. All that it started is ended with it."""
        code = await self._process.wait()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await asyncio.wait(self._pumps, timeout=DRAIN_SECONDS)
        for pump in self._pumps:
            pump.cancel()
        self.was_out_of_memory = self._limits.was_out_of_memory()
        self._limits.remove()
        return code if code >= 0 else 128 - code

    async def stop(self, grace: float) -> None:
        """SIGTERM, `grace` seconds, SIGKILL. Returns when it has ended."""
        self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), grace)
        except TimeoutError:
            self.kill()
        await self._process.wait()

    def kill(self) -> None:
        """SIGKILL to all of it."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """A signal to the container's first process."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def _pump(self, stream: asyncio.StreamReader, transport: asyncio.ReadTransport, name: str) -> None:
        with closing(transport), self._log.open("ab", buffering=0) as out:
            while True:
                try:
                    line = await stream.readuntil(b"\n")
                except asyncio.IncompleteReadError as end:
                    line = end.partial
                except asyncio.LimitOverrunError as over:
                    line = await stream.readexactly(over.consumed)
                if not line:
                    return
                out.write(f"{now().isoformat()} {name} ".encode() + line.rstrip(b"\n") + b"\n")


async def start(
    program: Program, limits: Limits, *, directory: Path, log: Path, marks: Mapping[str, str], is_isolated: bool
) -> Container:
    """Start a program. marks: variables by which its process is found. Raises CannotStart."""
    _ready(directory, log)
    if is_isolated:
        groups, mounts = limits.apply()
        program = replace(program, groups=tuple(groups), mounts=(*program.mounts, *mounts))
    prepared = sandbox.isolated(program, directory) if is_isolated else sandbox.replaced(program)
    environment = {**_environment(prepared.environment), **marks}
    pipes = {name: os.pipe() for name in STREAMS}
    try:
        process = await asyncio.create_subprocess_exec(
            *prepared.argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipes["stdout"][1],
            stderr=pipes["stderr"][1],
            env=environment,
            cwd=prepared.directory,
            start_new_session=True,
        )
    except OSError as error:
        for ours, _ in pipes.values():
            os.close(ours)
        raise CannotStart(f'exec: "{program.argv[0]}": {error.strerror}') from error
    finally:
        for _, theirs in pipes.values():
            os.close(theirs)
    # Pipes of asyncio's own would have a process wait for whoever else holds them, as its children do.
    return Container(process, {name: await _reader(ours) for name, (ours, _) in pipes.items()}, log, limits)


async def _reader(pipe: int) -> Output:
    stream = asyncio.StreamReader(LINE_BYTES)
    connect = asyncio.get_running_loop().connect_read_pipe
    transport, _ = await connect(lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(pipe, "rb", 0))
    return stream, transport


def _ready(directory: Path, log: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch()


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {"HOME": "/", **inherited, **given}

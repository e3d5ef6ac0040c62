"""Processes beside the loader's own, for what is plain: threads take turns with Python, processes do not.

They are forked before there is any thread, and know everything that the loader has imported. One that ends, or that
must not go on, is killed; what it was told is then loaded by the loader itself.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import pickle
import signal
import socket
from collections.abc import Iterable
from multiprocessing.connection import Connection
from typing import Final, Self

from kaas.loader import mate
from kaas.loader.orders import Order, Place, Reply
from kaas.loader.waiting import until

MOST: Final = 8


class Gone(Exception):
    """A process ended before it had an answer."""


class Crew:
    """So many processes, idle until `settle`. Of one event loop, but for `gather`."""

    def __init__(self, mates: Iterable[_Mate] = ()) -> None:
        self._mates = list(mates)

    @classmethod
    def gather(cls, cpus: float) -> Self:
        """Fork one process for each processor and one more; none where one processor or less is what there is.

        None either when this process has threads: what they hold would be held in the others for ever.
        """
        if cpus < 2 or len(os.listdir("/proc/self/task")) > 1:  # noqa: PLR2004 - of processors
            return cls()
        gc.freeze()
        found: list[_Mate] = []
        for _ in range(min(MOST, int(cpus) + 1)):
            found.append(_forked(found))
        return cls(found)

    def settle(self, root: int, parts: int, place: Place) -> None:
        """Tell them where to load to."""
        for each in self._mates:
            each.settle(root, parts, place)

    def idlest(self) -> _Mate | None:
        """The one that has least to do; None when there is none any more."""
        self._mates = [m for m in self._mates if not m.ended]
        return min(self._mates, key=lambda m: m.busy, default=None)

    async def close(self) -> None:
        """End all of them. None writes anything after it."""
        for each in self._mates:
            each.kill()
        for each in self._mates:
            await each.buried()
        self._mates = []


class _Mate:
    """One of them, as the loader sees it."""

    def __init__(self, pid: int, there: socket.socket) -> None:
        self._pid = pid
        self._socket = there
        self._connection: Connection | None = None
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._buried = False
        self.ended = False

    @property
    def busy(self) -> int:
        """How many orders it has."""
        return len(self._waiting)

    def fileno(self) -> int:
        """Of the connection to it."""
        return self._socket.fileno()

    def settle(self, root: int, parts: int, place: Place) -> None:
        """Tell it where to load to."""
        try:
            socket.send_fds(self._socket, [pickle.dumps(place)], [root, parts])
        except OSError:
            self.kill()
            return
        self._connection = Connection(os.dup(self._socket.fileno()))
        asyncio.get_running_loop().add_reader(self._connection.fileno(), self._hear)

    async def do(self, order: Order) -> Reply:
        """What comes of an order; Gone when it ends without. One who is cancelled has it ended: it writes no more."""
        number = next(self._numbers)
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[number] = reply
        try:
            if self._connection is None:
                raise Gone
            try:
                self._connection.send((number, order))
            except OSError as error:
                self.kill()
                raise Gone from error
            return await reply
        except BaseException:
            self.kill()
            await self.buried()
            raise
        finally:
            self._waiting.pop(number, None)

    def _hear(self) -> None:
        assert self._connection is not None  # noqa: S101 - it is what is heard
        try:
            while self._connection.poll():
                number, reply = self._connection.recv()
                if (waiting := self._waiting.get(number)) is not None and not waiting.done():
                    waiting.set_result(reply)
        except (EOFError, OSError):
            self.kill()
        except BaseException:
            self.kill()  # who waits for it is not to wait for ever
            raise

    def kill(self) -> None:
        """Have it end, whatever it does. All that wait for it hear that it is gone."""
        if self.ended:
            return
        self.ended = True
        os.kill(self._pid, signal.SIGKILL)
        if self._connection is not None:
            asyncio.get_running_loop().remove_reader(self._connection.fileno())
            self._connection.close()
        self._socket.close()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(Gone())

    async def buried(self) -> None:
        """Wait until it has ended: a disk may keep it for a while. However often the wait is cancelled."""
        await until(self._is_buried)

    def _is_buried(self) -> bool:
        if not self._buried:
            try:
                self._buried = os.waitpid(self._pid, os.WNOHANG) != (0, 0)
            except ChildProcessError:
                self._buried = True
        return self._buried


def _forked(others: list[_Mate]) -> _Mate:
    here, there = socket.socketpair()
    parent = os.getpid()
    pid = os.fork()
    if not pid:
        here.close()
        for other in others:
            os.close(other.fileno())
        mate.serve(there, parent)
    there.close()
    return _Mate(pid, here)

"""The other side of a crew: a process that loads what it is told to, in threads, until it is told no more."""

from __future__ import annotations

import ctypes
import gc
import math
import os
import pickle
import signal
import socket
import threading
import time
import traceback
from functools import lru_cache, partial
from multiprocessing.connection import Connection
from typing import Final, NoReturn

from kaas.loader import checksums, large
from kaas.loader.faults import Fault
from kaas.loader.hands import Hands, Turn, written
from kaas.loader.orders import Files, Order, Place, Range, Reply
from kaas.loader.source import Reader, SourceError, Streaming
from kaas.loader.threads import Threads
from kaas.loader.tree import Tree

_PDEATHSIG: Final = 1
"""Source: prctl(2), PR_SET_PDEATHSIG."""
_NAME: Final = "load"
_PLACE: Final = 64 * 1024
"""Bytes of a Place at most."""


def serve(there: socket.socket, parent: int) -> NoReturn:
    """Work until the other end is closed. It ends with its parent, and hears no signal that is for all of them."""
    gc.enable()
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            told, fds, _, _ = socket.recv_fds(there, _PLACE, 2)
            if told:
                _Mate(Connection(there.detach()), _place(told), *fds).run()
    except BaseException:  # the loader goes on without it; whoever reads its log is to know why
        traceback.print_exc()
    finally:
        os._exit(0)


class _Mate:
    """One such process while it works."""

    def __init__(self, connection: Connection, place: Place, root: int, parts: int) -> None:
        self._connection = connection
        self._place = place
        self._parts = parts
        self._tree = Tree(root, place.owner, clear=place.clear)
        self._threads = Threads(place.streams, _NAME)
        self._sending = threading.Lock()

    def run(self) -> None:
        """Take orders until there are no more."""
        while True:
            try:
                number, order = self._connection.recv()
            except (EOFError, OSError):
                return
            self._threads.submit(self._answer, number, order)

    def _answer(self, number: int, order: Order) -> None:
        reply = self._done(order)
        with self._sending:
            try:
                self._connection.send((number, reply))
            except OSError:
                os._exit(0)  # nobody wants to know

    def _done(self, order: Order) -> Reply:
        try:
            source = _opened(order.reader)
            return self._files(source, order) if isinstance(order, Files) else self._range(source, order)
        except (SourceError, OSError, Fault) as error:
            return Reply(error=error)
        except Exception as error:  # not every one can be told as what it is
            return Reply(error=RuntimeError(f"{type(error).__name__}: {error}"))

    def _files(self, source: Streaming, order: Files) -> Reply:
        turn = Turn(math.inf, time.monotonic)
        Hands(source, self._tree, self._parts, time.monotonic, lambda _: math.inf).files(order.work, order.part, turn)
        return Reply(turn.made, None, turn.error)

    def _range(self, source: Streaming, order: Range) -> Reply:
        stream = source.stream(order.entry, order.start, order.length)
        if stream is None:
            return Reply()
        cyclic = checksums.CYCLIC.get(order.algorithm) if order.algorithm else None
        fd = os.open(order.file, large.OPEN, dir_fd=self._parts)
        try:
            write = partial(large.write, fd, cyclic=cyclic, sparse=order.sparse)
            return Reply(total=written(stream.pieces, order.start, write, Turn(math.inf, time.monotonic)))
        finally:
            os.close(fd)


def _place(told: bytes) -> Place:
    found = pickle.loads(told)  # noqa: S301 - of the process that this one is a copy of
    assert isinstance(found, Place)  # noqa: S101 - both are of one version
    return found


@lru_cache(maxsize=2)
def _opened(reader: Reader) -> Streaming:
    return reader.open()

"""Bytes over HTTP in the fewest steps: a thread's own connection, read into memory that is used again and again.

It understands one answer: 200 or 206, of as many bytes as were asked for. All else is Odd, and left to a library that
knows the whole of HTTP. That one costs twice as much for the answers that nearly all reads get.
"""

from __future__ import annotations

import math
import select
import socket
import ssl
import struct
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from kaas.loader.sources.access import CONNECT_SECONDS, STALL_SECONDS
from kaas.loader.sources.exactly import PIECE
from kaas.loader.sources.sums import SUMS

PLAIN: Final = frozenset({200, 206})
LATER: Final = frozenset({429, 500, 502, 503, 504})
"""What a server answers that is to be asked again later."""
MOST_ODD: Final = 8
"""Odd answers one after the other after which nothing is asked for a while."""
REST_SECONDS: Final = 60.0
_READ: Final = {
    name.encode(): name
    for name in ("connection", "content-length", "content-range", "etag", "retry-after", "transfer-encoding", *SUMS)
}
_HEAD: Final = 16 * 1024
_SHORT: Final = 16 * 1024
"""Bytes of a content that is of no use and is read all the same, for the sake of its connection."""
_KEPT_SECONDS: Final = 15.0
"""How long a connection is used again after its last answer: what lies between may forget one that is not used."""
_END: Final = b"\r\n\r\n"
_STALLED: Final = "nothing came for too long"
_OVER: Final = "nothing is asked any more"
_PORTS: Final = {"http": 80, "https": 443}


class Odd(Exception):
    """An answer that is not understood here, or none. No byte of it was handed over.

    status: 0 without an answer. wait: what its Retry-After says.
    """

    def __init__(self, message: str, status: int = 0, wait: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Answer:
    """A content that is about to come. headers: those that tell of the content, by names in lower case.

    pieces: of the content; each is good until the thread asks for more, of this or another. OSError when it does not
    come whole.
    """

    status: int
    headers: dict[str, str]
    pieces: Iterator[memoryview]


Fits = Callable[[int, dict[str, str]], bool]
"""Whether an answer is the one that is wanted, by its status and headers."""


class Wire:
    """Connections to one server, for many threads. url: of the server; authorities: a file with them, for https."""

    def __init__(self, url: str, authorities: str) -> None:
        found = urlsplit(url)
        port = _PORTS[found.scheme]
        self.host = found.netloc.rpartition("@")[2].removesuffix(f":{port}")
        self.path = found.path.rstrip("/")
        self._address = (found.hostname or "", found.port or port)
        self._tls = _context(authorities) if found.scheme == "https" else None
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self.closed = False
        self._odd = 0
        self._rests_until = 0.0

    @property
    def rests(self) -> bool:
        """Whether nothing should be asked now: the last answers were all odd."""
        return time.monotonic() < self._rests_until

    def get(self, request: bytes, length: int, fits: Fits) -> Answer:
        """Ask for a content of so many bytes. Odd when something else is answered, TimeoutError when nothing is."""
        try:
            answer = self._asked(request, length, fits)
        except Odd as odd:
            if odd.status not in LATER:
                self._count()
            raise
        except TimeoutError:
            self._count()
            raise
        except (OSError, HttpParserError, HttpParserUpgrade) as error:
            self._count()
            raise Odd(str(error)) from error
        self._odd = 0
        return answer

    def _count(self) -> None:
        self._odd += 1
        if self._odd >= MOST_ODD:
            self._odd, self._rests_until = 0, time.monotonic() + REST_SECONDS

    def _asked(self, request: bytes, length: int, fits: Fits) -> Answer:
        kept: _Connection | None = getattr(self._local, "connection", None)
        if kept is not None and kept.is_good():
            with suppress(ConnectionError):  # the server may close what was not used for a while
                return kept.asked(request, length, fits)
        if self.closed:
            raise Odd(_OVER)
        memory = kept.memory if kept else bytearray(_HEAD + PIECE)
        fresh = self._local.connection = self._connected(memory)
        return fresh.asked(request, length, fits)

    def _connected(self, memory: bytearray) -> _Connection:
        found = _Connection(self._address, self._tls, memory)
        with self._lock:
            self._open.add(found)
            if not self.closed:
                return found
        found.close()
        raise Odd(_OVER)

    def close(self) -> None:
        """End all connections, also under threads that wait for them."""
        with self._lock:
            self.closed = True
            for connection in self._open:
                connection.cut()


class _Connection:
    """One connection: a request, and when its answer has been read whole the next one. memory: for all that comes."""

    def __init__(self, address: tuple[str, int], tls: ssl.SSLContext | None, memory: bytearray) -> None:
        self.memory = memory
        self._view = memoryview(memory)
        self._all = 0 if tls else socket.MSG_WAITALL
        self._ready_until = math.inf
        self._poll = select.poll()
        self._socket = socket.create_connection(address, CONNECT_SECONDS)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                self._socket = tls.wrap_socket(self._socket, server_hostname=address[0])
                self._socket.settimeout(STALL_SECONDS)
            else:
                _stall(self._socket, STALL_SECONDS)
            self._poll.register(self._socket, select.POLLIN)
        except BaseException:
            self._socket.close()
            raise

    def is_good(self) -> bool:
        """Whether a request can be made: the last answer was read whole, not long ago, and nothing came after it.

        One that is not good is closed.
        """
        good = time.monotonic() < self._ready_until and not self._poll.poll(0)
        if not good:
            self.close()
        return good

    def asked(self, request: bytes, length: int, fits: Fits) -> Answer:
        """The answer to a request. Odd, OSError, and what httptools raises."""
        self._ready_until = 0.0
        try:
            return self._answer(request, length, fits)
        except BaseException:
            if not self._ready_until:
                self.close()
            raise

    def _answer(self, request: bytes, length: int, fits: Fits) -> Answer:
        try:
            self._socket.sendall(request)
        except BlockingIOError:
            raise TimeoutError(_STALLED) from None
        start, came = self._head()
        head = _Head()
        head.read(self._view[:start])
        status, headers = head.status, head.headers
        plain = status in PLAIN and head.length == length and came - start <= length
        if not (plain and fits(status, headers)):
            self._skip(head, start, came)
            raise Odd(f"{status} was answered, or another content", status, headers.get("retry-after", ""))
        return Answer(status, headers, self._pieces(start, came, length, keep=head.keep))

    def _head(self) -> tuple[int, int]:
        """Where the content begins in memory, and where what came of it ends."""
        until = time.monotonic() + STALL_SECONDS
        came = self._received(0, len(self.memory))
        while (end := self.memory.find(_END, 0, came)) < 0:
            if came >= _HEAD:
                raise Odd("its head does not end")
            came += self._received(came, len(self.memory))
            _look(until)
        return end + len(_END), came

    def _pieces(self, start: int, came: int, left: int, *, keep: bool) -> Iterator[memoryview]:
        """What comes, each time that the memory is full."""
        while left:
            end, until = min(start + left, len(self.memory)), time.monotonic() + STALL_SECONDS
            while came < end:
                came += self._received(came, end, self._all)
                _look(until)
            left -= came - start
            if keep and not left:
                self._keep()
            yield self._view[start:came]
            start = came = 0

    def _skip(self, head: _Head, start: int, came: int) -> None:
        """Read what is of no use, when it is short: its connection may be."""
        if head.keep and head.status not in PLAIN and came - start <= head.length <= _SHORT:
            while came < start + head.length:
                came += self._received(came, start + head.length, self._all)
            self._keep()

    def _keep(self) -> None:
        self._ready_until = time.monotonic() + _KEPT_SECONDS

    def _received(self, start: int, end: int, flags: int = 0) -> int:
        try:
            count = self._socket.recv_into(self._view[start:end], end - start, flags)
        except BlockingIOError:
            raise TimeoutError(_STALLED) from None
        if not count:
            raise ConnectionResetError("the connection was closed before its end")
        return count

    def close(self) -> None:
        """End it."""
        self._ready_until = 0.0
        self._socket.close()

    def cut(self) -> None:
        """End it under a thread that waits for it, which hears of it at once."""
        with suppress(OSError):  # it has ended already
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def __del__(self) -> None:
        if hasattr(self, "_socket"):
            self._socket.close()


class _Head:
    """Reads status and headers of an answer; of headers those that somebody asks for."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.status = 0
        self.keep = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by httptools. Of one that comes twice all values count, with commas between."""
        key = _READ.get(name.lower())
        if key is not None:
            text = value.decode("latin-1").strip()
            self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def read(self, head: memoryview) -> None:
        """Take a head. HttpParserError when it is none."""
        parser = HttpResponseParser(self)
        parser.feed_data(head)
        self.status = parser.get_status_code()
        self.keep = parser.get_http_version() == "1.1" and "close" not in self.headers.get("connection", "").lower()

    @property
    def length(self) -> int:
        """Bytes that follow as they are; -1 when it is not said."""
        said = self.headers.get("content-length", "")
        return int(said) if said.isdecimal() and "transfer-encoding" not in self.headers else -1


def _look(until: float) -> None:
    if time.monotonic() > until:
        raise TimeoutError("it comes too slowly")


def _stall(connected: socket.socket, seconds: float) -> None:
    """Have the system end reads and writes that get nowhere, by BlockingIOError: Python would look before each one."""
    connected.settimeout(None)
    whole, rest = divmod(seconds, 1)
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        connected.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", int(whole), int(rest * 1e6)))


def _context(authorities: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authorities)
    context.set_alpn_protocols(["http/1.1"])
    return context

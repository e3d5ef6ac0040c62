"""Bytes over HTTP in the fewest steps: a thread's own connection, read into memory that is used again and again.

It understands one answer: 200 or 206, of as many bytes as were asked for. All else is Odd, and left to a library that
knows the whole of HTTP. That one costs twice as much for the answers that nearly all reads get.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from kaas.loader.sources.access import CONNECT_SECONDS, STALL_SECONDS
from kaas.loader.sources.exactly import PIECE
from kaas.loader.sources.sums import SUMS

PLAIN: Final = frozenset({200, 206})
MOST_ODD: Final = 8
"""Odd answers one after the other after which nothing is asked for a while."""
REST_SECONDS: Final = 60.0
_READ: Final = {name.encode(): name for name in ("content-length", "content-range", "etag", "transfer-encoding", *SUMS)}
_HEAD: Final = 16 * 1024
_END: Final = b"\r\n\r\n"
_STALLED: Final = "nothing came for too long"
_PORTS: Final = {"http": 80, "https": 443}


class Odd(Exception):
    """An answer that is not understood here, or none. No byte of it was handed over. status: 0 without an answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """A content that is about to come. headers: those that tell of the content, by names in lower case.

    pieces: of the content; each is good until the thread asks for more, of this or another. OSError when it does not
    come whole.
    """

    status: int
    headers: dict[str, str]
    pieces: Iterator[memoryview]


class Wire:
    """Connections to one server, for many threads. url: of the server; authorities: a file with them, for https."""

    def __init__(self, url: str, authorities: str) -> None:
        found = urlsplit(url)
        self.host = found.netloc.rpartition("@")[2]
        self.path = found.path.rstrip("/")
        self._address = (found.hostname or "", found.port or _PORTS[found.scheme])
        self._tls = _context(authorities) if found.scheme == "https" else None
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self._closed = False
        self._odd = 0
        self._rests_until = 0.0

    @property
    def rests(self) -> bool:
        """Whether nothing should be asked now: the last answers were all odd."""
        return time.monotonic() < self._rests_until

    def get(self, request: bytes, length: int) -> Answer:
        """Ask for a content of so many bytes. Odd when something else is answered, TimeoutError when nothing is."""
        try:
            answer = self._asked(request, length)
        except TimeoutError:
            self._count()
            raise
        except Odd:
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

    def _asked(self, request: bytes, length: int) -> Answer:
        kept: _Connection | None = getattr(self._local, "connection", None)
        if kept is None:
            memory = bytearray(_HEAD + PIECE)
        else:
            memory = kept.memory
            if kept.ready:
                with suppress(ConnectionError):  # the server closes what was not used for a while
                    return kept.asked(request, length)
            kept.close()
        fresh = self._local.connection = self._connected(memory)
        return fresh.asked(request, length)

    def _connected(self, memory: bytearray) -> _Connection:
        found = _Connection(self._address, self._tls, memory)
        with self._lock:
            self._open.add(found)
            if not self._closed:
                return found
        found.close()
        raise Odd("nothing is asked any more")

    def close(self) -> None:
        """End all connections, also under threads that wait for them."""
        with self._lock:
            self._closed = True
            for connection in self._open:
                connection.cut()


class _Connection:
    """One connection: a request, and when its answer has been read whole the next one.

    memory: for heads and contents; ready: whether a request can be made.
    """

    def __init__(self, address: tuple[str, int], tls: ssl.SSLContext | None, memory: bytearray) -> None:
        self.memory = memory
        self.ready = True
        self._view = memoryview(memory)
        self._all = 0 if tls else socket.MSG_WAITALL
        self._socket = socket.create_connection(address, CONNECT_SECONDS)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                self._socket = tls.wrap_socket(self._socket, server_hostname=address[0])
                self._socket.settimeout(STALL_SECONDS)
            else:
                _stall(self._socket, STALL_SECONDS)
        except BaseException:
            self._socket.close()
            raise

    def asked(self, request: bytes, length: int) -> Answer:
        """The answer to a request. Odd, OSError, and what httptools raises; then nothing can be asked here any more."""
        self.ready = False
        try:
            self._socket.sendall(request)
        except BlockingIOError:
            raise TimeoutError(_STALLED) from None
        start, came = self._head()
        head = _Head()
        head.read(self._view[:start])
        if not head.is_plain(length) or came - start > length:
            raise Odd(f"{head.status} was answered, or other bytes than {length}", head.status)
        return Answer(head.status, head.headers, self._pieces(start, came, length, keep=head.keep))

    def _head(self) -> tuple[int, int]:
        """Where the content begins in memory, and where what came of it ends."""
        came = self._received(0, len(self.memory))
        while (end := self.memory.find(_END, 0, came)) < 0:
            if came >= _HEAD:
                raise Odd("its head does not end")
            came += self._received(came, len(self.memory))
        return end + len(_END), came

    def _pieces(self, start: int, came: int, left: int, *, keep: bool) -> Iterator[memoryview]:
        """What comes, each time that the memory is full."""
        while left:
            end, until = min(start + left, len(self.memory)), time.monotonic() + STALL_SECONDS
            while came < end:
                came += self._received(came, end, self._all)
                if time.monotonic() > until:
                    raise TimeoutError("it comes too slowly")
            left -= came - start
            self.ready = keep and not left
            yield self._view[start:came]
            start = came = 0

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
        self.ready = False
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
            text = value.decode("latin-1")
            self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def read(self, head: memoryview) -> None:
        """Take a head. HttpParserError when it is none."""
        parser = HttpResponseParser(self)
        parser.feed_data(head)
        self.status = parser.get_status_code()
        self.keep = parser.should_keep_alive()

    def is_plain(self, length: int) -> bool:
        """Whether so many bytes follow, as they are."""
        headers = self.headers
        right = self.status in PLAIN and headers.get("content-length") == str(length)
        return right and "transfer-encoding" not in headers


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

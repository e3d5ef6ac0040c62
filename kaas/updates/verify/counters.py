"""What API servers count of their requests: read from their metrics, and compared. Pure.

Metrics: k8s.io/apiserver/pkg/endpoints/metrics. Several processes may answer behind one address, and each counts for
itself from its start on: only two looks at the same process say what happened between them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Final

_REQUESTS: Final = b"apiserver_request_total{"
_BUCKET: Final = b"apiserver_request_duration_seconds_bucket{"
_START: Final = b"process_start_time_seconds "
# A quotation mark within a value is written with a backslash: what these find are labels. They begin with plain text,
# which is found quickly: there may be fifty thousand lines.
_VERB: Final = re.compile(rb'verb="([A-Z]*)"')
_SUBRESOURCE: Final = re.compile(rb'subresource="([^"]*)"')
# Requests that last as long as somebody looks on, or as what they lead to; kube-prometheus leaves them out too.
_LONG_VERBS: Final = frozenset({b"WATCH", b"WATCHLIST", b"CONNECT", b"PROXY"})
_LONG_SUBRESOURCES: Final = frozenset({b"attach", b"exec", b"log", b"portforward", b"proxy"})
_SERVER_ERROR: Final = b'code="5'
_LONGEST_LINE: Final = 64 * 1024


class Unreadable(ValueError):
    """The text is not what an API server says of itself."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What one process has counted since it was started.

    process: what tells it from others, its time of start. buckets: by a number of seconds, how many requests took no
    longer; the last is infinity.
    """

    process: str
    requests: float
    errors: float
    buckets: Mapping[float, float]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was asked of API servers in a time. errors: answers with a status from 500 on. buckets: as in Counters."""

    requests: float = 0.0
    errors: float = 0.0
    buckets: Mapping[float, float] = field(default_factory=dict)

    def __add__(self, other: Traffic) -> Traffic:
        bounds = {*self.buckets, *other.buckets}
        buckets = {b: self.buckets.get(b, 0.0) + other.buckets.get(b, 0.0) for b in bounds}
        return Traffic(self.requests + other.requests, self.errors + other.errors, buckets)

    @property
    def timed(self) -> float:
        """Requests of which the time was taken."""
        return max(self.buckets.values(), default=0.0)


class Reader:
    """Reads the text of `/metrics` as it comes, of any length, and keeps next to nothing of it."""

    def __init__(self) -> None:
        self._rest = b""
        self._process = ""
        self._requests = 0.0
        self._errors = 0.0
        self._buckets: dict[bytes, float] = {}

    def feed(self, piece: bytes) -> None:
        """Take the next piece; Unreadable for what cannot be a line of metrics."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            raise Unreadable("a line without end: something else than an API server answers here")
        for line in lines:
            self._line(line)

    def counters(self) -> Counters:
        """What was read. Unreadable when it does not say which process it is of, or nothing of requests."""
        self._line(self._rest)
        self._rest = b""
        if not self._process or not self._requests:
            raise Unreadable("its metrics do not count requests: something else than an API server answers here")
        try:
            buckets = {float(bound): number for bound, number in self._buckets.items()}
        except ValueError as wrong:
            raise Unreadable(f"a bucket of the latency has no bound: {wrong}") from wrong
        return Counters(self._process, self._requests, self._errors, buckets)

    def _line(self, line: bytes) -> None:
        if line.startswith(_BUCKET):
            if not _lasts(line):
                bound = line.rpartition(b'le="')[2].partition(b'"')[0]
                self._buckets[bound] = self._buckets.get(bound, 0.0) + _value(line)
        elif line.startswith(_REQUESTS):
            if not _lasts(line):
                self._requests += _value(line)
                self._errors += _value(line) if _SERVER_ERROR in line else 0.0
        elif line.startswith(_START):
            self._process = line.removeprefix(_START).decode().strip()


def _lasts(line: bytes) -> bool:
    verb, subresource = _VERB.search(line), _SUBRESOURCE.search(line)
    return bool(verb and verb[1] in _LONG_VERBS) or bool(subresource and subresource[1] in _LONG_SUBRESOURCES)


def _value(line: bytes) -> float:
    try:
        return float(line.rpartition(b"} ")[2].split()[0])
    except (ValueError, IndexError) as wrong:
        raise _no_metrics(line) from wrong


def _no_metrics(line: bytes) -> Unreadable:
    return Unreadable(f"not a line of metrics: {line[:100]!r}")


def between(first: Counters, second: Counters) -> Traffic | None:
    """What happened between two looks; None when they are not of one process, or not in this order."""
    if first.process != second.process:
        return None
    requests, errors = second.requests - first.requests, second.errors - first.errors
    buckets = {b: n - first.buckets.get(b, 0.0) for b, n in second.buckets.items()}
    if requests < 0 or errors < 0 or any(n < 0 for n in buckets.values()):
        return None
    return Traffic(requests, errors, buckets)


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """The number of seconds which this share of requests did not exceed; None when there were none.

    Within a bucket requests are taken as spread evenly, and beyond the last bound nothing is known: what PromQL's
    histogram_quantile does.
    """
    bounds = sorted(buckets)
    total = max(buckets.values(), default=0.0)
    if total <= 0:
        return None
    wanted, lower, below = share * total, 0.0, 0.0
    for bound in bounds:
        reached = max(buckets[bound], below)  # a scrape is not one moment: a bucket may be behind the one before it
        if reached >= wanted and reached > below:
            return lower if bound == inf else lower + (bound - lower) * (wanted - below) / (reached - below)
        lower, below = (bound, reached) if bound != inf else (lower, reached)
    return lower

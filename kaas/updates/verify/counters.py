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
_LABEL: Final = re.compile(rb'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')

# They last as long as somebody looks on, or as what they lead to: kube-prometheus leaves the same out of its rules.
_LONG_VERBS: Final = frozenset({b"WATCH", b"WATCHLIST", b"CONNECT", b"PROXY"})
_LONG_SUBRESOURCES: Final = frozenset({b"attach", b"exec", b"log", b"portforward", b"proxy"})
_SERVER_ERRORS: Final = b"5"
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
        self._buckets: dict[float, float] = {}

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
        return Counters(self._process, self._requests, self._errors, self._buckets)

    def _line(self, line: bytes) -> None:
        if line.startswith(_BUCKET):
            if (found := _sample(line)) is not None:
                bound = float(found[0][b"le"])
                self._buckets[bound] = self._buckets.get(bound, 0.0) + found[1]
        elif line.startswith(_REQUESTS):
            if (found := _sample(line)) is not None:
                self._requests += found[1]
                self._errors += found[1] if found[0].get(b"code", b"").startswith(_SERVER_ERRORS) else 0.0
        elif line.startswith(_START):
            self._process = line.removeprefix(_START).decode().strip()


def _sample(line: bytes) -> tuple[dict[bytes, bytes], float] | None:
    """Labels and value of a line; None when it is about requests that are to last."""
    head, _, tail = line.rpartition(b"} ")
    labels = dict(_LABEL.findall(head))
    if labels.get(b"verb") in _LONG_VERBS or labels.get(b"subresource") in _LONG_SUBRESOURCES:
        return None
    try:
        return labels, float(tail.split()[0])
    except (ValueError, IndexError) as wrong:
        raise Unreadable(f"not a line of metrics: {line[:100]!r}") from wrong


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

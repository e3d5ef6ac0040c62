"""Lines of a container's log, as the options of the API choose them. Pure.

A stored line is `TIME STREAM TEXT`, with the time in UTC as ISO 8601 has it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Wanted:
    """Options of a request for logs. Source: Kubernetes, PodLogOptions; 0 and None: no limit."""

    tail: int | None = None
    seconds: int | None = None
    since: dt.datetime | None = None
    limit: int = 0
    follow: bool = False
    timestamps: bool = False

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Self:
        """Options of a query string. Raises ValueError."""
        number = {key: int(query[key]) for key in ("tailLines", "sinceSeconds", "limitBytes") if key in query}
        return cls(
            tail=number.get("tailLines"),
            seconds=number.get("sinceSeconds"),
            since=dt.datetime.fromisoformat(query["sinceTime"]) if "sinceTime" in query else None,
            limit=number.get("limitBytes", 0),
            follow=query.get("follow") == "true",
            timestamps=query.get("timestamps") == "true",
        )

    def shown(self, lines: Sequence[bytes]) -> bytes:
        """Stored lines as a user sees them."""
        return b"".join(self._shown(line) for line in lines)

    def _shown(self, line: bytes) -> bytes:
        when, _, rest = line.partition(b" ")
        text = rest.partition(b" ")[2]
        return (when + b" " + text if self.timestamps else text) + b"\n"


def select(lines: Sequence[bytes], wanted: Wanted, now: dt.datetime) -> bytes:
    """What a request gets of a log at first."""
    after = now - dt.timedelta(seconds=wanted.seconds) if wanted.seconds else wanted.since
    if after:
        lines = [line for line in lines if _time(line) >= after]
    if wanted.tail is not None:
        lines = lines[-wanted.tail :] if wanted.tail else ()
    text = wanted.shown(lines)
    return text[: wanted.limit] if wanted.limit else text


def _time(line: bytes) -> dt.datetime:
    return dt.datetime.fromisoformat(line.partition(b" ")[0].decode())

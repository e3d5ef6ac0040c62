"""What a load says of itself: a line every few seconds while it runs, and a result at its end. Pure.

The controller reads both through the API server: lines from the Pod's log, the result from its termination message.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from enum import IntEnum, StrEnum
from math import isfinite
from typing import Any, Final, Self

LARGEST: Final = 4096
"""Bytes of a termination message. Source: Kubernetes, container `terminationMessagePath`."""
MESSAGE: Final = 1024
"""Characters of a message that are kept, so that the whole result fits whatever it says."""


class Exit(IntEnum):
    """Exit codes of a load. A Job's podFailurePolicy tells them apart. Source: sysexits.h."""

    DONE = 0
    PERMANENT = 64
    """Trying again would not help: EX_USAGE."""
    RETRY = 75
    """It may go better later, from where it is: EX_TEMPFAIL."""


class Phase(StrEnum):
    """What a load does."""

    LISTING = "Listing"
    LOADING = "Loading"
    VERIFYING = "Verifying"


class Reason(StrEnum):
    """How a load ended; reasons of the condition DataLoaded."""

    LOADED = "Loaded"
    INSUFFICIENT_CAPACITY = "InsufficientCapacity"
    SOURCE_NOT_FOUND = "SourceNotFound"
    ACCESS_DENIED = "AccessDenied"
    INVALID_SPEC = "InvalidSpec"
    INVALID_KEY = "InvalidKey"
    """A key that is no path, or two keys that want to be one file and one directory of the same name."""
    CHANGED = "SourceChanged"
    """Objects kept changing while they were loaded."""
    CORRUPT = "ChecksumMismatch"
    STALLED = "Stalled"
    UNREACHABLE = "SourceUnreachable"
    INTERRUPTED = "Interrupted"
    """It was told to stop; what it has stays, and the next attempt goes on from there."""
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load is. Totals are None until the listing has ended; rate in bytes a second; remaining in seconds.

    listed: objects that the listing has had so far. still: seconds for which nothing at all has gone on, no byte and no
    other work; elapsed: seconds since the load began, so that no two lines are alike while it runs. None of a loader
    that does not say so.
    """

    phase: Phase
    bytes_done: int = 0
    files_done: int = 0
    bytes_total: int | None = None
    files_total: int | None = None
    rate: float = 0.0
    remaining: float | None = None
    listed: int = 0
    still: float | None = None
    elapsed: float | None = None

    def line(self) -> str:
        """One line of JSON."""
        return json.dumps({"progress": asdict(self)}, separators=(",", ":"))

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """Progress of a line, without what only a newer loader says; None for any other line."""
        found = _known(cls, _object(line, "progress"))
        try:
            read = cls(**{**found, "phase": Phase(found["phase"])}) if found else None
        except (TypeError, ValueError, KeyError):
            return None
        return read if read and read._is_sound() else None

    def _is_sound(self) -> bool:
        """Whether all of it is what it should be: logs can be cut, and others write into them."""
        totals = [n for n in (self.bytes_total, self.files_total) if n is not None]
        counts = all(map(_is_count, (self.bytes_done, self.files_done, self.listed, *totals)))
        amounts = [n for n in (self.rate, self.remaining, self.still, self.elapsed) if n is not None]
        return counts and self.rate is not None and all(map(_is_amount, amounts))


@dataclass(frozen=True, slots=True)
class Result:
    """How a load ended.

    skipped: files that were there already. deleted: files that the source has no more. verified: number of files by
    how they were compared, as `crc32c`, `size` or `off`. digest: of the listing (names, sizes, versions, sorted), by
    which two loads have the same content; "" when it was not listed to its end.
    """

    reason: Reason
    message: str
    bytes: int = 0
    files: int = 0
    skipped: int = 0
    deleted: int = 0
    seconds: float = 0.0
    verified: dict[str, int] = field(default_factory=dict)
    digest: str = ""

    def text(self) -> str:
        """JSON of at most LARGEST bytes."""
        room = MESSAGE
        while len((text := self._text(room)).encode(errors="replace")) > LARGEST and room > 1:
            room //= 2  # characters that take several bytes
        return text

    def _text(self, room: int) -> str:
        short = self.message if len(self.message) <= room else self.message[: room - 1] + "…"
        return json.dumps({"result": {**asdict(self), "message": short}}, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Result of a termination message, without what only a newer loader says; None when it is none."""
        found = _known(cls, _object(text, "result"))
        try:
            read = cls(**{**found, "reason": Reason(found["reason"])}) if found else None
        except (TypeError, ValueError, KeyError):
            return None
        return read if read and read._is_sound() else None

    def _is_sound(self) -> bool:
        """Whether all of it is what it should be: a termination message may be somebody else's."""
        counts = (self.bytes, self.files, self.skipped, self.deleted)
        verified = isinstance(self.verified, dict) and all(map(_is_count, self.verified.values()))
        texts = isinstance(self.message, str) and isinstance(self.digest, str)
        return texts and verified and all(map(_is_count, counts)) and _is_amount(self.seconds)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_amount(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value) and value >= 0


def _known(kind: type[Progress | Result], found: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a kind has fields for."""
    names = {f.name for f in fields(kind)}
    return None if found is None else {name: value for name, value in found.items() if name in names}


def _object(text: str, key: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    inner = found.get(key) if isinstance(found, dict) else None
    return inner if isinstance(inner, dict) else None

"""From the name of an object to the path of a file below the destination. Pure.

Names that are no path are refused and never bent into one, so two objects never become one file.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

JOURNAL: Final = ".kaas-load"
"""Directory of the loader's own, at the top of the destination."""
SEGMENT_BYTES: Final = 255
"""Longest name in a directory. Source: limits.h, NAME_MAX; ext4, XFS and NFS have the same."""
PATH_BYTES: Final = 4095
"""Longest path. Source: limits.h, PATH_MAX, which counts the NUL at its end."""


class Unsafe(ValueError):
    """A name that is no path below the destination. key: the name; reason: what is wrong with it."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"key {key!r} {reason}: rename the object, or exclude it")
        self.key = key
        self.reason = reason


def relative(name: str) -> PurePosixPath:
    """Path below the destination of an object's name, as of `checked`."""
    return PurePosixPath(checked(name))


def checked(name: str) -> str:
    """The same as text: the name without the `/` at the end of a directory marker. Unsafe when it is no path."""
    encoded = _encoded(name)
    segments = name.removesuffix("/").split("/")
    reason = _whole(name, encoded) or next(filter(None, map(_segment, segments)), "")
    if reason:
        raise Unsafe(name, reason)
    if segments[0] == JOURNAL:
        raise Unsafe(name, f"is where the loader keeps its own files ({JOURNAL})")
    return name.removesuffix("/")


def _encoded(name: str) -> bytes:
    try:
        return name.encode()
    except UnicodeEncodeError:
        raise Unsafe(name, "is not UTF-8") from None


def _whole(name: str, encoded: bytes) -> str:
    if not name:
        return "is empty"
    if name.startswith("/"):
        return "begins with a slash"
    if "\0" in name:
        return "has a NUL character"
    return f"is longer than {PATH_BYTES} bytes" if len(encoded) > PATH_BYTES else ""


def _segment(segment: str) -> str:
    if not segment:
        return "has two slashes in a row"
    if segment in {".", ".."}:
        return f"has a segment {segment!r}"
    if len(segment.encode()) > SEGMENT_BYTES:
        return f"has a segment of more than {SEGMENT_BYTES} bytes"
    return ""

"""Which objects of a source are wanted: globs with commas between. Pure.

`*` and `?` stand for anything within one segment, `[ab]`, `[a-z]` and `[!a]` for one character, `**` for any number of
whole segments. A pattern without a slash is compared with the last segment of a name, at any depth; one with a slash
with the whole name below the source. `/` at its end means all that is below. Case counts; a dot is nothing special.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Self


class PatternError(ValueError):
    """A glob that cannot be read. The message quotes it and says why."""


class Filter:
    """Takes what at least one pattern of `include` fits (all, when there is none) and none of `exclude`."""

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        self._include = [_compiled(pattern) for pattern in include]
        self._exclude = [_compiled(pattern) for pattern in exclude]

    @classmethod
    def parse(cls, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Self:
        """A filter of texts with commas between patterns; PatternError for one that cannot be read."""
        return cls(_split(include), _split(exclude))

    def takes(self, name: str) -> bool:
        """Whether an object of this name below the source is wanted; a directory marker has its `/` at the end."""
        if self._include and not any(p.fullmatch(name) for p in self._include):
            return False
        return not any(p.fullmatch(name) for p in self._exclude)


def _split(texts: Iterable[str]) -> list[str]:
    return [pattern.strip() for text in texts for pattern in text.split(",") if pattern.strip()]


_MARKER: Final = "/?"
"""A directory marker fits as its directory does."""


def _compiled(pattern: str) -> re.Pattern[str]:
    if pattern in {"/", "//"} or "//" in pattern:
        raise PatternError(f"pattern {pattern!r}: has nothing between two slashes: remove one")
    below = pattern.endswith("/")
    body = pattern.strip("/")
    anchored = "/" in pattern.removesuffix("/")
    segments = body.split("/")
    regex = "" if anchored or segments[0] == "**" else "(?:[^/]*/)*"
    regex += _joined(pattern, segments)
    return re.compile(regex + ("/.*" if below else _MARKER), re.DOTALL)


def _joined(pattern: str, segments: list[str]) -> str:
    """A regular expression of segments with slashes between; `**` brings its own."""
    found = ""
    for place, segment in enumerate(segments):
        last = place == len(segments) - 1
        if segment == "**":
            found += ".*" if last else "(?:[^/]*/)*"
        else:
            found += _segment(pattern, segment) + ("" if last else "/")
    return found


def _segment(pattern: str, segment: str) -> str:
    if "**" in segment:
        raise PatternError(f"pattern {pattern!r}: ** stands for whole segments: write it between slashes, or one *")
    found, rest = "", segment
    while rest:
        piece, rest = _piece(pattern, rest)
        found += piece
    return found


def _piece(pattern: str, text: str) -> tuple[str, str]:
    """The regular expression of what a text begins with, and the rest of the text."""
    if text[0] == "*":
        return "[^/]*", text[1:]
    if text[0] == "?":
        return "[^/]", text[1:]
    if text[0] != "[":
        return re.escape(text[0]), text[1:]
    end = text.find("]", 3 if text.startswith("[!") else 2)
    if end < 0:
        raise PatternError(f"pattern {pattern!r}: [ has no ]: close it, or write [[] for the bracket itself")
    return _characters(pattern, text[1:end]), text[end + 1 :]


def _characters(pattern: str, inside: str) -> str:
    """A class of characters. What stands in it is taken as it is, but for `!` at its start and `-` between two."""
    negated, chars = inside.startswith("!"), inside.removeprefix("!")
    escaped = re.sub(r"([\\\]\[^&~|])", r"\\\1", chars)
    try:
        re.compile(f"[{escaped}]")
    except re.error as error:
        raise PatternError(f"pattern {pattern!r}: [{inside}] is no class of characters: {error}") from None
    return f"(?!/)[{'^' if negated else ''}{escaped}]"

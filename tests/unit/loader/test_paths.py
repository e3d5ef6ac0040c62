"""Names of objects as paths: always below the destination, and never two of one."""

from __future__ import annotations

from pathlib import PurePosixPath
from posixpath import normpath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kaas.loader import paths

TAKEN = {
    "a": "a",
    "a/b": "a/b",
    "a/b/": "a/b",
    "...": "...",
    "..a/b..": "..a/b..",
    ".hidden/.kaas-load": ".hidden/.kaas-load",
    "ü/日本 \t\n\x7f": "ü/日本 \t\n\x7f",
    "C:\\windows": "C:\\windows",
    " a ": " a ",
    "~root": "~root",
    "lost+found": "lost+found",
    "n" * 255: "n" * 255,
}
UNSAFE = {
    "": "empty",
    "/": "begins with a slash",
    "/etc/passwd": "begins with a slash",
    "//a": "begins with a slash",
    "..": "segment '..'",
    "../a": "segment '..'",
    "a/..": "segment '..'",
    "a/../": "segment '..'",
    "a/../../b": "segment '..'",
    ".": "segment '.'",
    "./a": "segment '.'",
    "a/./b": "segment '.'",
    "a//b": "two slashes",
    "a//": "two slashes",
    "a\0b": "NUL",
    "\0": "NUL",
    "a/\udcff": "not UTF-8",
    "n" * 256: "255 bytes",
    "a/" + "ü" * 128: "255 bytes",
    "a/" * 2048 + "b": "4095 bytes",
    ".kaas-load": "its own files",
    ".kaas-load/": "its own files",
    ".kaas-load/journal": "its own files",
}

SEGMENTS = st.one_of(
    st.text(max_size=12), st.sampled_from(["", ".", "..", "...", "\0", "\udc80", "a", "A", ".kaas-load", "x" * 300])
)
NAMES = st.lists(SEGMENTS, max_size=6).map("/".join)


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name: str) -> None:
    assert paths.relative(name) == PurePosixPath(TAKEN[name])


@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe(name: str) -> None:
    with pytest.raises(paths.Unsafe) as refusal:
        paths.relative(name)
    assert UNSAFE[name] in refusal.value.reason
    assert refusal.value.key == name
    assert repr(name) in str(refusal.value)


@given(NAMES)
@example("a/../../b")
@example("a/./b")
def test_always_below_the_destination(name: str) -> None:
    try:
        found = paths.relative(name)
    except paths.Unsafe:
        return
    whole = normpath(f"/data/volume/{found}")
    assert whole == f"/data/volume/{found}"
    assert whole.startswith("/data/volume/")
    assert not whole.startswith("/data/volume/.kaas-load/")
    assert all(0 < len(part.encode()) <= 255 for part in found.parts)


@given(st.lists(NAMES, max_size=8, unique=True))
def test_no_two_names_become_one_path(names: list[str]) -> None:
    found: dict[str, str] = {}
    for name in names:
        try:
            path = str(paths.relative(name))
        except paths.Unsafe:
            continue
        other = found.setdefault(path + "/" * name.endswith("/"), name)
        assert other == name
        assert path == name.removesuffix("/")

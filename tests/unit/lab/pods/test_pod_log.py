"""Which lines of a container's log a request gets."""

from __future__ import annotations

import datetime as dt

import pytest
from kaas_lab.pods.podlog import Wanted, select

NOW = dt.datetime(2026, 1, 1, 0, 1, tzinfo=dt.UTC)
LINES = [f"2026-01-01T00:00:{second:02}.5+00:00 stdout line {second}".encode() for second in (10, 30, 50)]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({}, b"line 10\nline 30\nline 50\n"),
        ({"tailLines": "1"}, b"line 50\n"),
        ({"tailLines": "0"}, b""),
        ({"sinceSeconds": "30"}, b"line 30\nline 50\n"),
        ({"sinceTime": "2026-01-01T00:00:40Z"}, b"line 50\n"),
        ({"limitBytes": "9"}, b"line 10\nl"),
        ({"tailLines": "1", "timestamps": "true"}, b"2026-01-01T00:00:50.5+00:00 line 50\n"),
    ],
)
def test_options(query: dict[str, str], text: bytes) -> None:
    assert select(LINES, Wanted.parse(query), NOW) == text


def test_an_option_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        Wanted.parse({"tailLines": "all"})

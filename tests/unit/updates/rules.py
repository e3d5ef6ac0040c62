"""Recurrences by dateutil, against which ours are held, and what windows may be made of."""

from __future__ import annotations

import datetime as plain
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from types import SimpleNamespace
from unittest.mock import patch

from dateutil import rrule
from hypothesis import strategies as st

from kaas.api.maintenance import WEEKDAYS

FIRST_YEAR, LAST_YEAR = 2021, 2060
"""Forty years."""


@contextmanager
def _with_an_end() -> Iterator[None]:
    """Dateutil looks for a day that never comes until the last year that there is: here it comes early."""
    ending = SimpleNamespace(**vars(plain) | {"MAXYEAR": LAST_YEAR + 1})
    with patch.object(rrule, "datetime", ending):
        yield


def expanded(recurrence: str, begin: date | None) -> list[date]:
    """The days of forty years, by dateutil."""
    start = datetime.combine(begin or date(FIRST_YEAR, 1, 1), time())
    with _with_an_end():
        days = [found.date() for found in rrule.rrulestr(recurrence, dtstart=start)]
    return [day for day in days if FIRST_YEAR <= day.year <= LAST_YEAR]


def _some(values: st.SearchStrategy[int | str]) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=3, unique=True).map(lambda found: ",".join(map(str, found)))


def _signed(most: int) -> st.SearchStrategy[int]:
    return st.integers(-most, most).filter(bool)


@st.composite
def recurrences(draw: st.DrawFn) -> str:
    """Recurrences that say which day, with parts in any order; some of them never come."""
    every = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    by_month = every in ("MONTHLY", "YEARLY")
    months = draw(st.none() | _some(st.integers(1, 12)))
    # Dateutil has an IndexError for the twentieth Monday of a month.
    numbers = _signed(53 if every == "YEARLY" and not months else 5)
    numbered = st.builds("{}{}".format, numbers, st.sampled_from(WEEKDAYS))
    days = _some(st.sampled_from(WEEKDAYS)) | _some(numbered) if by_month else _some(st.sampled_from(WEEKDAYS))
    month_days = _some(_signed(31))
    which = draw(st.sampled_from(["BYDAY", "BYMONTHDAY", "both"] if by_month else ["BYDAY"]))
    parts = [f"BYDAY={draw(days)}"] if which != "BYMONTHDAY" else []
    parts += [f"BYMONTHDAY={draw(month_days)}"] if which != "BYDAY" else []
    parts += [f"BYMONTH={months}"] if months else []
    for name, values in (
        ("WKST", st.sampled_from(WEEKDAYS)),
        ("INTERVAL", st.integers(1, 5).map(str)),
        *([("BYSETPOS", _some(_signed(5)))] if by_month else []),
    ):
        if draw(st.booleans()):
            parts.append(f"{name}={draw(values)}")
    return ";".join([f"FREQ={every}", *draw(st.permutations(parts))])


def begins(recurrence: str) -> st.SearchStrategy[date | None]:
    """First days that suit a recurrence: one with an interval needs one."""
    days = st.dates(date(FIRST_YEAR, 1, 1), date(FIRST_YEAR + 3, 12, 31))
    return days if "INTERVAL" in recurrence else st.none() | days

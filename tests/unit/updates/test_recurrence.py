"""Days of recurrences: as dateutil has them, over forty years, and without its endless searches."""

from __future__ import annotations

import re
from datetime import date

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from kaas.api.maintenance import RECURRENCE
from kaas.updates.recurrence import BadRecurrence, Recurrence
from tests.unit.updates.rules import FIRST_YEAR, LAST_YEAR, begins, expanded, recurrences


def days(recurrence: str, begin: date | None = None) -> list[date]:
    rule = Recurrence.parse(recurrence)
    return [day for year in range(FIRST_YEAR, LAST_YEAR + 1) for day in rule.days(year, begin)]


@settings(max_examples=200)
@given(st.data())
def test_forty_years_are_those_of_dateutil(data: st.DataObject) -> None:
    recurrence = data.draw(recurrences())
    begin = data.draw(begins(recurrence))
    assert days(recurrence, begin) == expanded(recurrence, begin)


@given(st.from_regex(re.compile(RECURRENCE), fullmatch=True))
def test_what_the_api_takes_is_read_here_and_by_dateutil(recurrence: str) -> None:
    Recurrence.parse(recurrence)
    rrulestr(recurrence)


@pytest.mark.parametrize(
    ("recurrence", "begin", "first"),
    [
        ("FREQ=MONTHLY;BYDAY=-1FR", None, ["2021-01-29", "2021-02-26", "2021-03-26"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", None, ["2021-01-29", "2021-02-26", "2021-03-31"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", "2021-01-14", ["2021-01-26", "2021-02-09", "2021-02-23"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU;WKST=SU", "2021-01-05", ["2021-01-17", "2021-01-31"]),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", None, ["2021-01-31", "2021-02-28", "2021-03-31"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", None, ["2024-02-29", "2028-02-29"]),
        ("FREQ=YEARLY;BYDAY=20MO", None, ["2021-05-17", "2022-05-16"]),
        ("FREQ=DAILY;INTERVAL=10", "2021-12-25", ["2021-12-25", "2022-01-04"]),
    ],
)
def test_days(recurrence: str, begin: str | None, first: list[str]) -> None:
    found = days(recurrence, date.fromisoformat(begin) if begin else None)
    assert [str(day) for day in found[: len(first)]] == first


def test_a_day_that_never_comes_is_not_looked_for() -> None:
    """Dateutil would look for it for eight thousand years."""
    assert days("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30") == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "WEEKLY",
        "FREQ=HOURLY",
        "BYDAY=TU;FREQ=WEEKLY",
        "FREQ=WEEKLY;BYDAY=1TU",
        "FREQ=MONTHLY;BYDAY=0TU",
        "FREQ=MONTHLY;BYDAY=MO,1TU",
        "FREQ=WEEKLY;BYDAY=TU;COUNT=3",
        "FREQ=WEEKLY;BYDAY=TU;UNTIL=20270101T000000Z",
        "FREQ=DAILY;BYHOUR=3",
        "FREQ=DAILY\n",
    ],
)
def test_what_the_api_refuses_is_not_read(text: str) -> None:
    with pytest.raises(BadRecurrence, match="as FREQ=WEEKLY;BYDAY=TU"):
        Recurrence.parse(text)

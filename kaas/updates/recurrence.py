"""The days on which a window begins: recurrences of RFC 5545, as far as `kaas.api.maintenance` takes them. Pure.

Not by dateutil, which is right but has no bound: it looks for the thirtieth of February until the year 9999, and who
writes a Cluster must not be able to stop the controller. The tests hold the two against each other.
"""

from __future__ import annotations

import re
from calendar import isleap, monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import groupby
from typing import Final, NamedTuple

from kaas.api.maintenance import RECURRENCE, WEEKDAYS

_MONDAY: Final = date(2001, 1, 1)
"""From where is counted when nothing else is said; with an interval of one it makes no difference."""
_DAY: Final = re.compile(r"([-+]?\d+)?([A-Z]{2})")


class BadRecurrence(ValueError):
    """The text is not a recurrence that the API takes."""


class _Day(NamedTuple):
    """A day, and the numbers that recurrences know it by; those from the end are negative, the last is -1."""

    day: date
    weekday: int
    month: int
    of_month: tuple[int, int]
    nth_of_month: tuple[int, int]
    nth_of_year: tuple[int, int]


@lru_cache(maxsize=64)
def _days_of(year: int) -> tuple[_Day, ...]:
    first, length = date(year, 1, 1).toordinal(), 365 + isleap(year)
    return tuple(_numbered(date.fromordinal(first + index), index, length) for index in range(length))


def _numbered(day: date, index: int, length: int) -> _Day:
    left, left_of_year = monthrange(day.year, day.month)[1] - day.day, length - 1 - index
    return _Day(
        day=day,
        weekday=day.weekday(),
        month=day.month,
        of_month=(day.day, -left - 1),
        nth_of_month=((day.day - 1) // 7 + 1, -(left // 7) - 1),
        nth_of_year=(index // 7 + 1, -(left_of_year // 7) - 1),
    )


@dataclass(frozen=True, slots=True)
class Recurrence:
    """What the text of a recurrence says; an empty set says nothing."""

    every: str
    interval: int
    week_start: int
    months: frozenset[int]
    month_days: frozenset[int]
    weekdays: frozenset[int]
    nths: frozenset[tuple[int, int]]
    positions: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Recurrence:
        """From the text, as `FREQ=MONTHLY;BYDAY=-1FR`. Raises BadRecurrence for what the API would refuse."""
        if re.fullmatch(RECURRENCE, text) is None:
            raise BadRecurrence(f"recurrence {text!r} is not one that windows may have: as FREQ=WEEKLY;BYDAY=TU")
        parts: dict[str, str] = dict(part.split("=") for part in text.split(";"))
        days = [match.groups() for match in _DAY.finditer(parts.get("BYDAY", ""))]
        return cls(
            every=parts["FREQ"],
            interval=int(parts.get("INTERVAL", "1")),
            week_start=WEEKDAYS.index(parts.get("WKST", "MO")),
            months=_numbers(parts, "BYMONTH"),
            month_days=_numbers(parts, "BYMONTHDAY"),
            weekdays=frozenset(WEEKDAYS.index(day) for number, day in days if number is None),
            nths=frozenset((int(number), WEEKDAYS.index(day)) for number, day in days if number is not None),
            positions=_numbers(parts, "BYSETPOS"),
        )

    def days(self, year: int, begin: date | None = None) -> list[date]:
        """The days of a year, in order. begin: the first that there may be; intervals count from it."""
        return list(_days_in(self, year, begin))

    def _days(self, year: int, begin: date | None) -> list[date]:
        found = self._chosen(day for day in _days_of(year) if self._takes(day))
        if self.interval > 1:
            found = [day for day in found if self._counts(day, begin or _MONDAY)]
        return [day for day in found if begin is None or day >= begin]

    def _takes(self, day: _Day) -> bool:
        return (
            (not self.weekdays or day.weekday in self.weekdays)
            and (not self.months or day.month in self.months)
            and (not self.month_days or not self.month_days.isdisjoint(day.of_month))
            and (not self.nths or self._is_nth(day))
        )

    def _is_nth(self, day: _Day) -> bool:
        """Whether it is the numbered weekday of its month, or of its year where a year without months is asked for."""
        numbers = day.nth_of_year if self.every == "YEARLY" and not self.months else day.nth_of_month
        return any((number, day.weekday) in self.nths for number in numbers)

    def _chosen(self, days: Iterable[_Day]) -> list[date]:
        """Those at the asked positions within their month or year."""
        if not self.positions:
            return [day.day for day in days]
        periods = groupby(days, key=lambda day: day.month if self.every == "MONTHLY" else 0)
        return [day for _, period in periods for day in self._at_positions([day.day for day in period])]

    def _at_positions(self, days: list[date]) -> Iterator[date]:
        last = len(days)
        for index, day in enumerate(days):
            if index + 1 in self.positions or index - last in self.positions:
                yield day

    def _counts(self, day: date, begin: date) -> bool:
        """Whether its day, week, month or year is a whole number of intervals away from that of `begin`."""
        return (self._period(day) - self._period(begin)) % self.interval == 0

    def _period(self, day: date) -> int:
        if self.every == "WEEKLY":
            # The first day of the proleptic calendar, ordinal 1, was a Monday.
            return (day.toordinal() - 1 - self.week_start) // 7
        return {"DAILY": day.toordinal(), "MONTHLY": day.year * 12 + day.month, "YEARLY": day.year}[self.every]


@lru_cache(maxsize=1024)
def _days_in(recurrence: Recurrence, year: int, begin: date | None) -> tuple[date, ...]:
    """Many windows recur on the same days, and differ in hour and zone."""
    return tuple(recurrence._days(year, begin))


def _numbers(parts: dict[str, str], name: str) -> frozenset[int]:
    return frozenset(map(int, filter(None, parts.get(name, "").split(","))))

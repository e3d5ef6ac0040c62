"""When a Cluster may be changed by itself: windows that recur, and times that are left out of them."""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field

from kaas.api.fields import pattern_rule, quoted
from kaas.api.model import Atomic, Model
from kaas.api.rules import Rule

WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
"""Days as RFC 5545 writes them; the index is that of `date.weekday`."""

MIN_MINUTES: Final = 30
MAX_MINUTES: Final = 7 * 24 * 60


def _list_of(item: str) -> str:
    return f"{item}(,{item})*"


# RFC 5545, section 3.3.10. Left out: the parts that say a time of day or an end, those that count weeks or days of a
# year, and what the RFC forbids together or calendars read in different ways: numbered days beside plain ones.
_DAY: Final = f"({'|'.join(WEEKDAYS)})"
_PLAIN_DAYS: Final = f"BYDAY={_list_of(_DAY)}"
_OF_MONTH: Final = f"BYDAY={_list_of(f'[-+]?[1-5]{_DAY}')}"
_OF_YEAR: Final = f"BYDAY={_list_of(f'[-+]?(5[0-3]|[1-4][0-9]|[1-9]){_DAY}')}"
_MONTH_DAYS: Final = f"BYMONTHDAY={_list_of('[-+]?(3[01]|[12][0-9]|0?[1-9])')}"
_EACH: Final = (
    "INTERVAL=[1-9][0-9]?",
    f"WKST={_DAY}",
    f"BYMONTH={_list_of('(1[0-2]|0?[1-9])')}",
    _PLAIN_DAYS,
)
_POSITION: Final = f"BYSETPOS={_list_of('[-+]?[1-9][0-9]?')}"
_PARTS: Final = {
    "DAILY": (*_EACH, _MONTH_DAYS),
    "WEEKLY": _EACH,
    "MONTHLY": (*_EACH, _OF_MONTH, _MONTH_DAYS, _POSITION),
    "YEARLY": (*_EACH, _OF_YEAR, _MONTH_DAYS, _POSITION),
}
RECURRENCE: Final = "|".join(f"FREQ={every}(;({'|'.join(parts)}))*" for every, parts in _PARTS.items())
"""The recurrences that a window may have, as a regular expression."""
_NAMES: Final = ("INTERVAL", "WKST", "BYMONTH", "BYDAY", "BYMONTHDAY", "BYSETPOS")


def _names_once(recurrence: str) -> bool:
    return all(recurrence.count(f"{name}=") <= 1 for name in _NAMES)


def _says_the_day(recurrence: str) -> bool:
    return recurrence.startswith("FREQ=DAILY") or "BYDAY=" in recurrence or "BYMONTHDAY=" in recurrence


Recurrence = Annotated[
    str,
    Field(min_length=1, max_length=256),
    pattern_rule(
        RECURRENCE,
        "recurrence must be a rule of RFC 5545 that begins with FREQ=DAILY, WEEKLY, MONTHLY or YEARLY and may have "
        "INTERVAL, BYDAY, BYMONTH, BYMONTHDAY, BYSETPOS and WKST, as FREQ=WEEKLY;BYDAY=TU or FREQ=MONTHLY;BYDAY=-1FR; "
        "its time of day goes into start, and its first day into from",
    ),
    Rule(
        cel=" && ".join(f"size(self.split('{name}=')) <= 2" for name in _NAMES),
        message="recurrence: a part stands there twice: write its values in one list, as BYDAY=TU,TH",
        check=_names_once,
    ),
    Rule(
        cel="self.startsWith('FREQ=DAILY') || self.contains('BYDAY=') || self.contains('BYMONTHDAY=')",
        message="recurrence must say which day: add BYDAY, as FREQ=WEEKLY;BYDAY=TU, or BYMONTHDAY",
        check=_says_the_day,
    ),
]

# Names of the time zone database begin with a capital; what does not is a private file of the machine, as `localtime`.
_ZONE: Final = re.compile(r"[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")


@cache
def zone(name: str) -> ZoneInfo | None:
    """The time zone of this name in the IANA database; None when there is none."""
    if not _ZONE.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError: the name of a directory, as America
        return None


TimeZone = Annotated[
    str,
    Field(min_length=1, max_length=64),
    Rule(
        cel=f"self.matches({quoted(f'^(?:{_ZONE.pattern})$')})",
        message="timeZone must be a name from the IANA database, as Asia/Tokyo, Europe/Berlin or UTC",
        check=lambda name: zone(name) is not None,
    ),
]
TimeOfDay = Annotated[
    str,
    Field(min_length=5, max_length=5),
    pattern_rule("([01][0-9]|2[0-3]):[0-5][0-9]", 'start must be a time of day in quotes, from "00:00" to "23:59"'),
]


_INTERVAL: Final = "INTERVAL=([2-9]|1[0-9])"


def _counts_from_a_day(window: dict[str, Any]) -> bool:
    return "from" in window or re.search(_INTERVAL, window["recurrence"]) is None


class Window(Model):
    """Times that recur, in which changes are welcome."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"has(self.from) || !self.recurrence.matches('{_INTERVAL}')",
            message="from is required with an INTERVAL: set a day of the first week (or month) that counts, "
            "as 2027-01-05",
            check=_counts_from_a_day,
            field=".from",
        ),
    )
    recurrence: Recurrence
    """The days on which it begins, as a rule of RFC 5545 without a time: `FREQ=WEEKLY;BYDAY=TU`."""
    start: TimeOfDay
    """Time of day at which it begins there. One that the change to summer time leaves out is the moment after the
    gap; one that comes twice is the first."""
    duration_minutes: int = Field(ge=MIN_MINUTES, le=MAX_MINUTES)
    """How long it is open, in minutes that pass; at most a week. Windows that overlap are one."""
    time_zone: TimeZone
    """Time zone of start and days, from the IANA database: `Asia/Tokyo`."""
    from_: date | None = Field(default=None, alias="from")
    """First day on which it may begin; INTERVAL counts from it."""


class Exclusion(Model):
    """A time in which a Cluster is left alone."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.until > self.from",
            message="until must be later than from: an exclusion ends after it begins",
            check=lambda e: datetime.fromisoformat(e["until"]) > datetime.fromisoformat(e["from"]),
            field=".until",
        ),
    )
    from_: AwareDatetime = Field(alias="from")
    """When it begins."""
    until: AwareDatetime
    """When it ends."""
    scope: Literal["All", "Minor", "Nodes"] = "All"
    """What is left alone. All: no update. Minor: no new minor of Kubernetes. Nodes: none that replaces nodes."""
    reason: str = Field(min_length=1, max_length=256)
    """Why, for people: shown wherever an update waits for its end."""


class Maintenance(Model):
    """When changes that nobody asked for at that moment may happen."""

    windows: Annotated[tuple[Window, ...], Field(max_length=16), Atomic()] = ()
    """Times in which changes are welcome. Those of the Cluster, else of its Namespace, else of its Site count; where
    none has any, four hours a week that follow from the Cluster's UID."""
    exclusions: Annotated[tuple[Exclusion, ...], Field(max_length=64), Atomic()] = ()
    """Times in which a Cluster is left alone; those of Cluster, Namespace and Site count together."""

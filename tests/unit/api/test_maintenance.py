"""Windows and exclusions: what is taken, and that CEL's patterns read as Python's do."""

from __future__ import annotations

import re
from typing import Any
from zoneinfo import available_timezones

import pytest
from pydantic import ValidationError

from kaas.api.cluster import Cluster
from kaas.api.crd import schema
from kaas.api.maintenance import RECURRENCE, Maintenance, zone
from kaas.api.rules import violations

WINDOW = {"recurrence": "FREQ=WEEKLY;BYDAY=TU", "start": "22:00", "durationMinutes": 240, "timeZone": "Asia/Tokyo"}
EXCLUSION = {"from": "2027-01-01T00:00:00Z", "until": "2027-01-05T00:00:00Z", "reason": "new year"}
RULES = schema(Cluster)["properties"]["spec"]["properties"]["maintenance"]


def of_window(**fields: Any) -> list[str]:
    return faults_of("windows", WINDOW | fields)


def faults_of(name: str, entry: dict[str, Any]) -> list[str]:
    found = Maintenance.model_validate({name: [entry]})
    return [f"{v.path}: {v.message}" for v in violations(found.to_json(), RULES)]


@pytest.mark.parametrize(
    "recurrence",
    [
        "FREQ=DAILY",
        "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
        "FREQ=WEEKLY;INTERVAL=1;WKST=SU;BYDAY=TU",
        "FREQ=MONTHLY;BYDAY=-1FR",
        "FREQ=MONTHLY;BYDAY=+1SA,3SA",
        "FREQ=MONTHLY;BYMONTHDAY=1,15,-1",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        "FREQ=YEARLY;BYMONTH=3,6,9,12;BYDAY=1SA",
    ],
)
def test_recurrences_that_are_taken(recurrence: str) -> None:
    assert of_window(recurrence=recurrence) == []


@pytest.mark.parametrize(
    ("recurrence", "way_out"),
    [
        ("FREQ=WEEKLY", "add BYDAY"),
        ("FREQ=MONTHLY;BYMONTH=3", "add BYDAY"),
        ("FREQ=WEEKLY;BYDAY=TU;BYDAY=TH", "write its values in one list"),
        ("FREQ=WEEKLY;BYDAY=TU;INTERVAL=2", "set a day of the first week"),
        ("FREQ=DAILY;INTERVAL=10", "set a day of the first week"),
        ("FREQ=HOURLY", "must be a rule of RFC 5545"),
        ("RRULE:FREQ=WEEKLY;BYDAY=TU", "must be a rule of RFC 5545"),
        ("DTSTART:20270105\nFREQ=WEEKLY;BYDAY=TU", "must be a rule of RFC 5545"),
        ("FREQ=WEEKLY;BYDAY=TU;COUNT=5", "must be a rule of RFC 5545"),
        ("FREQ=WEEKLY;BYDAY=TU;UNTIL=20280101", "must be a rule of RFC 5545"),
        ("FREQ=WEEKLY;BYDAY=TU;BYHOUR=3", "time of day goes into start"),
        ("FREQ=WEEKLY;BYDAY=1TU", "must be a rule of RFC 5545"),
        ("FREQ=WEEKLY;BYDAY=TUESDAY", "must be a rule of RFC 5545"),
        ("FREQ=WEEKLY;BYDAY=TU;", "must be a rule of RFC 5545"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "must be a rule of RFC 5545"),
    ],
)
def test_recurrences_that_are_refused(recurrence: str, way_out: str) -> None:
    assert any(way_out in fault for fault in of_window(recurrence=recurrence))


def test_an_interval_with_its_first_day() -> None:
    fields = {"recurrence": "FREQ=WEEKLY;BYDAY=TU;INTERVAL=2", "from": "2027-01-05"}
    assert of_window(**fields) == []
    (fault,) = of_window(recurrence=fields["recurrence"])
    assert fault.startswith("windows[0].from: from is required")


@pytest.mark.parametrize("start", ["24:00", "09:60", "9:00 ", "0900x"])
def test_starts_that_are_no_time_of_day(start: str) -> None:
    (fault,) = of_window(start=start)
    assert "start must be a time of day" in fault


@pytest.mark.parametrize("name", ["Asia/Tokio", "America", "localtime", "../UTC", "utc", "Asia/Tokyo ", "/UTC"])
def test_time_zones_that_are_not_in_the_database(name: str) -> None:
    (fault,) = of_window(timeZone=name)
    assert fault.startswith("windows[0].timeZone: timeZone must be a name from the IANA database")


def test_every_zone_of_the_database_fits_the_pattern() -> None:
    refused = {name for name in available_timezones() if zone(name) is None or len(name) > 64}
    assert refused <= {"localtime"}, "what the machine calls its own"


@pytest.mark.parametrize("minutes", [29, 10081])
def test_lengths_that_are_refused(minutes: int) -> None:
    with pytest.raises(ValidationError, match=r"30|10080"):
        of_window(durationMinutes=minutes)


@pytest.mark.parametrize("until", ["2027-01-01T00:00:00Z", "2027-01-01T08:59:59+09:00"])
def test_an_exclusion_ends_after_it_begins(until: str) -> None:
    assert faults_of("exclusions", EXCLUSION) == []
    (fault,) = faults_of("exclusions", EXCLUSION | {"until": until})
    assert fault.startswith("exclusions[0].until: until must be later than from")


def test_an_exclusion_has_a_reason_and_times_with_a_zone() -> None:
    for field, value in (("reason", ""), ("from", "2027-01-01T00:00:00"), ("scope", "all")):
        with pytest.raises(ValidationError):
            faults_of("exclusions", EXCLUSION | {field: value})


def test_pattern_has_nothing_that_re2_lacks() -> None:
    """No look-around, no back reference, no possessive quantifier; and it is anchored by the rule."""
    assert not re.search(r"\(\?|\\[1-9]|[*+?}]\+", RECURRENCE)

"""The calendar against plain expansions, in all zones whose clocks change, over forty years."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo, available_timezones

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kaas.api.cluster import Cluster
from kaas.api.maintenance import MIN_MINUTES, Exclusion, Maintenance, Window, zone
from kaas.api.site import Site
from kaas.updates import windows as module
from kaas.updates.facts import Change, Opening
from kaas.updates.windows import HORIZON, NODE_RETURN, Calendar, default_window, fault, to_utc, too_short
from tests.unit.clusters.builders import pool, raw_cluster, raw_site
from tests.unit.updates.rules import FIRST_YEAR, LAST_YEAR, begins, expanded, recurrences

MINUTE = timedelta(minutes=1)
BEGIN, END = (datetime(year, 1, 1, tzinfo=UTC) for year in (FIRST_YEAR, LAST_YEAR + 1))
CLASS = Path(__file__).parents[3] / "clusterclass/class.yaml"


def offset(moment: datetime, where: ZoneInfo) -> timedelta:
    found = moment.astimezone(where).utcoffset()
    assert found is not None
    return found


def changes(name: str) -> Iterator[tuple[datetime, timedelta, timedelta]]:
    """Moments at which the offset of a zone changes within the forty years, with the offsets before and after."""
    where, week = ZoneInfo(name), timedelta(days=7)
    moment = BEGIN
    while moment < END:
        if offset(moment, where) != offset(moment + week, where):
            minutes = range(int(week / MINUTE) + 1)
            before = offset(moment, where)
            index = bisect_left(minutes, True, key=lambda m: offset(moment + m * MINUTE, where) != before)
            yield (at := moment + index * MINUTE), before, offset(at, where)
        moment += week


@cache
def changing_zones() -> tuple[str, ...]:
    """All zones whose clocks change in two years of the forty."""
    names = sorted(name for name in available_timezones() if zone(name) is not None)
    days = [BEGIN + timedelta(days=30 * index) for index in range(24)]
    return tuple(name for name in names if len({offset(day, ZoneInfo(name)) for day in days}) > 1)


def test_many_zones_have_changes() -> None:
    assert len(changing_zones()) > 150


@pytest.mark.parametrize("name", changing_zones())
def test_times_that_are_skipped_begin_after_the_gap_and_those_that_come_twice_at_the_first(name: str) -> None:
    where, seen = ZoneInfo(name), 0
    for at, before, after in changes(name):
        first, last = sorted((at.replace(tzinfo=None) + before, at.replace(tzinfo=None) + after))
        for local in (first, first + MINUTE, first + (last - first) / 2, last - MINUTE):
            expected = at if after > before else (local - before).replace(tzinfo=UTC)
            assert to_utc(local, where) == expected
        assert to_utc(first - MINUTE, where) == (first - MINUTE - before).replace(tzinfo=UTC)
        assert to_utc(last, where) == (last - after).replace(tzinfo=UTC)
        seen += 1
    assert seen >= 1


def test_a_day_that_is_skipped_begins_with_the_next() -> None:
    """Samoa went from Thursday the 29th to Saturday the 31st of December 2011."""
    found = to_utc(datetime(2011, 12, 30, 22, 0), ZoneInfo("Pacific/Apia"))
    assert found == datetime(2011, 12, 31, 0, 0, tzinfo=ZoneInfo("Pacific/Apia"))


@st.composite
def windows(draw: st.DrawFn) -> Window:
    recurrence = draw(recurrences())
    return Window(
        recurrence=recurrence,
        start=f"{draw(st.integers(0, 23)):02}:{draw(st.integers(0, 59)):02}",
        duration_minutes=draw(st.integers(30, 600) | st.integers(30, 10080)),
        time_zone=draw(st.sampled_from(changing_zones())),
        from_=draw(begins(recurrence)),
    )


times = st.datetimes(datetime(FIRST_YEAR + 2, 1, 1), datetime(LAST_YEAR - 4, 1, 1), timezones=st.just(UTC))
exclusions = st.builds(
    lambda start, length, scope: Exclusion(from_=start, until=start + length, scope=scope, reason="busy"),
    times,
    st.timedeltas(MINUTE, timedelta(days=900)),
    st.sampled_from(["All", "Minor", "Nodes"]),
)


def plainly(of: Sequence[Window], without: Sequence[Exclusion]) -> list[Opening]:
    """All openings of forty years, by dateutil and as simply as can be said."""
    found: list[Opening] = []
    for start, end in sorted(
        (start, start + w.duration_minutes * MINUTE)
        for w in of
        for day in expanded(w.recurrence, w.from_)
        for start in [to_utc(datetime.combine(day, time.fromisoformat(w.start)), ZoneInfo(w.time_zone))]
    ):
        if found and start <= found[-1].end:
            found[-1] = Opening(found[-1].start, max(found[-1].end, end))
        else:
            found.append(Opening(start, end))
    for gone in without:
        parts = [part for o in found for part in ((o.start, min(o.end, gone.from_)), (max(o.start, gone.until), o.end))]
        found = [Opening(start, end) for start, end in dict.fromkeys(parts) if start < end]
    return found


def clipped(openings: Sequence[Opening], since: datetime, until: datetime) -> list[Opening]:
    inside = (Opening(max(o.start, since), min(o.end, until)) for o in openings)
    return [o for o in inside if o.start < o.end]


@settings(max_examples=100)
@given(
    st.lists(windows().filter(lambda window: not fault(window)), min_size=1, max_size=3),
    st.lists(exclusions, max_size=4),
    times,
    st.integers(0, 800),
)
def test_openings_are_those_of_a_plain_expansion(
    of: list[Window], without: list[Exclusion], since: datetime, days: int
) -> None:
    calendar = Calendar([Maintenance(windows=tuple(of)), Maintenance(exclusions=tuple(without))], "uid")
    until = since + timedelta(days=days)
    for change, scopes in ((Change.PATCH, {"All", "Nodes"}), (Change.MINOR, {"All", "Nodes", "Minor"})):
        expected = plainly(of, [e for e in without if e.scope in scopes])
        there = [o for o in expected if o.end > since and o.start < until]
        found = list(calendar.openings(change, since, until))
        assert clipped(found, since, until) == clipped(there, since, until)
        if max((o.end - o.start for o in there), default=timedelta(0)) < timedelta(days=300):
            assert found == there
            following = next(begun_after(expected, since), None)
            if following is None or following.end - following.start < timedelta(days=300):
                assert calendar.next(change, since) == following
        assert (calendar.open_at(change, since) is not None) == any(o.start <= since < o.end for o in expected)


@settings(max_examples=60)
@given(
    st.lists(windows().filter(lambda window: not fault(window)), min_size=1, max_size=3),
    st.lists(exclusions, max_size=4),
    times,
    st.lists(st.timedeltas(timedelta(0), timedelta(days=3)), min_size=5, max_size=20),
)
def test_who_asks_again_and_again_for_the_first_is_told_what_a_new_calendar_says(
    of: list[Window], without: list[Exclusion], since: datetime, steps: list[timedelta]
) -> None:
    layers, least = [Maintenance(windows=tuple(of)), Maintenance(exclusions=tuple(without))], 15 * MINUTE
    asked = Calendar(layers, "uid")
    for step in steps:
        since += step
        for change in (Change.PATCH, Change.MINOR):
            there = Calendar(layers, "uid").openings(change, since, since + HORIZON)
            expected = next((o for o in there if max(o.start, since) + least < o.end), None)
            assert asked.first(change, since, least) == expected


def test_of_the_years_beside_only_what_reaches_into_one_is_looked_at() -> None:
    window = weekly(start="23:30", recurrence="FREQ=WEEKLY;BYDAY=TH", timeZone="Asia/Tokyo")
    calendar = Calendar([Maintenance(windows=(window,))], "uid")
    with patch.object(module, "to_utc", side_effect=to_utc) as moments:
        assert calendar.first(Change.PATCH, datetime(2027, 6, 1, tzinfo=UTC), 15 * MINUTE) is not None
    assert len(moments.call_args_list) < 52 + 12


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("2027-01-10", "2026-11-01", "2027-02-01"), ("2027-12-30", "2027-11-01", "2028-02-01")],
)
def test_what_is_open_for_weeks_at_the_turn_of_the_year_begins_and_ends_when_it_does(
    asked: str, start: str, end: str
) -> None:
    winter = weekly(recurrence="FREQ=DAILY;BYMONTH=11,12,1", start="00:00", durationMinutes=1440, timeZone="UTC")
    since = datetime.fromisoformat(asked).replace(tzinfo=UTC)
    found = Calendar([Maintenance(windows=(winter,))], "uid").first(Change.PATCH, since, 15 * MINUTE)
    assert found is not None
    assert (f"{found.start:%F}", f"{found.end:%F}") == (start, end)


def test_the_same_opening_is_looked_for_once() -> None:
    calendar = Calendar([Maintenance(windows=(weekly(),))], "uid")
    found = calendar.first(Change.PATCH, datetime(2027, 1, 4, tzinfo=UTC), 15 * MINUTE)
    assert found is not None
    with patch.object(Calendar, "openings", side_effect=AssertionError):
        assert calendar.first(Change.PATCH, found.start, 15 * MINUTE) == found
        assert calendar.first(Change.PATCH, found.end - 16 * MINUTE, 15 * MINUTE) == found
    assert calendar.first(Change.PATCH, found.end - 15 * MINUTE, 15 * MINUTE) != found


def begun_after(openings: Sequence[Opening], now: datetime) -> Iterator[Opening]:
    return (o for o in openings if now < o.start < now + timedelta(days=400))


def weekly(**fields: object) -> Window:
    said: dict[str, object] = {
        "recurrence": "FREQ=WEEKLY;BYDAY=SA",
        "start": "23:00",
        "durationMinutes": 240,
        "timeZone": "Europe/Berlin",
    }
    return Window.model_validate(said | fields)


NEVER = weekly(recurrence="FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30")


def opened(*of: Window, year: int = 2027) -> list[str]:
    calendar = Calendar([Maintenance(windows=of)], "uid")
    begin, end = (datetime(each, 1, 1, tzinfo=UTC) for each in (year, year + 1))
    found = calendar.openings(Change.PATCH, begin, end)
    return [f"{o.start:%m-%dT%H:%M}/{o.end:%m-%dT%H:%M}" for o in found]


def test_across_midnight_in_both_changes_four_hours_are_four_hours() -> None:
    found = opened(weekly())
    assert len(found) == 52
    assert {"03-27T22:00/03-28T02:00", "04-03T21:00/04-04T01:00", "10-30T21:00/10-31T01:00"} <= set(found)


def test_a_start_in_the_gap_and_one_that_comes_twice() -> None:
    found = opened(weekly(recurrence="FREQ=WEEKLY;BYDAY=SU", start="02:30"))
    assert {"03-28T01:00/03-28T05:00", "10-31T00:30/10-31T04:30"} <= set(found)


def test_the_last_friday_of_the_month_in_tokyo() -> None:
    found = opened(weekly(recurrence="FREQ=MONTHLY;BYDAY=-1FR", start="22:00", timeZone="Asia/Tokyo"))
    assert found[:3] == ["01-29T13:00/01-29T17:00", "02-26T13:00/02-26T17:00", "03-26T13:00/03-26T17:00"]
    assert len(found) == 12


def test_every_second_week_counts_from_its_day() -> None:
    every_second = weekly(recurrence="FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", start="10:00", timeZone="UTC")
    found = [opened(every_second.model_copy(update={"from_": day})) for day in (None, *days_of_january(5, 12))]
    assert [each[0] for each in found[1:]] == ["01-05T10:00/01-05T14:00", "01-12T10:00/01-12T14:00"]
    assert not set(found[1]) & set(found[2])
    assert found[0] in (found[1], found[2])


def days_of_january(*numbers: int) -> list[object]:
    return [datetime(2027, 1, number).date() for number in numbers]


def test_windows_that_touch_are_one() -> None:
    two = [weekly(start=start, timeZone="UTC") for start in ("10:00", "14:00")]
    assert opened(*two)[0] == "01-02T10:00/01-02T18:00"
    assert Calendar([Maintenance(windows=tuple(two))], "uid").longest() == timedelta(hours=8)


def test_what_is_always_open_is_one_opening() -> None:
    always = weekly(recurrence="FREQ=DAILY", start="00:00", durationMinutes=1440, timeZone="UTC")
    calendar = Calendar([Maintenance(windows=(always,))], "uid")
    now = datetime(2027, 6, 1, tzinfo=UTC)
    for days in (1, 400, 4000):
        (found,) = calendar.openings(Change.PATCH, now, now + timedelta(days=days))
        assert found.start < now - timedelta(days=365)
        assert found.end >= now + timedelta(days=days)
    assert calendar.next(Change.PATCH, now) is None


def test_windows_of_the_nearest_that_has_any_and_exclusions_of_all() -> None:
    near, far = weekly(start="10:00"), weekly(start="12:00")
    begin = datetime(2027, 1, 1, tzinfo=UTC)
    busy = [Exclusion(from_=begin, until=begin + timedelta(days=d), scope="Minor", reason=f"{d}") for d in (1, 3, 2)]
    layers = [Maintenance(exclusions=(e,), windows=w) for e, w in zip(busy, ((), (near,), (far,)), strict=True)]
    calendar = Calendar(layers, "uid")
    assert calendar.windows == (near,)
    assert not calendar.is_default
    assert calendar.excluded_by(Change.PATCH, begin) is None
    assert calendar.excluded_by(Change.MINOR, begin) == busy[1]
    assert calendar.excluded_by(Change.MINOR, busy[1].until) is None
    assert Calendar([Maintenance(exclusions=tuple(busy)), Maintenance()], "uid").is_default


def test_an_exclusion_cuts_an_opening_in_two() -> None:
    start = datetime(2027, 1, 2, 11, tzinfo=UTC)
    busy = Exclusion(from_=start, until=start + timedelta(hours=1), reason="busy")
    calendar = Calendar([Maintenance(windows=(weekly(start="10:00", timeZone="UTC"),), exclusions=(busy,))], "uid")
    hour = timedelta(hours=1)
    assert list(calendar.openings(Change.PATCH, start - hour, start + 2 * hour)) == [
        Opening(start - hour, start),
        Opening(start + hour, start + 3 * hour),
    ]
    assert calendar.open_at(Change.PATCH, start) is None
    assert calendar.next(Change.PATCH, start) == Opening(start + hour, start + 3 * hour)


def test_a_window_that_cannot_be_read_never_opens_and_says_why() -> None:
    calendar = Calendar(
        [Maintenance(windows=(weekly(timeZone="Asia/Tokio"), weekly(recurrence="FREQ=HOURLY"), NEVER))], "u"
    )
    now = datetime(2027, 1, 1, tzinfo=UTC)
    assert calendar.next(Change.PATCH, now) is None
    assert calendar.longest() == timedelta(0)
    first, second, third = calendar.faults
    assert "'Asia/Tokio' is not in the IANA database" in first
    assert "'FREQ=HOURLY'" in second
    assert third.startswith("recurrence 'FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30' has no day in the 28 years from 2025")
    assert opened(weekly(recurrence="FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", timeZone="UTC"), year=2028)
    assert Calendar([Maintenance(windows=(weekly(),))], "u").faults == ()


def test_default_windows_are_stable_and_spread_evenly_over_the_week() -> None:
    uids = [hashlib.md5(str(n).encode(), usedforsecurity=False).hexdigest() for n in range(10_000)]
    found = Counter((w.recurrence, w.start) for w in map(default_window, uids))
    assert len(found) == 7 * 24
    # Sixty on average; chance alone leaves every hour within these.
    assert min(found.values()) > 30
    assert max(found.values()) < 100
    assert default_window("9c1b0b5e-6d5f-4a52-a2b0-0d2b7b7f0a11") == weekly(
        recurrence="FREQ=WEEKLY;BYDAY=TH", start="23:00", timeZone="UTC"
    )


def judged(minutes: int, **gpu: int) -> str:
    cluster = raw_cluster(nodePools=[pool(gpu={"drainTimeoutSeconds": 604800}), pool("train", flavor="dgx", gpu=gpu)])
    calendar = Calendar([Maintenance(windows=(weekly(durationMinutes=minutes),))], "uid")
    return too_short(Cluster.model_validate(cluster), Site.model_validate(raw_site()), calendar)


def test_windows_that_are_too_short_for_a_gpu_node_are_refused_with_the_arithmetic() -> None:
    said = judged(60)
    assert "pool train: its drain takes up to 120 min (gpu.drainTimeoutSeconds 7200) and its return 15 min" in said
    assert "together 135 min, but the longest opening is 60 min" in said
    assert "set durationMinutes of a window to 135 or more, or set gpu.drainTimeoutSeconds of the pool to 2700" in said
    assert judged(135) == ""
    assert judged(60, drainTimeoutSeconds=2700) == ""
    assert judged(134) != ""
    assert judged(60, drainTimeoutSeconds=2701) != ""
    assert judged(60, drainTimeoutSeconds=0) == "", "a drain without time-out has no arithmetic"
    assert "durationMinutes" not in judged(10080, drainTimeoutSeconds=604800)


@pytest.mark.parametrize(
    ("flavor", "needed"),
    [
        ({"bareMetal": True}, 50),  # it boots twice, ten minutes each
        ({"bareMetal": True, "gpu": {"model": "A100", "count": 8}}, 50),
        ({"bareMetal": True, "startupTimeoutSeconds": 900}, 45),  # the Site knows better
        ({"gpu": {"model": "A100", "count": 1}}, 45),
        ({"startupTimeoutSeconds": 14400}, 45),  # the most that it may take is not the least
        ({"startupTimeoutSeconds": 300}, 35),
    ],
)
def test_what_a_machine_needs_at_least_to_come_back(flavor: dict[str, Any], needed: int) -> None:
    slow = pool("slow", flavor="slow", update={"drainTimeoutSeconds": 1800})
    site = raw_site()
    site["spec"]["flavors"].append({"name": "slow", **flavor})

    def said(minutes: int) -> str:
        calendar = Calendar([Maintenance(windows=(weekly(durationMinutes=minutes),))], "uid")
        return too_short(Cluster.model_validate(raw_cluster(nodePools=[slow])), Site.model_validate(site), calendar)

    assert said(needed) == ""
    assert f"and its return {needed - 30} min, together {needed} min" in said(needed - 1)
    assert f"set durationMinutes of a window to {needed} or more" in said(needed - 1)


@pytest.mark.parametrize("flavor", ["cpu-4", "dgx"])
def test_a_time_out_that_a_pool_sets_for_updates_counts(flavor: str) -> None:
    cluster = raw_cluster(nodePools=[pool("slow", flavor=flavor, update={"drainTimeoutSeconds": 7200})])
    calendar = Calendar([Maintenance(windows=(weekly(durationMinutes=60),))], "uid")
    said = too_short(Cluster.model_validate(cluster), Site.model_validate(raw_site()), calendar)
    assert "its drain takes up to 120 min (update.drainTimeoutSeconds 7200)" in said
    assert "set update.drainTimeoutSeconds of the pool to 2700" in said


def test_a_cluster_without_gpus_always_has_time() -> None:
    (workers,) = yaml.safe_load(CLASS.read_text())["workers"]["machineDeployments"]
    drain = timedelta(seconds=workers["deletion"]["nodeDrainTimeoutSeconds"])
    assert drain + NODE_RETURN <= MIN_MINUTES * MINUTE
    cluster, site = Cluster.model_validate(raw_cluster(nodePools=[pool()])), Site.model_validate(raw_site())
    assert too_short(cluster, site, Calendar([Maintenance(windows=(weekly(durationMinutes=30),))], "uid")) == ""

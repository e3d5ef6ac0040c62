"""When the condition is written, and what it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.loader.report import Phase, Progress, Reason, Result
from kaas.volumes.conditions import LONGEST, Told, condition_of, event_type, is_due, is_news
from kaas.volumes.identity import Load, token_of
from kaas.volumes.progress import last_progress, percent_in, size, span, summary, together, words
from kaas.volumes.reasons import FINAL
from kaas.volumes.reasons import Reason as Why

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOAD = Load.of("uid", "", "12345678")
HALF = Progress(Phase.LOADING, 50 << 20, 1, 100 << 20, 2, 1 << 20, 50.0)


def telling(progress: Progress = HALF) -> Told:
    return Told(Why.LOADING, words(progress, 1, 7), load=LOAD, ticks=True)


def test_the_line_for_people() -> None:
    progress = Progress(Phase.LOADING, int(12.4 * (1 << 30)), 812, int(28.8 * (1 << 30)), 1893, 1.2 * (1 << 30), 13.0)
    assert words(progress, 2, 6) == "43.1% 12.4/28.8GiB 812/1893 files 1.2GiB/s ETA 13s attempt 2/6"
    assert words(Progress(Phase.LISTING, 0, 1200), 1, 6) == "1200 files and 0B so far"
    assert words(Progress(Phase.LOADING, 0, 0, 0, 0), 1, 6) == "100.0% 0/0B 0/0 files 0B/s"


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0s"), (59, "59s"), (61, "1m01s"), (7260, "2h01m")])
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_sizes() -> None:
    assert [size(1), size(1024), size(1 << 50)] == ["1B", "1.0KiB", "1.0PiB"]


def test_it_is_written_at_most_every_five_seconds_and_per_cent() -> None:
    before = condition_of(telling(), {}, NOW)
    further = telling(Progress(Phase.LOADING, 52 << 20, 1, 100 << 20, 2))
    hardly = telling(Progress(Phase.LOADING, 50 << 20, 2, 100 << 20, 2))
    assert not is_due(telling(), before, NOW + timedelta(hours=1))
    assert not is_due(further, before, NOW + timedelta(seconds=4))
    assert is_due(further, before, NOW + timedelta(seconds=5))
    assert not is_due(hardly, before, NOW + timedelta(seconds=50))


def test_another_reason_or_load_is_written_at_once() -> None:
    before = condition_of(telling(), {}, NOW)
    assert is_due(Told(Why.VERIFYING, "x", load=LOAD, ticks=True), before, NOW)
    assert is_due(Told(Why.LOADING, "x", load=Load.of("uid", "2", "12345678"), ticks=True), before, NOW)
    assert is_due(telling(), {}, NOW)


def test_a_transition_is_one_of_status_only() -> None:
    first = condition_of(Told(Why.PENDING, "a"), {}, NOW)
    later = condition_of(telling(), first, NOW + timedelta(seconds=10))
    assert later["lastTransitionTime"] == first["lastTransitionTime"]
    assert later["lastProbeTime"] == "2026-01-01T00:00:10Z"
    done = condition_of(Told(Why.LOADED, "b", holds=True, load=LOAD), later, NOW + timedelta(seconds=20))
    assert done["lastTransitionTime"] == "2026-01-01T00:00:20Z"


def test_what_is_news() -> None:
    before = condition_of(telling(), {}, NOW)
    assert not is_news(Told(Why.VERIFYING, "x"), before)
    assert not is_news(Told(Why.PENDING, "x"), before)
    assert is_news(Told(Why.LOADED, "x", holds=True), before)
    assert is_news(Told(Why.STALLED, "x"), before)
    assert event_type(Told(Why.LOADED, "x")) == "Normal"
    assert event_type(Told(Why.RETRY, "x")) == "Warning"


@given(st.text(max_size=3000))
def test_the_load_is_named_however_long_the_message_is(message: str) -> None:
    told = Told(Why.FAILED, message, load=LOAD)
    assert len(told.text) <= LONGEST
    assert Load.named_in(told.text) == LOAD


def test_claims_and_ids_have_loads_of_their_own() -> None:
    assert len({token_of("a", ""), token_of("b", ""), token_of("a", "1"), token_of("b", "1")}) == 4
    assert token_of("a", "") == token_of("a", "a")


@given(st.text(max_size=80))
def test_names_of_jobs_leave_room_for_those_of_pods(claim: str) -> None:
    name = LOAD.job_name("a" + claim)
    assert len(name) <= 60
    assert name.startswith("load-a")
    assert name.endswith(LOAD.token)


@given(st.text(max_size=200), st.integers(0, 200))
def test_any_log_is_survived(noise: str, cut: int) -> None:
    line = HALF.line()
    assert last_progress(f"{noise}\n{line}\n{line[:cut]}" if cut < len(line) else line) == HALF
    found = last_progress(noise)
    assert found is None or words(found, 1, 1)


@pytest.mark.parametrize(
    "line",
    [
        '{"progress": {"phase": "Loading", "bytes_done": "many"}}',
        '{"progress": {"phase": "Loading", "bytes_done": 1, "bytes_total": "x"}}',
        '{"progress": {"phase": "Loading", "rate": []}}',
        '{"progress": {"phase": ["Loading"]}}',
        '{"progress": []}',
        '{"progress": {"phase": "Loading", "remaining": NaN}}',
    ],
)
def test_somebody_elses_progress_is_none(line: str) -> None:
    assert last_progress(line) is None


def test_progress_of_several_pods() -> None:
    other = Progress(Phase.LISTING, 10, 1)
    assert together([]) is None
    both = together([HALF, other])
    assert both is not None
    assert (both.phase, both.bytes_total, both.files_done) == (Phase.LISTING, None, 2)
    twice = together([HALF, HALF])
    assert twice is not None
    assert twice.bytes_total == 200 << 20


def test_what_was_loaded_is_summed_up() -> None:
    one = Result(Reason.LOADED, "", 1 << 30, 3, 1, 0, 12.0, {"crc32c": 3})
    two = Result(Reason.LOADED, "", 1 << 30, 1, 0, 2, 14.0, {"crc32c": 1, "size": 1})
    assert summary([one, two]) == ("2.0GiB in 4 files, 14s, 1 skipped, 2 deleted, verified by crc32c 4, size 1")
    assert summary([]) == "loaded; what the loader said of it is lost"


def test_percentages_are_read_back() -> None:
    assert percent_in(words(HALF, 1, 1)) == 50.0
    assert percent_in("nothing") is None


def test_ends_are_told_apart_from_what_goes_on() -> None:
    assert {Why.STALLED, Why.RETRY, Why.PENDING, Why.LOADING, Why.LOADED} & FINAL == set()
    assert {Why.FAILED, Why.INVALID, Reason.ACCESS_DENIED} <= FINAL

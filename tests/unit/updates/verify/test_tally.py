"""What is counted of an API server's answers, by a clock that the test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.api.update_status import Availability
from kaas.updates.verify.tally import Tally

NOW = datetime(2027, 1, 5, 22, tzinfo=UTC)


def gap(tally: Tally) -> int:
    return tally.availability().longest_gap_milliseconds


def play(tally: Tally, *answers: tuple[float, bool]) -> Availability:
    """Answers at these times, with somebody who asks twice a second all the while."""
    at = 0.0
    for when, good in answers:
        while at + 0.5 < when:
            at += 0.5
            tally.attend(at)
        at = when
        tally.answered(good, at)
    return tally.availability()


def test_nothing_was_asked() -> None:
    assert Tally(NOW, 100.0).availability() == Availability(since=NOW, probes=0, failed=0, longest_gap_milliseconds=0)


def test_the_longest_gap_lasts_from_good_to_good() -> None:
    found = play(Tally(NOW, 0.0), (1, True), (2, False), (3, False), (4.25, True), (5, True), (6, False), (7, True))
    assert (found.probes, found.failed, found.longest_gap_milliseconds) == (7, 3, 3250)
    assert found.longest_gap_began == NOW + timedelta(seconds=1)


def test_a_gap_that_lasts_is_told() -> None:
    tally = Tally(NOW, 0.0)
    assert play(tally, (1, True), (2, False), (31, False)).longest_gap_milliseconds == 30_000


def test_one_that_never_answered_has_a_gap_since_the_beginning() -> None:
    assert play(Tally(NOW, 0.0), (3, False), (6, False)).longest_gap_milliseconds == 6000


def test_it_goes_on_from_what_status_says() -> None:
    before = play(Tally(NOW, 0.0), (1, True), (4, False), (5.5, True))
    later = Tally(NOW + timedelta(hours=1), 7.0, before)
    later.answered(True, 7.5)
    found = later.availability()
    assert (found.since, found.probes, found.failed) == (NOW, 4, 1)
    assert (found.longest_gap_milliseconds, found.longest_gap_began) == (4500, NOW + timedelta(seconds=1))
    assert play(Tally(NOW, 0.0, before), (6, False)).longest_gap_milliseconds == 6000


def test_time_in_which_the_asker_was_away_does_not_count() -> None:
    tally = Tally(NOW, 0.0)
    play(tally, (1, True), (2, False))
    tally.answered(True, 62.0)  # nobody has attended: the loop was held up
    assert gap(tally) == 1000


def test_being_away_does_not_hide_what_was_before() -> None:
    tally = Tally(NOW, 0.0)
    play(tally, (1, True), (21, False))
    tally.attend(90.0)
    tally.answered(True, 90.5)
    assert gap(tally) == 20_500


def test_blindness_does_not_count_and_hides_nothing() -> None:
    tally = Tally(NOW, 0.0)
    play(tally, (1, True), (9, False))
    for at in range(10, 60):
        tally.blind(float(at))
    tally.answered(True, 60.0)
    assert gap(tally) == 8000


@given(st.lists(st.tuples(st.floats(min_value=0.01, max_value=1.9), st.booleans()), max_size=60))
def test_the_longest_gap_is_the_longest(steps: list[tuple[float, bool]]) -> None:
    tally, at, last, longest = Tally(NOW, 0.0), 0.0, 0.0, 0.0
    for seconds, good in steps:
        at += seconds
        tally.answered(good, at)
        longest, last = max(longest, at - last), at if good else last
    found = tally.availability()
    assert found.longest_gap_milliseconds == pytest.approx(longest * 1000, abs=1)
    assert (found.probes, found.failed) == (len(steps), sum(not good for _, good in steps))

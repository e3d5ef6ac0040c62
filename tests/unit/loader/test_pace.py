from __future__ import annotations

import pytest

from kaas.loader.pace import START, Pace


def played(pace: Pace, rate: float, seconds: int, since: float = 0.0) -> float:
    """A store that gives each request as much, up to what the network carries in all."""
    for _ in range(seconds):
        for _ in range(pace.window):
            pace.done(int(min(pace.window, rate) * 1_000_000 / pace.window))
        since += 1
        pace.look(since)
    return since


def test_it_grows_while_that_brings_something() -> None:
    pace = Pace(64, 8, 0.0)
    played(pace, rate=1000, seconds=30)
    assert pace.window >= 60


def test_it_doubles_at_first() -> None:
    pace = Pace(64, START, 0.0)
    played(pace, rate=1000, seconds=4)
    assert pace.window == 64


@pytest.mark.parametrize("rate", [3, 4, 4.2])
def test_it_stays_with_few_where_twice_as_many_bring_nothing(rate: float) -> None:
    pace = Pace(64, START, 0.0)
    played(pace, rate=rate, seconds=2)
    assert pace.window == START
    played(pace, rate=rate, seconds=60)
    assert START <= pace.window <= START + 1


def test_it_stays_where_more_brings_nothing() -> None:
    pace = Pace(64, 8, 0.0)
    played(pace, rate=20, seconds=60)
    assert 16 <= pace.window <= 32


def test_a_rate_is_one_when_each_request_has_had_its_time() -> None:
    """Of large ranges on a slow link none may have come within a second."""
    pace = Pace(64, 8, 0.0)
    pace.done(8 << 20)
    pace.look(1.0)
    pace.look(4.9)
    assert pace.window == 8
    pace.look(5.0)
    assert pace.window == 16


def test_a_crowd_that_is_told_to_slow_down_halves_it_once() -> None:
    pace = Pace(64, 32, 0.0)
    for _ in range(32):
        pace.slow(10.0)
    assert pace.window == 16
    pace.slow(12.0)
    assert pace.window == 8
    for second in range(20):
        pace.slow(20.0 + 2 * second)
    assert pace.window == 1


def test_it_grows_again_after_a_while() -> None:
    pace = Pace(64, 32, 0.0)
    pace.slow(0.5)
    played(pace, rate=1000, seconds=4, since=0.5)
    assert pace.window == 16
    played(pace, rate=1000, seconds=30, since=4.5)
    assert pace.window >= 60

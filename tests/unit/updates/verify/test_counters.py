"""Counters of API servers: read, compared over time, and what they say of latency."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from math import ceil, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.updates.verify.counters import Counters, Reader, Traffic, Unreadable, between, quantile
from kaas.updates.verify.measuring import APART, WINDOW, Measuring

NOW = datetime(2027, 1, 5, 22, tzinfo=UTC)
TEXT = """\
# HELP apiserver_request_total [STABLE] Counter of apiserver requests broken out for each verb, ...
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",component="apiserver",resource="pods",subresource="",verb="GET",version="v1"} 12
apiserver_request_total{code="0",component="apiserver",resource="pods",subresource="",verb="WATCH",version="v1"} 400
apiserver_request_total{code="503",component="apiserver",resource="pods",subresource="",verb="LIST",version="v1"} 2
apiserver_request_total{code="500",component="apiserver",resource="pods",subresource="exec",verb="CONNECT"} 70
apiserver_request_total{code="504",component="apiserver",resource="pods",subresource="log",verb="GET"} 70
apiserver_request_total{code="422",resource="a,verb=\\"WATCH\\"} 9",subresource="",verb="POST"} 1e+00
apiserver_request_duration_seconds_bucket{resource="pods",subresource="",verb="GET",le="0.1"} 10
apiserver_request_duration_seconds_bucket{resource="pods",subresource="",verb="GET",le="+Inf"} 12
apiserver_request_duration_seconds_bucket{resource="pods",subresource="",verb="LIST",le="0.1"} 1
apiserver_request_duration_seconds_bucket{resource="pods",subresource="",verb="LIST",le="+Inf"} 2
apiserver_request_duration_seconds_bucket{resource="pods",subresource="",verb="WATCH",le="0.1"} 99
apiserver_request_duration_seconds_bucket{resource="pods",subresource="log",verb="GET",le="0.1"} 99
apiserver_request_duration_seconds_sum{resource="pods",subresource="",verb="GET"} 0.4
apiserver_request_total_of_others{code="500",verb="GET"} 1000
process_start_time_seconds 1.79601234567e+09
"""
READ = Counters("1.79601234567e+09", 15.0, 2.0, {0.1: 11.0, inf: 14.0})


def read(text: str, *cuts: int) -> Counters:
    reader, begin, raw = Reader(), 0, text.encode()
    for cut in [*sorted(cuts), len(raw)]:
        reader.feed(raw[begin:cut])
        begin = cut
    return reader.counters()


@given(st.lists(st.integers(min_value=0, max_value=len(TEXT)), max_size=20))
def test_metrics_are_read_however_they_come(cuts: list[int]) -> None:
    assert read(TEXT, *cuts) == READ


def test_the_last_line_may_lack_its_end() -> None:
    assert read(TEXT.rstrip("\n")) == READ


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<html>Bad gateway</html>\n", "something else than an API server"),
        ("", "do not count requests"),
        (TEXT.replace("process_start", "no_start"), "do not count requests"),
        (TEXT.replace("apiserver_request_total", "no_total"), "do not count requests"),
        (re.sub(r"\} 12\n", "} twelve\n", TEXT), "not a line of metrics"),
        (re.sub(r',le="0.1"\}', "}", TEXT), "has no bound"),
        ("x" * 70_000, "a line without end"),
    ],
)
def test_what_is_not_metrics_is_refused(text: str, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        read(text)


def counters(process: str = "1", requests: float = 100.0, errors: float = 0.0, slow: float = 0.0) -> Counters:
    return Counters(process, requests, errors, {0.1: requests - slow, inf: requests})


def test_what_happened_between_two_looks() -> None:
    first, second = counters(requests=100, errors=1, slow=1), counters(requests=300, errors=5, slow=11)
    assert between(first, second) == Traffic(200, 4, {0.1: 190, inf: 200})
    assert between(first, counters("2", 300, errors=5, slow=11)) is None, "another process"
    assert between(second, first) is None, "counters do not go back"


@st.composite
def runs(draw: st.DrawFn) -> list[tuple[float, Counters, float]]:
    """Looks at up to three processes behind one address, which start anew now and then: seconds, counters, asked."""
    at, found = 0.0, []
    names, totals = ["0", "1", "2"], [0.0, 0.0, 0.0]
    for number in range(draw(st.integers(min_value=2, max_value=25))):
        at += draw(st.sampled_from([1.0, 5.0, 15.0]))
        slot = draw(st.integers(min_value=0, max_value=2))
        if draw(st.booleans()) and draw(st.booleans()):
            names[slot], totals[slot] = f"{slot}.{number}", 0.0
        asked = float(draw(st.integers(min_value=1, max_value=500)))
        totals[slot] += asked
        found.append((at, counters(names[slot], totals[slot]), asked))
    return found


@given(runs())
def test_counters_that_start_anew_are_never_taken_for_traffic(looks: list[tuple[float, Counters, float]]) -> None:
    measuring = Measuring()
    asked = 0.0
    for at, seen, more in looks:
        measuring.add(seen, NOW + timedelta(seconds=at))
        asked += more
        found = measuring.measured()
        if found is not None:
            assert 0 <= found.traffic.requests <= asked
            assert found.traffic.timed == found.traffic.requests
            assert APART.total_seconds() <= found.seconds <= WINDOW.total_seconds()


def test_two_looks_that_are_near_say_nothing() -> None:
    measuring = Measuring()
    measuring.add(counters(requests=100), NOW)
    measuring.add(counters(requests=900), NOW + APART - timedelta(seconds=1))
    assert measuring.measured() is None
    measuring.add(counters(requests=950), NOW + APART)
    found = measuring.measured()
    assert found is not None
    assert (found.traffic.requests, found.seconds, found.complete) == (850, 10, True)


def test_few_requests_are_waited_for_as_long_as_the_window() -> None:
    measuring = Measuring()
    complete = []
    for seconds in range(0, 80, 10):
        measuring.add(counters(requests=100 + seconds / 10), NOW + timedelta(seconds=seconds))
        found = measuring.measured()
        complete.append(found is not None and found.complete)
    assert complete == [False] * 6 + [True] * 2


def test_what_was_bad_is_forgotten_after_the_window() -> None:
    measuring = Measuring()
    measuring.add(counters(requests=100), NOW)
    for seconds in (20, 40, 60, 80):
        measuring.add(counters(requests=300 + seconds, errors=50), NOW + timedelta(seconds=seconds))
    found = measuring.measured()
    assert found is not None
    assert found.traffic.errors == 0


def test_processes_count_together() -> None:
    measuring = Measuring()
    for seconds in (0, 10):
        for process in ("1", "2", "3"):
            measuring.add(counters(process, 100 + seconds * 10), NOW + timedelta(seconds=seconds))
    found = measuring.measured()
    assert found is not None
    assert found.traffic == Traffic(300, 0, {0.1: 300, inf: 300})


@pytest.mark.parametrize(
    ("share", "buckets", "seconds"),
    [
        (0.99, {}, None),
        (0.99, {0.1: 0, inf: 0}, None),
        (0.99, {0.1: 100, inf: 100}, 0.099),
        (0.5, {0.1: 50, 0.2: 100, inf: 100}, 0.1),
        (0.75, {0.1: 50, 0.2: 100, inf: 100}, 0.15),
        (0.99, {0.1: 50, 0.2: 50, 1.0: 100, inf: 100}, 0.984),
        (0.99, {0.1: 50, 60.0: 90, inf: 100}, 60.0),  # beyond the last bound nothing is known
        (0.99, {inf: 100}, 0.0),
    ],
)
def test_quantiles(share: float, buckets: dict[float, float], seconds: float | None) -> None:
    assert quantile(share, buckets) == (seconds if seconds is None else pytest.approx(seconds))


BOUNDS = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 60.0)  # of which those of the API server are a part


def histogram(times: list[float]) -> dict[float, float]:
    return {bound: float(sum(t <= bound for t in times)) for bound in (*BOUNDS, inf)}


@given(st.lists(st.floats(min_value=0, max_value=60), min_size=1, max_size=300), st.floats(min_value=0.01, max_value=1))
def test_a_quantile_is_in_the_bucket_of_the_request_that_it_is_about(times: list[float], share: float) -> None:
    found = quantile(share, histogram(times))
    exact = sorted(times)[ceil(share * len(times)) - 1]
    assert found is not None
    upper = next(b for b in BOUNDS if exact <= b)
    lower = max((b for b in BOUNDS if b < exact), default=0.0)
    assert lower <= found <= upper or found == pytest.approx(lower)


@given(st.lists(st.floats(min_value=0, max_value=60), min_size=1, max_size=100))
def test_a_larger_share_takes_no_less(times: list[float]) -> None:
    buckets = histogram(times)
    found = [quantile(share / 20, buckets) or 0.0 for share in range(1, 21)]
    assert found == sorted(found)

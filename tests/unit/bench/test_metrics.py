"""Metrics as pages of text: parsed, summed, compared, and what a histogram says."""

from __future__ import annotations

import math

import pytest

from tests import metrics

PAGE = """\
# HELP requests_total Requests
# TYPE requests_total counter
requests_total{code="200",kind="Lease"} 4.0
requests_total{code="200",kind="Cluster"} 2.0 # {trace="x"} 1.0
requests_totally{code="200"} 9.0
text{words="with spaces, and {braces}"} 1e+02
plain 7
lag_bucket{le="0.1"} 8.0
lag_bucket{le="1.0"} 10.0
lag_bucket{le="+Inf"} 10.0
apiserver_flowcontrol_dispatched_requests_total{flow_schema="service-accounts",priority_level="workload-low"} 3
apiserver_flowcontrol_dispatched_requests_total{flow_schema="exempt",priority_level="exempt"} 30
# EOF
"""
FOUND = metrics.parse(PAGE)


def test_samples() -> None:
    assert FOUND["plain"] == 7
    assert FOUND['text{words="with spaces, and {braces}"}'] == 100
    assert FOUND['requests_total{code="200",kind="Cluster"}'] == 2


def test_sums() -> None:
    assert metrics.total(FOUND, "requests_total") == 6
    assert metrics.total(FOUND, "requests_total", kind="Lease", code="200") == 4
    assert metrics.total(FOUND, "requests_total", kind="Site") == 0
    assert metrics.of_accounts(FOUND) == 3


def test_growth() -> None:
    assert metrics.grown({"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 5.0, "c": 4.0}) == {"b": 3.0, "c": 4.0}


@pytest.mark.parametrize(("q", "seconds"), [(0.4, 0.05), (0.8, 0.1), (0.9, 0.55), (1.0, 1.0)])
def test_quantile(q: float, seconds: float) -> None:
    assert metrics.quantile(FOUND, "lag", q) == pytest.approx(seconds)


def test_quantile_of_nothing() -> None:
    assert math.isnan(metrics.quantile({}, "lag", 0.99))


def test_quantile_beyond_the_last_bound() -> None:
    assert metrics.quantile({'x_bucket{le="1.0"}': 1.0, 'x_bucket{le="+Inf"}': 9.0}, "x", 0.99) == 1.0

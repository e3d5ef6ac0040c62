"""From what was found to a verdict, and what a user asks for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kaas.api.verification import BuiltIn
from kaas.kube.objects import Object
from kaas.updates.verify.asked import JobRun, Query, answered, asked, ended, job_name, job_of, run_of
from kaas.updates.verify.facts import Outcome
from kaas.updates.verify.judging import GRACE, LONGEST, Times, judge
from tests.unit.updates.subjects import NOW, cluster, site

SETTLE = timedelta(seconds=600)
LONG = timedelta(seconds=3600)
WELL = Outcome("A", True, "all is well")
SICK = Outcome("B", False, "it is sick")
SLOW = Outcome("slow", False, "not good enough")
FAILED = Outcome("job", False, "it has failed", final=True)
RUNNING = Outcome("job", False, "it runs", running=True)
MOMENT = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("outcomes", "after", "passed"),
    [
        ([WELL], MOMENT, True),
        ([], MOMENT, True),
        ([WELL, SICK], MOMENT, None),
        ([WELL, SICK], SETTLE - MOMENT, None),
        ([WELL, SICK], SETTLE, False),
        ([SLOW], SETTLE, None),
        ([SLOW], LONG, False),
        ([SLOW, SICK], SETTLE, False),
        ([WELL, FAILED], MOMENT, False),
        ([WELL, RUNNING], LONG * 9, None),
        ([SICK, RUNNING], SETTLE, False),
    ],
)
def test_verdicts(outcomes: list[Outcome], after: timedelta, passed: bool | None) -> None:
    times = Times(NOW, NOW, SETTLE, {"slow": LONG})
    verdict = judge(outcomes, times, NOW + after)
    assert verdict.passed is passed
    wrong = [o for o in outcomes if not o.holds]
    assert verdict.unhealthy == (tuple(o.check for o in wrong) if passed is False else ())
    assert all(o.message in verdict.message for o in wrong or outcomes)


def test_who_looks_late_has_time_to_look() -> None:
    late = NOW + LONG
    times = Times(NOW, late, SETTLE, {})
    assert judge([SICK], times, late).passed is None
    assert judge([SICK], times, late + GRACE - MOMENT).passed is None
    assert judge([SICK], times, late + GRACE).passed is False


def test_a_verdict_that_is_not_known_says_until_when() -> None:
    verdict = judge([SICK, SLOW], Times(NOW, NOW, SETTLE, {"slow": LONG}), NOW)
    assert verdict.message == ("until 2027-01-04 12:10:00 UTC it may settle: B: it is sick; slow: not good enough")


def test_a_message_fits_into_a_step() -> None:
    many = [Outcome(f"check-{n}", False, "words " * 50) for n in range(20)]
    for now in (NOW, NOW + LONG):
        assert len(judge(many, Times(NOW, NOW, SETTLE, {}), now).message) == LONGEST


CHECKS = [
    {"name": "error-rate", "promQL": {"query": 'sum(x{cluster="$(namespace)-$(cluster)"})', "atMost": 0.01}},
    {"name": "smoke", "job": {"namespace": "tests", "cronJob": "smoke"}, "timeoutSeconds": 60},
]


def test_what_a_user_asks_for() -> None:
    said = {"settleSeconds": 900, "checks": CHECKS, "ignored": [{"check": "AddOns", "reason": "none here"}]}
    metrics = {"url": "https://metrics.example.com/prometheus", "secret": {"name": "metrics"}}
    found = asked(cluster(updates={"verification": said}), site(metrics=metrics))
    assert found.settle == timedelta(seconds=900)
    assert found.ignored == {BuiltIn.ADD_ONS: "none here"}
    assert found.queries == (Query("error-rate", 'sum(x{cluster="tenants-team"})', None, 0.01, SETTLE),)
    assert found.jobs == (JobRun("smoke", "tests", "smoke", timedelta(seconds=60)),)
    assert found.metrics is not None
    assert found.metrics.secret is not None
    assert (found.metrics.url, found.metrics.secret.namespace) == (
        "https://metrics.example.com/prometheus",
        "kaas-system",
    )
    assert asked(cluster(), site()).metrics is None


@pytest.mark.parametrize(
    ("value", "low", "high", "words"),
    [
        (0.5, None, 1.0, ""),
        (1.0, None, 1.0, ""),
        (1.5, None, 1.0, "sum(x) is 1.5, and not at most 1"),
        (0.5, 1.0, None, "sum(x) is 0.5, and not at least 1"),
        (0.5, 0.0, 1.0, ""),
        (3.0, 0.0, 1.0, "sum(x) is 3, and not at least 0 and at most 1"),
        (float("nan"), 0.0, None, "sum(x) is nan, and not at least 0"),
        (float("inf"), None, 9.0, "sum(x) is inf, and not at most 9"),
        (None, None, 9.0, "the metrics have no answer to sum(x): for no data to count as 0, end the query with"),
    ],
)
def test_answers(value: float | None, low: float | None, high: float | None, words: str) -> None:
    found = answered(Query("q", "sum(x)", low, high, SETTLE), value)
    assert found.holds is not bool(words)
    assert words in found.message


RUN = JobRun("smoke", "tests", "nightly", timedelta(seconds=60))


def cron_job(**spec: Any) -> Object:
    pods = {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}, "spec": {"containers": []}}
    job = {"metadata": {"labels": {"team": "x"}, "annotations": {"e": "f"}}, "spec": {"template": pods, **spec}}
    return {"metadata": {"name": "nightly", "namespace": "tests"}, "spec": {"suspend": True, "jobTemplate": job}}


def test_a_job_of_a_cron_job() -> None:
    template = cron_job(suspend=True, backoffLimit=0)
    made = job_of(template, RUN, "kaas-smoke-1", {"kaas.internal/update-step": "Pool/a"})
    assert made == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "kaas-smoke-1",
            "namespace": "tests",
            "labels": {"team": "x"},
            "annotations": {
                "e": "f",
                "cronjob.kubernetes.io/instantiate": "manual",
                "kaas.internal/update-step": "Pool/a",
            },
        },
        "spec": {
            "template": {
                "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d", "kaas.internal/update-step": "Pool/a"}},
                "spec": {"containers": []},
            },
            "backoffLimit": 0,
            "activeDeadlineSeconds": 60,
            "ttlSecondsAfterFinished": 86400,
        },
    }
    assert template == cron_job(suspend=True, backoffLimit=0), "what was read is not changed"


@pytest.mark.parametrize(("said", "seconds"), [(None, 60), (30, 30), (90, 60)])
def test_a_job_ends_in_time(said: int | None, seconds: int) -> None:
    template = cron_job(**({"activeDeadlineSeconds": said} if said else {}))
    assert job_of(template, RUN, "j", {})["spec"]["activeDeadlineSeconds"] == seconds


def test_names_of_jobs() -> None:
    runs = [run_of(began, step, since) for began in (NOW, NOW + LONG) for step in ("a", "b") for since in (None, NOW)]
    names = {job_name("smoke", run) for run in runs}
    assert len(names) == len(runs)
    assert job_name("smoke", run_of(NOW, "a", None)) == job_name("smoke", run_of(NOW, "a", None))
    assert len(job_name("x" * 40, runs[0])) <= 63


@pytest.mark.parametrize(
    ("conditions", "after", "holds", "final", "words"),
    [
        ([], 10, False, False, "Job tests/j runs since 2027-01-04T12:00:00Z"),
        ([], 119, False, False, "runs since"),
        ([], 120, False, True, "has not ended in time; see `kubectl -n tests logs job/j`"),
        ([("FailureTarget", "True")], 10, False, False, "runs since"),
        ([("Complete", "False")], 10, False, False, "runs since"),
        ([("Complete", "True")], 999, True, False, "Job tests/j has ended well"),
        ([("Failed", "True")], 10, False, True, "Job tests/j has failed (BackoffLimitExceeded: too often); see"),
    ],
)
def test_how_a_job_ends(conditions: list[tuple[str, str]], after: int, holds: bool, final: bool, words: str) -> None:
    said = [{"type": t, "status": s, "reason": "BackoffLimitExceeded", "message": "too often"} for t, s in conditions]
    job = {"metadata": {"name": "j", "creationTimestamp": "2027-01-04T12:00:00Z"}, "status": {"conditions": said}}
    found = ended(job, RUN, NOW + timedelta(seconds=after))
    assert (found.holds, found.final, found.running) == (holds, final, not holds and not final)
    assert words in found.message

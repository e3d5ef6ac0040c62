"""What is written down of a repair says all of it, to the second, and is of the schema."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kaas.api.constants import ANNOTATION_HISTORY, ANNOTATION_REPLACED
from kaas.api.repair import Action
from kaas.api.repair_status import TriedStep
from kaas.kube.objects import Object
from kaas.kube.times import whole
from kaas.repairs import records
from kaas.repairs.decisions import Act
from kaas.repairs.facts import TIMED_OUT, Progress, Try

NOW = datetime(2026, 1, 1, 12, 0, 0, 654321, tzinfo=UTC)
TIMES = st.integers(0, 10**8).map(lambda s: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=s))
OUTCOMES = st.sampled_from(["Succeeded", "Failed", "TimedOut", "Skipped", "CalledOff"])
TRIES = st.builds(Try, st.sampled_from(Action), st.text(max_size=63), TIMES, TIMES, OUTCOMES, st.text(max_size=99))
PROGRESS = st.builds(
    Progress,
    began=TIMES,
    cause=st.text(max_size=63),
    step=st.none() | st.integers(0, 15),
    action=st.none() | st.sampled_from(Action),
    started=st.none() | TIMES,
    acted=st.none() | TIMES,
    number=st.integers(0, 10),
    failed=st.text(max_size=99),
    not_before=st.none() | TIMES,
    boot_id=st.text(max_size=36),
    cordoned=st.booleans(),
    quarantined=st.none() | TIMES,
    tried=st.lists(TRIES, max_size=20).map(tuple),
)


@given(PROGRESS)
def test_progress_comes_back_as_it_was(progress: Progress) -> None:
    told = json.loads(json.dumps(records.status_of(progress)))
    assert records.progress_of({"status": told}) == progress
    for tried in told["tried"]:
        TriedStep.model_validate(tried)


@given(st.lists(TRIES, max_size=15), st.lists(TRIES, max_size=15))
def test_history_keeps_the_last_tries_and_none_twice(before: list[Try], tried: list[Try]) -> None:
    once = records.with_history(before, tried)
    kept = records.history_of(annotated(ANNOTATION_HISTORY, once))
    assert len(kept) <= records.KEPT_TRIES
    assert list(kept) == sorted(kept, key=lambda t: t.began)
    assert records.with_history(kept, kept) == once


def annotated(name: str, value: str) -> Object:
    return {"metadata": {"annotations": {name: value}}}


def test_what_anybody_wrote_is_no_history() -> None:
    for text in ("", "{", "7", '["x"]', '[{"action": "Explode"}]', '[{"action": "Drain"}]'):
        assert records.history_of(annotated(ANNOTATION_HISTORY, text)) == ()
        assert records.replaced_of(annotated(ANNOTATION_REPLACED, text)) == ()


def test_a_repair_that_is_told_twice_within_a_process_counts_once() -> None:
    act = Act(("n", "m"), 2, Action.SOFT_REBOOT, 1, "NodeSilent", "", skipped=((Action.DRAIN, "never joined"),))
    progress = records.begun(None, act, NOW, "boot")
    tried = records.over(progress, NOW, healed=True)
    told = records.history_of(annotated(ANNOTATION_HISTORY, records.with_history((), tried)))
    assert records.with_history(told, tried) == records.with_history((), tried)
    assert [t.outcome for t in told] == ["Skipped", "Succeeded"]


def test_what_a_drain_cordoned_stays_cordoned() -> None:
    drained = records.begun(None, Act(("n", "m"), 0, Action.DRAIN, 1, "NodeSilent", ""), NOW, "")
    rebooted = records.begun(drained, Act(("n", "m"), 1, Action.SOFT_REBOOT, 1, "NodeSilent", ""), NOW, "")
    assert (drained.cordoned, rebooted.cordoned) == (True, True)
    assert rebooted.tried[0].outcome == TIMED_OUT


def test_replacements() -> None:
    value = records.with_replaced((), NOW)
    again = records.with_replaced(records.replaced_of(annotated(ANNOTATION_REPLACED, value)), NOW)
    assert again == value
    assert records.replaced_of(annotated(ANNOTATION_REPLACED, value)) == (whole(NOW),)

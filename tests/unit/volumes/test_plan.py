"""What is done about a claim, as a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kaas.loader.faults import exit_code
from kaas.loader.report import Exit, Phase, Progress, Reason, Result
from kaas.volumes.attempts import Job, Outcome
from kaas.volumes.claim import Claim
from kaas.volumes.conditions import Told, condition_of
from kaas.volumes.plan import MOVES, Binding, End, Plan, Scene, had_job, plan, wants_events
from kaas.volumes.reasons import FINAL
from tests.unit.volumes.builders import NOW, attempt, claim, job


def _mark() -> str:
    asked = claim().load
    assert asked is not None
    return asked.mark


MARK = _mark()

PROGRESS = Progress(Phase.LOADING, 50, 1, 100, 2, 1.0, 50.0)
ENDED = {"began": NOW, "ended": NOW}
SECOND = timedelta(seconds=1)


def scene(found: Claim | None = None, *jobs: Job, **more: Any) -> Scene:
    usual: dict[str, Any] = {"binding": Binding.IMMEDIATE, "waiting_pods": False, "now": NOW}
    return Scene(claim=found or claim(), jobs=jobs, **{**usual, **more})


def told(planned: Plan) -> tuple[str, str]:
    assert planned.told is not None
    return str(planned.told.reason), planned.told.message


def after(reason: str, *, holds: bool = False, **spec: Any) -> Claim:
    """A claim whose condition says how its load has ended."""
    asked = claim(**spec)
    return claim(**spec, condition=condition_of(Told(reason, "x", holds=holds, load=asked.load), {}, NOW))


def test_a_bound_claim_is_loaded_at_once() -> None:
    assert plan(scene()) == Plan(start=True)


@pytest.mark.parametrize(
    ("binding", "bind", "pods", "starts"),
    [
        (Binding.FIRST_CONSUMER, "wait", False, False),
        (Binding.FIRST_CONSUMER, "wait", True, True),
        (Binding.FIRST_CONSUMER, "immediate", False, True),
        (Binding.IMMEDIATE, "wait", True, False),
        (Binding.NO_CLASS, "immediate", True, False),
    ],
)
def test_a_pending_claim(binding: Binding, bind: str, pods: bool, starts: bool) -> None:
    found = claim(phase="Pending", load_bind=bind, storageClassName="c")
    planned = plan(scene(found, binding=binding, waiting_pods=pods))
    assert planned.start is starts
    if not starts:
        reason = "WaitingForConsumer" if binding is Binding.FIRST_CONSUMER else "Pending"
        assert told(planned)[0] == reason


def test_a_claim_that_has_just_been_made_is_the_binders_to_write() -> None:
    fresh = replace(claim(phase="Pending"), created=NOW - timedelta(seconds=1))
    assert plan(scene(fresh)) == Plan(again=3.0)
    assert told(plan(scene(fresh, now=NOW + timedelta(seconds=2)))) == ("Pending", "its volume is not there yet")
    first = scene(fresh, binding=Binding.FIRST_CONSUMER)
    assert told(plan(first))[0] == "WaitingForConsumer"
    assert plan(replace(first, claim=replace(fresh, node="n1"))) == Plan(again=3.0)


def test_what_is_over_is_left_alone() -> None:
    assert plan(scene(after("Loaded", holds=True))) == Plan()
    assert plan(scene(after("AccessDenied"))) == Plan()
    assert plan(scene(after("Failed", load_id="1"))) == Plan()
    assert plan(scene(claim(load_id="2", condition=after("Failed", load_id="1").condition))).start


def test_a_changed_spec_after_a_failure_is_tried() -> None:
    assert plan(scene(claim(load_path="other", condition=after("InvalidKey").condition))).start
    assert not plan(scene(claim(load_path="other", condition=after("Loaded", holds=True).condition))).start


def test_jobs_go_with_what_asked_for_them() -> None:
    found = job(MARK)
    ends = (End("load-data", "j1"),)
    assert plan(scene(after("Loaded", holds=True), found)) == Plan(ends=ends)
    faulty = plan(scene(claim(load_shards="x"), found))
    assert (told(faulty)[0], faulty.ends) == ("InvalidSpec", ends)
    lost = plan(scene(claim(phase="Lost"), found))
    assert (told(lost)[0], lost.ends) == ("Failed", ends)
    other = plan(scene(claim(load_path="other"), found))
    assert other.ends == (End("load-data", "j1", waits=True),)
    assert not other.start
    assert plan(scene(claim(load_path="other"), job(MARK, deleting=True))).ends == ()


def test_an_end_that_is_well() -> None:
    result = Result(Reason.LOADED, "", 100, 2, seconds=3.0, verified={"crc32c": 2})
    for found in (
        job(MARK, attempt(exit=0, result=result, **ENDED)),
        job(MARK, attempt(exit=0, result=result, **ENDED), outcome=Outcome.DONE),
        job(MARK, attempt(exit=0, result=result, **ENDED), outcome=Outcome.DONE, deleting=True),
    ):
        planned = plan(scene(None, found))
        assert told(planned) == ("Loaded", "100B in 2 files, 3s, verified by crc32c 2")
        assert planned.told is not None
        assert planned.told.holds
        assert planned.finished
    assert "what the loader said of it is lost" in told(plan(scene(None, job(MARK, outcome=Outcome.DONE))))[1]


@pytest.mark.parametrize(
    ("reason", "code", "result", "said"),
    [
        ("PodFailurePolicy", Exit.PERMANENT, Reason.INSUFFICIENT_CAPACITY, ("InsufficientCapacity", "words. Correct")),
        ("PodFailurePolicy", Exit.PERMANENT, Reason.FAILED, ("Failed", "words. Correct it")),
        ("PodFailurePolicy", Exit.PERMANENT, None, ("Failed", "the loader ended with exit code 64")),
        ("BackoffLimitExceeded", Exit.RETRY, Reason.STALLED, ("Failed", "after 7 tries; the last: Stalled: words")),
        ("BackoffLimitExceeded", 137, None, ("Failed", "the last: the loader ended with OOMKilled")),
        ("DeadlineExceeded", Exit.RETRY, Reason.INTERRUPTED, ("Failed", "not done within 24h00m (kaas.internal/load-")),
    ],
)
def test_an_end_that_is_not(reason: str, code: int, result: Reason | None, said: tuple[str, str]) -> None:
    last = attempt(
        exit=code,
        result=Result(result, "words") if result else None,
        died="OOMKilled" if code == 137 else "",
        **ENDED,
    )
    planned = plan(scene(None, job(MARK, last, outcome=Outcome.FAILED, reason=reason, failures=7)))
    assert told(planned)[0] == said[0]
    assert said[1] in told(planned)[1]
    assert (said[1].startswith("words")) is told(planned)[1].startswith("words")
    assert planned.finished
    assert planned.ends


@pytest.mark.parametrize("reason", sorted(r for r in Reason if str(r) in FINAL))
@pytest.mark.parametrize("pods", [1, 4])
def test_every_reason_for_which_a_load_ends_is_told(reason: Reason, pods: int) -> None:
    """With the exit code that a loader has then, and what the Job controller makes of it."""
    code = exit_code(reason)
    given_up = "BackoffLimitExceeded" if pods == 1 else "MaxFailedIndexesExceeded"
    found = [
        attempt(name=str(n), created=NOW + n * SECOND, exit=code, result=Result(reason, "words"), **ENDED)
        for n in range(7 if code is Exit.RETRY else 1)
    ]
    why = given_up if code is Exit.RETRY else "PodFailurePolicy"
    failed = job(MARK, *found, outcome=Outcome.FAILED, reason=why, failures=7 if pods == 1 else 9, pods=pods)
    planned = plan(scene(None, failed))
    assert told(planned)[0] == str(reason)
    assert ("given up after 7 tries" in told(planned)[1]) is (code is Exit.RETRY)
    assert "words. Correct it and set another kaas.internal/load-id" in told(planned)[1]


@pytest.mark.parametrize(
    ("code", "reason", "why"),
    [
        (Exit.PERMANENT, Reason.ACCESS_DENIED, "PodFailurePolicy"),
        (Exit.RETRY, Reason.CORRUPT, "MaxFailedIndexesExceeded"),
        (Exit.RETRY, Reason.CORRUPT, "FailedIndexes"),
    ],
)
def test_of_several_pods_the_one_that_failed_is_told_and_not_those_that_were_ended_for_it(
    code: int, reason: Reason, why: str
) -> None:
    blamed = attempt(name="a", exit=code, index=1, result=Result(reason, "words"), **ENDED)
    later = {"began": NOW, "ended": NOW + SECOND}
    stopped = attempt(name="b", exit=75, index=0, result=Result(Reason.INTERRUPTED, "was told to stop"), **later)
    killed = attempt(name="c", exit=137, index=2, result=Result(Reason.FAILED, "it was killed"), **later)
    failed = job(MARK, blamed, stopped, killed, outcome=Outcome.FAILED, reason=why, failures=1, pods=3, tries=1)
    assert told(plan(scene(None, failed)))[0] == str(reason)
    at_the_same_second = replace(stopped, name="0", ended=NOW)
    failed = replace(failed, attempts=(at_the_same_second, blamed))
    assert told(plan(scene(None, failed)))[0] == str(reason)


def test_a_claim_that_another_namespaces_snapshot_has_spoilt_is_told_the_way_out() -> None:
    found = Result(Reason.INVALID_SPEC, "evil.sh: came with the volume")
    last = attempt(exit=int(Exit.PERMANENT), result=found, **ENDED)
    failed = job(MARK, last, outcome=Outcome.FAILED, reason="PodFailurePolicy")
    for foreign, fresh in ((True, True), (True, False), (False, True)):
        words = told(plan(scene(replace(claim(), foreign=foreign, fresh=fresh), failed)))[1]
        assert words.startswith("evil.sh: came with the volume. Correct it")
        assert ("make it anew with kaas.internal/load-cache: none" in words) is (foreign and fresh)


def test_the_loader_of_a_job_that_is_made_anew_may_run_still() -> None:
    before = Told("Pending", f"{MOVES}, and the Pods that its place came from have changed: it is made anew")
    assert had_job(claim(condition=condition_of(before, {}, NOW)))
    assert not had_job(claim(condition=condition_of(Told("Pending", "its volume is not there yet"), {}, NOW)))


def test_what_a_job_does() -> None:
    running = job(MARK, attempt(began=NOW))
    assert told(plan(scene(None, running)))[0] == "Listing"
    assert told(plan(scene(None, running, progress=PROGRESS))) == ("Loading", "50.0% 50/100B 1/2 files 1B/s ETA 50s")
    again = job(MARK, attempt(exit=75, **ENDED), attempt(name="b", began=NOW), failures=1)
    assert told(plan(scene(None, again, progress=PROGRESS)))[1].endswith("attempt 2/7")
    still = plan(scene(None, running, progress=PROGRESS, still_since=NOW - timedelta(seconds=200)))
    assert told(still)[0] == "Stalled"
    assert "nothing has come since 2026-01-01T11:56:40Z" in told(still)[1]


def test_why_a_job_does_not_begin() -> None:
    late = NOW + timedelta(seconds=30)
    given = "; it is given up at 2026-01-02T12:00:00Z"
    cases = {
        "its Pod does not start: 0/3 nodes are available" + given: attempt(unplaced="0/3 nodes are available"),
        "its Pod does not start: ErrImagePull: not found" + given: attempt(waiting="ErrImagePull: not found"),
        "its Pod does not start: FailedMount: no" + given: attempt(waiting="ContainerCreating"),
    }
    for words, found in cases.items():
        assert told(plan(scene(None, job(MARK, found), now=late, cause="FailedMount: no"))) == ("Pending", words)
    assert told(plan(scene(None, job(MARK), now=late, cause="FailedCreate: quota")))[1].startswith(
        "its Pod does not start: FailedCreate: quota"
    )
    assert told(plan(scene(None, job(MARK, attempt()))))[0] == "Listing"


def test_when_events_are_asked() -> None:
    late = NOW + timedelta(seconds=30)
    assert wants_events(scene(None, job(MARK), now=late))
    assert wants_events(scene(None, job(MARK, attempt(waiting="ContainerCreating")), now=late))
    assert wants_events(scene(claim(phase="Pending"), now=late))
    assert not wants_events(scene(None, job(MARK)))
    assert not wants_events(scene(None, job(MARK, attempt(began=NOW)), now=late))
    assert not wants_events(scene(None, job(MARK, attempt(unplaced="no node")), now=late))
    assert not wants_events(scene(None, job(MARK, attempt(exit=75, **ENDED)), now=late))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"volumeMode": "Block"}, "spec.volumeMode: Block has no files"),
        ({"accessModes": ["ReadOnlyMany"]}, "spec.accessModes: ReadOnlyMany cannot be written"),
        ({"load_shards": "2"}, "several Pods need a claim with access mode ReadWriteMany"),
    ],
)
def test_a_claim_that_cannot_be_loaded(spec: dict[str, Any], words: str) -> None:
    assert told(plan(scene(claim(**spec))))[0] == "InvalidSpec"
    assert words in told(plan(scene(claim(**spec))))[1]

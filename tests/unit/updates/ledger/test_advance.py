"""How the ledger of an update goes on, is held, stops, and goes on again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kaas.updates.ledger.advance import VERIFYING, Ledger, advance, called_off
from kaas.updates.ledger.seen import Part
from kaas.updates.ledger.steps import begin
from kaas.updates.run import Finding, Report, Severity, Verdict
from tests.unit.updates.ledger.parts import AIMS, Course, new, old
from tests.unit.updates.subjects import NOW

LATER = NOW + timedelta(days=7)
FAILED: dict[str, Any] = {"unlaid": "b has failed", "unlaid_for_good": True}
HALF_PAST = NOW + timedelta(minutes=30)


@pytest.fixture(name="course")
def new_course() -> Course:
    return Course()


def at_pools(course: Course) -> Course:
    course.control_plane(new(1))
    course.settle()
    return course


def test_the_steps_of_an_update_are_fixed_when_it_begins() -> None:
    spared = Finding("Budget", Severity.BLOCK, "no Pod may go", override="ticket 7")
    warned = Report(NOW, (Finding("Quota", Severity.WARN, "quota is nearly used up"), spared))
    steps = begin(AIMS, ["b", "a"], NOW, warned)
    assert [s.name for s in steps] == [
        *("Announced", "Preflight", "ControlPlane", "Pool/b", "Pool/a", "AddOns", "Verification", "Finished")
    ]
    assert [s.state for s in steps] == ["Done", "Done", *["Pending"] * 6]
    assert steps[1].message == (
        "put up with: Budget: ticket 7; nothing else blocks it; warnings: quota is nearly used up; no Pod may go"
    )
    assert (steps[0].started, steps[0].finished, steps[2].started) == (NOW, NOW, None)


@pytest.mark.parametrize("number", [2, 13])
def test_whatever_is_put_up_with_is_said_however_much_was_found(number: int) -> None:
    reasons = [f"OPS-{n} " + "because " * 30 for n in range(number)]
    found = [Finding(f"Check{n}", Severity.BLOCK, "x" * 1024, r) for n, r in enumerate(reasons)] * 3
    step = begin(AIMS, [], NOW, Report(NOW, (Finding("Quota", Severity.WARN, "y" * 1024), *found)))[1]
    assert len(step.message or "") == 1024
    assert [(step.message or "").count(f"Check{n}: OPS-{n} because") for n in range(number)] == [1] * number


def test_one_after_the_other_each_verified(course: Course) -> None:
    found = course.settle()
    assert (course.states["ControlPlane"], found.waiting) == ("Running", ("cpu", "dgx"))
    course.control_plane(new(1))
    found = course.settle()
    assert course.states["Pool/cpu"] == "Running"
    assert found.waiting == ("dgx",)
    course.pool("cpu", new())
    found = course.settle()
    assert (course.states["Pool/dgx"], found.waiting) == ("Running", ())
    course.pool("dgx", new())
    found = course.settle()
    assert found.finished
    assert found.waiting == ()
    assert course.asked == ["ControlPlane", "Pool/cpu", "Pool/dgx", "Verification"]
    assert set(course.states.values()) == {"Done", "Skipped"}
    assert all(s.started and s.finished and s.started <= s.finished for s in course.ledger.steps if s.name != "AddOns")


def test_what_is_seen_again_says_nothing_new(course: Course) -> None:
    found = at_pools(course).look()
    again = advance(found.ledger, course.seen, course.time + timedelta(seconds=30))
    assert again.ledger == found.ledger


def test_counts_that_are_not_about_the_update_yet_end_nothing(course: Course) -> None:
    course.control_plane(replace(new(1), handed=False))
    course.settle()
    assert course.states["ControlPlane"] == "Running"
    assert course.asked == []


def test_nothing_is_verified_before_the_counts_have_settled(course: Course) -> None:
    course.control_plane(new(1))
    found = course.look(timedelta(0))
    assert (course.reason("ControlPlane"), found.wants) == (VERIFYING, None)
    assert found.until == NOW + timedelta(seconds=5)


def test_a_window_that_closes_holds_the_pool_and_the_next_one_goes_on(course: Course) -> None:
    at_pools(course)
    course.pool("cpu", Part(3, 4, 1, 1, 4))
    course.look()
    course.window(is_open=False, changes=LATER)
    found = course.settle()
    assert (course.states["Pool/cpu"], course.reason("Pool/cpu")) == ("Held", "OutsideMaintenance")
    assert found.waiting == ("cpu", "dgx")
    assert found.until == LATER
    hold = found.ledger.hold
    assert hold is not None
    assert (hold.until, "pool cpu, dgx waits until 2027-01-11 12:00 UTC" in hold.message) == (LATER, True)

    course.window(is_open=True, changes=LATER + timedelta(hours=4))
    found = course.look(timedelta(days=7))
    assert (course.states["Pool/cpu"], found.waiting, found.ledger.hold) == ("Running", ("dgx",), None)
    course.pool("cpu", new())
    course.pool("dgx", new())
    assert course.settle().finished


def test_the_control_plane_is_finished_when_the_window_closes(course: Course) -> None:
    course.look()
    course.window(is_open=False)
    course.control_plane(new(1))
    course.settle()
    assert course.states["ControlPlane"] == "Done"
    assert course.states["Pool/cpu"] == "Held"


def test_a_pool_whose_machines_are_all_new_is_verified_in_no_window(course: Course) -> None:
    at_pools(course).window(is_open=False)
    course.pool("cpu", new())
    course.settle()
    assert (course.states["Pool/cpu"], course.states["Pool/dgx"]) == ("Done", "Held")


def test_a_pool_that_is_verified_stays_so_while_it_is_let_go(course: Course) -> None:
    """Else it is held and let go for ever, as long as Cluster API has not yet seen the one when the other comes."""
    at_pools(course).look()
    course.window(is_open=False)
    course.pool("cpu", new())
    assert course.look(timedelta(0)).waiting == ("dgx",)
    course.pool("cpu", replace(new(), handed=False))
    assert course.look(timedelta(0)).waiting == ("dgx",)
    assert course.reason("Pool/cpu") == VERIFYING


def test_a_pool_that_has_not_been_let_go_yet_is_not_through(course: Course) -> None:
    course.pool("cpu", new())  # of another image its counts know nothing before that is handed on
    course.window(is_open=False)
    at_pools(course)
    assert course.states["Pool/cpu"] == "Held"
    course.window(is_open=True)
    found = course.look()
    assert (course.reason("Pool/cpu"), found.waiting) == ("Replacing", ("dgx",))


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (replace(old(), repairs=1), "RepairInFlight"),
        (Part(3, 3, 0, 0, 2), "MachinesNotReady"),
        (replace(old(), manual=True), "WaitsForPerson"),
    ],
)
def test_why_a_pool_is_held(course: Course, part: Part, reason: str) -> None:
    course.pool("cpu", part)
    found = at_pools(course).look()
    assert (course.states["Pool/cpu"], course.reason("Pool/cpu")) == ("Held", reason)
    assert "cpu" in found.waiting


def test_updates_that_a_person_pauses_begin_no_further_machine(course: Course) -> None:
    at_pools(course)
    course.seen = replace(course.seen, paused="updates are paused (an audit)")
    found = course.look()
    assert (course.reason("Pool/cpu"), found.waiting) == ("Paused", ("cpu", "dgx"))


def test_a_pool_that_waits_for_a_person_keeps_no_other_waiting_and_holds_the_end(course: Course) -> None:
    course.pool("cpu", replace(old(), manual=True))
    found = at_pools(course).look()
    assert (course.states["Pool/dgx"], found.waiting) == ("Running", ("cpu",))
    course.pool("dgx", new())
    course.settle()
    assert course.states["Verification"] == "Pending"
    course.seen = replace(course.seen, released=frozenset({"*"}))
    course.settle()
    assert course.states["Pool/cpu"] == "Running"
    course.pool("cpu", replace(new(), manual=True))
    assert course.settle().finished


def test_a_pool_that_a_person_takes_back_in_the_middle_keeps_the_next_waiting(course: Course) -> None:
    course.pool("cpu", replace(old(), manual=True))
    course.seen = replace(course.seen, released=frozenset({"cpu"}))
    at_pools(course)
    assert course.states["Pool/cpu"] == "Running"
    course.pool("cpu", replace(Part(3, 4, 1, 1, 4), manual=True))
    course.seen = replace(course.seen, released=frozenset())
    found = course.settle()
    assert course.reason("Pool/cpu") == "WaitsForPerson"
    assert found.waiting == ("cpu", "dgx")


def test_a_pool_that_a_person_lets_go_late_waits_for_the_one_that_has_begun(course: Course) -> None:
    course.pool("cpu", replace(old(), manual=True))
    at_pools(course).look()
    assert course.states["Pool/dgx"] == "Running"
    course.seen = replace(course.seen, released=frozenset({"cpu"}))
    found = course.settle()
    assert (course.states["Pool/cpu"], course.states["Pool/dgx"], found.waiting) == ("Held", "Running", ("cpu",))
    course.window(is_open=False)
    assert course.settle().waiting == ("cpu", "dgx")
    course.window(is_open=True)
    course.pool("dgx", new())
    found = course.settle()
    assert (course.states["Pool/cpu"], course.states["Pool/dgx"], found.waiting) == ("Running", "Done", ())


def test_a_pool_that_leaves_the_spec_is_skipped(course: Course) -> None:
    at_pools(course)
    course.seen = replace(course.seen, pools={"dgx": new()})
    assert course.settle().finished
    assert course.states["Pool/cpu"] == "Skipped"


def test_a_verification_that_fails_stops_it_until_a_person_says_so(course: Course) -> None:
    at_pools(course)
    course.pool("cpu", new())
    course.verdicts["Pool/cpu"] = Verdict(False, "Pod coredns crashes", ("SystemPods",))
    found = course.settle()
    stopped = found.ledger.stopped
    assert stopped is not None
    assert (stopped.step, stopped.reason) == ("Pool/cpu", "VerificationFailed")
    assert "SystemPods: Pod coredns crashes; nothing further is begun" in stopped.message
    assert "kaas.internal/update-retry" in stopped.message
    assert found.waiting == ("cpu", "dgx")
    del course.verdicts["Pool/cpu"]
    assert course.look(timedelta(days=30)).ledger.stopped is not None  # it stays so by itself

    course.seen = replace(course.seen, retry="coredns is well again")
    found = course.settle()
    assert found.ledger.stopped is None
    assert found.ledger.retried is not None
    assert (course.states["Pool/cpu"], course.states["Pool/dgx"]) == ("Done", "Running")


def test_the_same_word_of_a_person_counts_once(course: Course) -> None:
    course.control_plane(new(1))
    course.verdicts["ControlPlane"] = Verdict(False, "no", ("Nodes",))
    course.seen = replace(course.seen, retry="try it")
    course.settle()
    assert course.ledger.stopped is not None
    assert course.asked == ["ControlPlane"] * 2
    course.seen = replace(course.seen, retry="try it once more")
    course.look()
    assert course.ledger.retried is not None
    assert course.ledger.retried.reason == "try it once more"


def test_a_verdict_that_is_not_known_yet_is_asked_for_again(course: Course) -> None:
    course.control_plane(new(1))
    course.verdicts["ControlPlane"] = Verdict(None, "two scrapes are needed")
    found = course.settle()
    assert (course.states["ControlPlane"], course.reason("ControlPlane")) == ("Running", VERIFYING)
    assert found.until == course.time + timedelta(seconds=10)


@pytest.mark.parametrize(
    ("part", "after", "reason"),
    [
        (replace(old(), coming=NOW, moved=NOW, trouble="no valid host"), timedelta(minutes=36), "MachineNotJoining"),
        (replace(old(), going=NOW, moved=NOW), timedelta(minutes=51), "MachineNotLeaving"),
        (replace(old(), moved=NOW), timedelta(hours=2), "NoProgress"),
        (replace(old(), handed=False), timedelta(hours=2), "NoProgress"),
        (replace(old(), going=HALF_PAST, drain=None, **FAILED), timedelta(minutes=36), "LayoutFailed"),
        (replace(old(), moved=NOW, drain=None, unlaid="b is pending"), timedelta(minutes=61), "LayoutMissing"),
    ],
)
def test_machines_that_take_too_long_stop_it(course: Course, part: Part, after: timedelta, reason: str) -> None:
    at_pools(course)
    course.pool("cpu", part)
    course.look(timedelta(minutes=30))
    assert course.ledger.stopped is None
    found = course.look(after)
    stopped = found.ledger.stopped
    assert stopped is not None
    assert (stopped.step, stopped.reason, course.states["Pool/cpu"]) == ("Pool/cpu", reason, "Failed")
    assert part.trouble in stopped.message
    assert part.unlaid in stopped.message
    assert found.waiting == ("cpu", "dgx")


def test_a_layout_that_has_failed_has_a_moment(course: Course) -> None:
    """Whoever made it may make it anew; repairs wait as long before they do anything about it."""
    at_pools(course)
    course.pool("cpu", replace(old(), going=HALF_PAST, **FAILED))
    course.look(timedelta(minutes=34))
    assert course.ledger.stopped is None
    course.look(timedelta(minutes=2))
    assert course.ledger.stopped is not None


def test_the_time_in_which_a_pool_was_held_is_not_counted_as_without_progress(course: Course) -> None:
    at_pools(course)
    course.pool("cpu", replace(old(), moved=NOW))
    course.look()
    course.window(is_open=False)
    course.look(timedelta(days=6))
    course.window(is_open=True)
    course.look()
    assert (course.states["Pool/cpu"], course.ledger.stopped) == ("Running", None)


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (replace(old(), coming=NOW, moved=NOW, trouble="no valid host"), "MachineNotJoining"),
        (replace(old(), going=NOW, moved=NOW), "MachineNotLeaving"),
        (replace(old(), going=NOW, drain=None, **FAILED), "LayoutFailed"),
        (replace(new(), ready=2, well=2, moved=NOW), "NoProgress"),  # nothing is left to be begun
    ],
)
def test_a_machine_that_was_begun_is_late_in_no_window_too(course: Course, part: Part, reason: str) -> None:
    at_pools(course)
    course.pool("cpu", part)
    course.look()
    course.window(is_open=False, changes=LATER)
    found = course.look()
    assert course.states["Pool/cpu"] == "Held"
    assert found.until == course.time + timedelta(minutes=1)
    course.look(timedelta(hours=2))
    stopped = course.ledger.stopped
    assert stopped is not None
    assert (stopped.step, stopped.reason, course.ledger.hold) == ("Pool/cpu", reason, None)
    assert part.trouble in stopped.message


@pytest.mark.parametrize(
    "part", [replace(old(), repairs=1, coming=NOW, moved=NOW), replace(old(), coming=NOW, moved=NOW)]
)
def test_a_machine_that_repairs_or_people_hold_is_not_late(course: Course, part: Part) -> None:
    at_pools(course).look()
    course.pool("cpu", part)
    course.seen = replace(course.seen, paused="" if part.repairs else "cluster.x-k8s.io/paused")
    for _ in range(10):
        course.look(timedelta(hours=1))
    assert (course.states["Pool/cpu"], course.ledger.stopped) == ("Held", None)


def flapping(course: Course, *, every: timedelta, longest: timedelta) -> Course:
    """All machines of the pool are new, and one of them is Ready and not Ready in turns, until the update stops."""
    course.verdicts["Pool/cpu"] = Verdict(None, "it may settle")
    up, ends = replace(new(), moved=course.time), course.time + longest
    down = replace(up, ready=2, well=2)
    while course.time < ends and course.ledger.stopped is None:
        for part in (up, down):
            course.pool("cpu", part)
            course.look(every)
    return course


@pytest.mark.parametrize("every", [timedelta(minutes=1), timedelta(minutes=4)])
@pytest.mark.parametrize("is_open", [True, False])
def test_a_new_machine_that_is_ready_and_not_ready_in_turns_stops_it(
    course: Course, every: timedelta, is_open: bool
) -> None:
    at_pools(course).window(is_open=is_open, changes=LATER)
    began = course.time
    flapping(course, every=every, longest=timedelta(hours=6))
    stopped = course.ledger.stopped
    assert stopped is not None
    assert (stopped.step, stopped.reason) == ("Pool/cpu", "NoProgress")
    assert "did not stay so: 2 of 3 work now" in stopped.message
    assert timedelta(minutes=45) < stopped.since - began <= timedelta(minutes=60)  # 35 to join, 10 to settle


def test_a_machine_that_was_made_meanwhile_has_its_own_time(course: Course) -> None:
    flapping(at_pools(course), every=timedelta(minutes=4), longest=timedelta(minutes=30))
    flapping(course, every=timedelta(minutes=4), longest=timedelta(minutes=40))
    assert course.ledger.stopped is None
    del course.verdicts["Pool/cpu"]
    course.pool("cpu", new())
    course.look()
    course.look()
    assert course.states["Pool/cpu"] == "Done"


def test_tried_again_a_machine_has_its_time_anew(course: Course) -> None:
    flapping(at_pools(course), every=timedelta(minutes=4), longest=timedelta(hours=6))
    course.seen = replace(course.seen, retry="its kubelet was mended")
    course.look()
    course.pool("cpu", replace(new(), ready=2, well=2, moved=NOW))
    course.look(timedelta(minutes=30))
    assert (course.states["Pool/cpu"], course.ledger.stopped) == ("Running", None)


def test_a_drain_without_end_is_waited_for(course: Course) -> None:
    at_pools(course)
    course.pool("cpu", replace(old(), going=NOW, moved=NOW, drain=None))
    course.look(timedelta(days=30))
    assert course.ledger.stopped is None


def test_what_a_person_asks_for_ends_it(course: Course) -> None:
    at_pools(course)
    course.ledger = called_off(course.ledger, "spec.version asks for v1.36.4", course.time)
    found = course.look()
    assert found.finished
    assert found.waiting == ()
    assert (course.states["Pool/cpu"], course.states["ControlPlane"]) == ("Skipped", "Done")


def test_an_update_that_is_through_stays_so() -> None:
    course = Course(pools=())
    course.control_plane(new(1))
    course.settle()
    course.control_plane(old(1))
    assert course.look().finished
    assert advance(Ledger(()), course.seen, NOW).finished

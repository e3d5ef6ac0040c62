"""How the ledger of an update goes on, is held, stops, and goes on again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kaas.updates.ledger.advance import VERIFYING, Ledger, advance, called_off
from kaas.updates.ledger.seen import Part
from kaas.updates.ledger.steps import begin
from kaas.updates.run import Finding, Report, Severity, Verdict
from tests.unit.updates.ledger.parts import AIMS, LATER, Course, at_pools, new, old
from tests.unit.updates.subjects import NOW


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

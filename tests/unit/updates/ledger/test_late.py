"""How an update stops when machines take too long, or do not stay Ready."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kaas.updates.ledger.seen import Part
from kaas.updates.run import Verdict
from tests.unit.updates.ledger.parts import FAILED, HALF_PAST, LATER, Course, at_pools, new, old
from tests.unit.updates.subjects import NOW


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

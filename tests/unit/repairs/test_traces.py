"""What is remembered of a machine: first times, flapping with hysteresis, since when it is well."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.api.repair import Action
from kaas.gpu.layouts import Layout
from kaas.repairs.facts import Progress
from kaas.repairs.subject import Past
from kaas.repairs.traces import CALM, FLAPPING_LAPSES, FLAPPING_WINDOW, MERGED, MOST_LAPSES, Trace
from tests.unit.repairs.sick import NOW, condition, look, machine, names, node, seconds, server

MINUTE = timedelta(minutes=1)
GPU = "nvidia.com/gpu"


class Node:
    """One node in time, looked at after each change."""

    def __init__(self) -> None:
        self.now = NOW
        self.trace = Trace()
        self.ready = condition("Ready", "True", since=NOW)
        self.past = Past()

    def look(self, after: timedelta = timedelta()) -> list[str]:
        self.now += after
        found = look(a_node=node(self.ready), trace=self.trace, now=self.now, past=self.past)
        return names(found)

    def becomes(self, status: str, after: timedelta, *, seen: bool = True) -> list[str]:
        self.now += after
        self.ready = condition("Ready", status, since=self.now)
        return self.look() if seen else []

    def lapses(self, times: int, every: timedelta = 10 * MINUTE, *, seen: bool = True) -> list[str]:
        found: list[str] = []
        for _ in range(times):
            self.becomes("False", every - MINUTE, seen=seen)
            found = self.becomes("True", MINUTE)
        return found

    def repairs(self, action: Action, acted: datetime | None = None) -> None:
        self.past = Past(Progress(began=self.now, cause="c", step=0, action=action, started=self.now, acted=acted))


def fresh() -> Node:
    it = Node()
    assert it.look() == []
    return it


def test_four_lapses_within_an_hour_are_flapping() -> None:
    it = fresh()
    assert it.lapses(3) == []
    assert it.becomes("False", MINUTE * 9) == ["NodeNotReady", "Flapping"]
    assert it.becomes("True", MINUTE) == ["Flapping"]


def test_lapses_that_no_look_fell_into_are_seen_by_their_time() -> None:
    it = fresh()
    assert it.lapses(3, seen=False) == []
    assert it.lapses(1, seen=False) == ["Flapping"]


def test_flapping_ends_after_a_calm_time_and_not_before() -> None:
    it = fresh()
    assert it.lapses(4) == ["Flapping"]
    assert it.look(CALM - 2 * MINUTE) == ["Flapping"]
    assert it.look(2 * MINUTE) == []
    assert it.trace.well_since == it.now


def test_one_more_lapse_begins_the_calm_time_anew() -> None:
    it = fresh()
    it.lapses(4)
    it.lapses(1, CALM - 5 * MINUTE)
    assert it.look(CALM - 2 * MINUTE) == ["Flapping"]
    assert it.look(2 * MINUTE) == []


def test_a_node_that_flapped_flaps_again_sooner() -> None:
    it = fresh()
    it.lapses(4, 4 * MINUTE)
    assert it.look(CALM) == []
    assert it.lapses(1, 4 * MINUTE) == ["Flapping"]


def test_lapses_far_apart_are_no_flapping() -> None:
    it = fresh()
    assert it.lapses(12, FLAPPING_WINDOW / (FLAPPING_LAPSES - 1)) == []
    assert it.look(FLAPPING_WINDOW) == []
    assert it.trace.lapses == ()


def test_a_node_that_is_away_is_not_calm() -> None:
    it = fresh()
    it.lapses(3)
    it.becomes("False", 9 * MINUTE)
    assert it.look(CALM + MINUTE) == ["NodeNotReady", "Flapping"]


def test_one_lapse_by_two_ways_is_one() -> None:
    trace = Trace()
    trace.lapse(NOW, NOW)
    trace.lapse(NOW + MERGED - seconds(1), NOW + MERGED)
    assert trace.lapses == (NOW,)
    trace.lapse(NOW + MERGED, NOW + MERGED)
    assert len(trace.lapses) == 2


def test_unknown_after_false_is_the_same_lapse_and_the_same_clock() -> None:
    it = fresh()
    it.becomes("False", MINUTE)
    lost = it.now
    it.becomes("Unknown", 4 * MINUTE)
    assert len(it.trace.lapses) == 1
    (found,) = look(a_node=node(it.ready), trace=it.trace, now=it.now)
    assert (found.signal, found.since) == ("NodeSilent", lost)


def test_a_node_that_joins_has_no_lapse() -> None:
    it = Node()
    it.becomes("False", MINUTE)
    it.becomes("True", MINUTE)
    assert it.trace.lapses == ()
    assert it.trace.lost is None


def test_gpus_that_come_and_go_are_flapping_too() -> None:
    trace, now = Trace(), NOW
    for _ in range(FLAPPING_LAPSES):
        now += 5 * MINUTE
        look(a_node=node(allocatable={GPU: 0}), trace=trace, now=now)
        now += 5 * MINUTE
        found = look(trace=trace, now=now)
    assert names(found) == ["Flapping"]


@pytest.mark.parametrize("action", [Action.SOFT_REBOOT, Action.HARD_REBOOT, Action.POWER_CYCLE, Action.REBUILD])
def test_a_repair_takes_the_node_down_without_a_lapse(action: Action) -> None:
    it = fresh()
    it.repairs(action)
    it.lapses(6)
    assert it.trace.lapses == ()


def test_a_repair_ends_flapping_once_it_has_acted() -> None:
    it = fresh()
    assert it.lapses(4) == ["Flapping"]
    it.repairs(Action.DRAIN, it.now)
    assert it.look() == ["Flapping"]
    it.repairs(Action.SOFT_REBOOT)
    assert it.look(MINUTE) == ["Flapping"]
    it.repairs(Action.SOFT_REBOOT, it.now + MINUTE)
    assert it.look(MINUTE) == []


def test_a_server_that_the_repair_itself_stopped_is_not_stopped() -> None:
    off = server(status="SHUTOFF")
    began = Progress(began=NOW, cause="c", step=3, action=Action.POWER_CYCLE, started=NOW)
    assert look(server=off, past=Past(began)) == ()
    drained = Progress(began=NOW, cause="c", step=1, action=Action.DRAIN, started=NOW)
    assert names(look(server=off, past=Past(drained))) == ["ServerStopped"]


def test_first_times_last_as_long_as_the_signal() -> None:
    trace = Trace()
    for minute in (0, 5, 9):
        (found,) = look(a_node=node(allocatable={GPU: 6}), trace=trace, now=NOW + minute * MINUTE)
        assert found.since == NOW
    look(trace=trace, now=NOW + 10 * MINUTE)
    (found,) = look(a_node=node(allocatable={GPU: 6}), trace=trace, now=NOW + 11 * MINUTE)
    assert found.since == NOW + 11 * MINUTE


def test_one_signal_keeps_its_clock_when_another_ends() -> None:
    trace = Trace()
    look(machine(health_check="sick"), node(layout=Layout(state="failed")), trace=trace, now=NOW)
    (found,) = look(a_node=node(layout=Layout(state="failed")), trace=trace, now=NOW + MINUTE)
    assert (found.signal, found.since) == ("MigFailed", NOW)


def test_since_when_it_is_well() -> None:
    trace = Trace()
    look(trace=trace, now=NOW)
    look(trace=trace, now=NOW + MINUTE)
    assert trace.well_since == NOW
    look(machine(request=""), trace=trace, now=NOW + 2 * MINUTE)
    assert trace.well_since is None
    look(trace=trace, now=NOW + 3 * MINUTE)
    assert trace.well_since == NOW + 3 * MINUTE


def test_xids_of_a_day_are_remembered() -> None:
    trace = Trace()
    trace.remember_xids([79], NOW)
    trace.remember_xids([79, 48], NOW + MINUTE)
    assert trace.xids == {79: (NOW, NOW + MINUTE), 48: (NOW + MINUTE, NOW + MINUTE)}
    later = NOW + timedelta(days=1, minutes=1)
    trace.remember_xids([79], later)
    assert trace.xids == {79: (later, later)}


@given(st.lists(st.tuples(st.sampled_from(["True", "False", "Unknown"]), st.integers(1, 3600)), max_size=60))
def test_whatever_a_node_does(story: list[tuple[str, int]]) -> None:
    it = fresh()
    lost: list[datetime] = []
    for status, after in story:
        before = it.ready.status
        found = it.becomes(status, seconds(after))
        if before == "True" and status != "True":
            lost.append(it.now)
        trace = it.trace
        assert (trace.well_since is None) is bool(found)
        assert trace.lost == (None if status == "True" else lost[-1])
        assert list(trace.lapses) == sorted(trace.lapses)
        assert len(trace.lapses) <= MOST_LAPSES
        recent = [t for t in lost if it.now - t < FLAPPING_WINDOW]
        if trace.flapping is not None:
            assert "Flapping" in found
        elif len(recent) < FLAPPING_LAPSES:
            assert "Flapping" not in found
    it.becomes("True", seconds(1))
    assert it.look(CALM) == []

"""When a machine that is to go is drained."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.gpu.layouts import Layout
from kaas.updates.drains.facts import Departure, Gate, Look, Neighbour, Offer, Rules
from kaas.updates.drains.gate import UNSEEN, at_once, decide
from kaas.updates.drains.words import DRAIN_NOW, Reason
from tests.unit.updates.drains.builders import (
    EARLIER,
    HOUR,
    MIXED,
    NOW,
    SLICES,
    WHOLE,
    blue_green,
    departure,
    job,
    look,
    node,
    not_joined,
    other,
    rules,
)


@pytest.mark.parametrize(
    ("it", "said", "deleted", "reason"),
    [
        (departure(now="the job is mine"), rules(), False, Reason.DRAIN_NOW),
        (departure(), rules(), True, Reason.CLUSTER_DELETED),
        (departure(), None, False, Reason.POOL_REMOVED),
        (departure(), rules(notice=False), False, Reason.NOTICE_OFF),
        (departure(repaired=True), rules(), False, Reason.REPAIR),
        (departure(node=None), rules(), False, Reason.NO_NODE),
    ],
)
def test_never_a_trap(it: Departure, said: Rules | None, deleted: bool, reason: Reason) -> None:
    found = at_once(it, said, deleted=deleted)
    assert found is not None
    assert (found.drains, found.notice, found.reason) == (True, False, reason)


def test_others_are_looked_at() -> None:
    assert at_once(departure(), rules(), deleted=False) is None
    assert at_once(departure(), blue_green(), deleted=False) is None


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (look(node=None), Reason.NO_NODE),
        (look(node=node(ready=False, since=NOW - timedelta(minutes=5))), Reason.NODE_NOT_READY),
        (look(away=NOW - HOUR, problem="x"), Reason.OUT_OF_SIGHT),
    ],
)
def test_what_cannot_come_is_not_waited_for(seen: Look, reason: Reason) -> None:
    found = decide(departure(), rules(), seen, NOW)
    assert (found.drains, found.reason) == (True, reason)


def test_a_node_that_is_not_ready_for_a_moment_keeps_its_jobs() -> None:
    seen = look(node=node(ready=False, since=EARLIER), pods=(job(),))
    assert decide(departure(), rules(), seen, NOW).reason is Reason.PODS_RUNNING


def test_a_cluster_out_of_sight_is_waited_for_as_its_jobs_would_be() -> None:
    found = decide(departure(), rules(), look(away=EARLIER, problem="refused"), NOW)
    assert (found.drains, found.reason, found.until) == (False, Reason.NOT_SEEN, EARLIER + HOUR)
    assert "refused" in found.message
    told = departure(noticed=NOW - HOUR)
    assert decide(told, rules(), look(away=EARLIER), NOW).reason is Reason.OUT_OF_SIGHT
    forever = rules(timeout=None)
    assert decide(told, forever, look(away=EARLIER), NOW).until == EARLIER + UNSEEN


# --- the jobs -----------------------------------------------------------------------------------------------------


def test_jobs_are_told_and_waited_for() -> None:
    found = decide(departure(), rules(), look(pods=(job(),)), NOW)
    assert (found.drains, found.notice, found.deadline) == (False, True, NOW + HOUR)
    assert "ml/train" in found.message
    assert DRAIN_NOW in found.message


def test_until_they_have_ended() -> None:
    found = decide(departure(noticed=EARLIER), rules(), look(pods=(job(waited=False),)), NOW)
    assert (found.drains, found.reason, found.notice) == (True, Reason.PODS_DONE, True)


def test_or_until_their_time_is_out() -> None:
    told = departure(noticed=NOW - HOUR)
    found = decide(told, rules(), look(pods=(job(),)), NOW)
    assert (found.drains, found.reason) == (True, Reason.TIMED_OUT)
    assert not decide(told, rules(), look(pods=(job(),)), NOW - timedelta(seconds=1)).drains
    assert not decide(told, rules(timeout=None), look(pods=(job(),)), NOW + 1000 * HOUR).drains


@pytest.mark.parametrize(
    ("checkpointed", "drains"), [(None, False), (EARLIER - timedelta(seconds=1), False), (EARLIER, True), (NOW, True)]
)
def test_or_until_they_have_written_down_where_they_are(checkpointed: Any, drains: bool) -> None:
    pods = (job(checkpoints=True, checkpointed=checkpointed),)
    assert decide(departure(noticed=EARLIER), rules(), look(pods=pods), NOW).drains is drains


def test_a_time_that_a_pod_without_checkpoints_carries_says_nothing() -> None:
    assert not decide(departure(noticed=EARLIER), rules(), look(pods=(job(checkpointed=NOW),)), NOW).drains


def test_who_was_told_is_drained_although_another_one_fails_meanwhile() -> None:
    seen = look(not_joined("b"), other("c"))
    assert decide(departure(noticed=EARLIER), rules(), seen, NOW).drains
    assert not decide(departure(), rules(), seen, NOW).drains


# --- one box at a time --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ((not_joined("b"), other("c")), "b has not joined"),
        ((other("b", ready=False), other("c")), "b is not Ready"),
        ((other("b", gpus={}), other("c")), "b offers no GPU, before it was 8 nvidia.com/gpu"),
        ((other("b", gpus={"nvidia.com/gpu": 7}), other("c")), "b offers 7 nvidia.com/gpu"),
        ((other("b", gone=True), other("c")), "b goes first"),
        ((other("c"),), "1 of 2 other machines"),
        ((other("b", leaving=departure("b", noticed=NOW)), other("c")), "b goes first"),
    ],
)
def test_the_next_box_goes_when_the_others_are_back(others: tuple[Neighbour, ...], words: str) -> None:
    found = decide(departure(), rules(), look(*others), NOW)
    assert (found.drains, found.notice, found.reason) == (False, False, Reason.OTHERS_MISSING)
    assert words in found.message


def test_with_as_much_as_before() -> None:
    seen = look(other("b"), other("c", gpus=SLICES), node=node(gpus=SLICES), whole=(Offer(SLICES),))
    assert (
        "b offers 8 nvidia.com/gpu, before it was 56 nvidia.com/mig-1g.5gb"
        in decide(departure(), rules(), seen, NOW).message
    )
    assert decide(departure(), rules(), look(*seen.others, whole=()), NOW).drains


def test_what_one_box_of_a_mixed_pool_had_will_do() -> None:
    seen = look(other("b"), other("c", gpus=SLICES), whole=(Offer(SLICES), *WHOLE))
    assert decide(departure(), rules(), seen, NOW).drains


# --- with its layout ----------------------------------------------------------------------------------------------

SINGLE = replace(MIXED, strategy="single")
OURS = replace(MIXED, name="ours")


@pytest.mark.parametrize(
    ("layout", "gpus", "words"),
    [
        (MIXED, {"nvidia.com/mig-1g.5gb": 55}, "b offers 55 nvidia.com/mig-1g.5gb, layout all-1g.5gb has 56 nvidia"),
        (MIXED, {"nvidia.com/gpu": 8}, "b offers 8 nvidia.com/gpu, layout all-1g.5gb has 56 nvidia.com/mig-1g.5gb"),
        (MIXED, {}, "b offers no GPU, layout all-1g.5gb has 56"),
        (SINGLE, {"nvidia.com/gpu": 8}, "b offers 8 nvidia.com/gpu, layout all-1g.5gb has 56 nvidia.com/gpu"),
        (replace(SINGLE, name="all-1g.10gb", model=""), {"nvidia.com/gpu": 8}, "layout all-1g.10gb has 32 nvidia.com"),
        (replace(MIXED, state="pending"), SLICES, "b has GPUs that are not laid out as all-1g.5gb (pending)"),
        (replace(MIXED, state=""), {"nvidia.com/gpu": 8}, "not laid out as all-1g.5gb (not begun)"),
        (OURS, {"nvidia.com/gpu": 8}, "b offers 8 nvidia.com/gpu, before it was 56 nvidia.com/mig-1g.5gb"),
    ],
)
def test_a_box_is_back_with_every_slice(layout: Layout, gpus: dict[str, int], words: str) -> None:
    """Whatever its pool offered before, whole GPUs too: they may have been laid out otherwise."""
    whole = (*WHOLE, Offer(SLICES, "ours"))
    seen = look(other("b", layout=layout, gpus=gpus), other("c", layout=MIXED, gpus=SLICES), whole=whole)
    found = decide(departure(), rules(), seen, NOW)
    assert (found.drains, found.reason) == (False, Reason.LAYOUT_MISSING)
    assert words in found.message


@pytest.mark.parametrize(
    ("layout", "gpus"),
    [
        (MIXED, SLICES),
        (SINGLE, {"nvidia.com/gpu": 56}),
        (replace(SINGLE, name="all-2g.10gb"), {"nvidia.com/gpu": 24}),
        (replace(MIXED, name="all-disabled"), {"nvidia.com/gpu": 8}),
        (replace(MIXED, name="another"), {"nvidia.com/gpu": 4}),  # nobody knows how many there should be
    ],
)
def test_a_pool_that_is_laid_out_anew_waits_for_what_it_has_now(layout: Layout, gpus: dict[str, int]) -> None:
    whole = (Offer({"nvidia.com/gpu": 56, "nvidia.com/mig-3g.20gb": 16}), Offer(SLICES, "ours"))
    seen = look(*(other(name, layout=layout, gpus=gpus) for name in "bc"), whole=whole)
    assert decide(departure(), rules(), seen, NOW).drains


def test_a_layout_that_has_failed_does_not_come_by_itself() -> None:
    seen = look(other("b", layout=replace(MIXED, state="failed")), other("c"))
    found = decide(departure(), rules(), seen, NOW)
    assert (found.drains, found.reason) == (False, Reason.LAYOUT_FAILED)
    assert "b has GPUs that are not laid out as all-1g.5gb (failed)" in found.message


@pytest.mark.parametrize("replicas", [0, 1, 2])
def test_a_pool_that_gets_smaller_waits_for_nobody(replicas: int) -> None:
    seen = look(other("b", leaving=departure("b", asked=EARLIER - HOUR)), other("c"))
    assert decide(departure(), rules(replicas=replicas), seen, NOW).drains


def test_the_only_box_of_a_pool_goes() -> None:
    assert decide(departure(), rules(replicas=1), Look(node=node()), NOW).drains


def test_as_many_go_together_as_the_pool_allows() -> None:
    seen = look(other("b", leaving=departure("b", noticed=EARLIER)), other("c"))
    assert not decide(departure(), rules(), seen, NOW).drains
    assert decide(departure(), rules(unavailable=2), seen, NOW).drains


def test_a_box_without_its_layout_that_is_to_go_too_goes_first() -> None:
    """A person deletes it to have another one made; the one that was asked before it still does its work."""
    failed = replace(MIXED, state="failed")
    asked, sick = departure("a", asked=EARLIER - HOUR), departure("b", outdated=False)
    seen = look(other("b", leaving=sick, layout=failed), node=node("a", layout=MIXED, gpus=SLICES), whole=())
    found = decide(asked, rules(replicas=2), seen, NOW)
    assert (found.drains, found.reason) == (False, Reason.LAYOUT_FAILED)
    well = other("a", leaving=asked, layout=MIXED, gpus=SLICES)
    mine = look(well, node=node("b", layout=failed), lacking="is not laid out", whole=())
    assert decide(sick, rules(replicas=2), mine, NOW).drains


def test_of_two_such_boxes_one_goes_after_the_other() -> None:
    failed = replace(MIXED, state="failed")
    first, second = departure("a", asked=EARLIER - HOUR), departure("b")
    sees = {"node": node("a", layout=failed), "lacking": "is not laid out", "whole": ()}
    assert decide(first, rules(replicas=2), look(other("b", leaving=second, layout=failed), **sees), NOW).drains
    assert not decide(second, rules(replicas=2), look(other("a", leaving=first, layout=failed), **sees), NOW).drains


@given(st.integers(1, 6), st.integers(0, 6), st.integers(1, 3))
def test_of_those_that_wait_only_so_many_have_their_turn(leaving: int, staying: int, unavailable: int) -> None:
    """Whoever is asked first decides nothing that another one does not know."""
    total = leaving + staying
    waiting = [departure(f"m{n}", asked=EARLIER - timedelta(seconds=n % 2)) for n in range(leaving)]
    said = rules(replicas=total, unavailable=unavailable)
    gates: list[Gate] = []
    for it in waiting:
        others = [other(o.name, leaving=o) for o in waiting if o is not it]
        others += [other(f"s{n}") for n in range(staying)]
        gates.append(decide(it, said, Look(node=node(), others=tuple(others), whole=()), NOW))
    assert sum(gate.drains for gate in gates) == min(unavailable, leaving)


# --- all at once --------------------------------------------------------------------------------------------------


def green(name: str, **more: Any) -> Neighbour:
    return other(name, **{"since": NOW - timedelta(minutes=10), **more})


def blue(name: str) -> Neighbour:
    return other(name, leaving=departure(name))


def test_an_old_machine_goes_when_all_new_ones_have_been_well_together() -> None:
    news = (green("x"), green("y"), green("z"))
    found = decide(departure(), blue_green(), look(*news, blue("b"), blue("c")), NOW)
    assert (found.drains, found.reason) == (True, Reason.SOAKED)


@pytest.mark.parametrize(
    ("news", "reason"),
    [
        ((green("x"), green("y")), Reason.NEW_MACHINES_MISSING),
        ((green("x"), green("y"), not_joined("z")), Reason.NEW_MACHINES_MISSING),
        ((green("x"), green("y"), green("z", ready=False)), Reason.NEW_MACHINES_MISSING),
        ((green("x"), green("y"), green("z", gpus={})), Reason.NEW_MACHINES_MISSING),
        ((green("x"), green("y"), green("z", layout=replace(MIXED, state="failed"))), Reason.LAYOUT_FAILED),
        ((green("x"), green("y"), green("z", since=EARLIER)), Reason.SOAKING),
    ],
)
def test_until_then_all_old_ones_stay(news: tuple[Neighbour, ...], reason: Reason) -> None:
    found = decide(departure(), blue_green(), look(*news, blue("b"), blue("c")), NOW)
    assert (found.drains, found.reason) == (False, reason)
    if reason is Reason.SOAKING:
        assert found.until == EARLIER + timedelta(minutes=10)


def test_old_machines_that_are_not_asked_to_go_yet_do_not_stand_for_new_ones() -> None:
    olds = tuple(replace(green(name), outdated=True) for name in ("b", "c"))
    found = decide(departure(), blue_green(), look(green("x"), *olds), NOW)
    assert found.reason is Reason.NEW_MACHINES_MISSING


def test_a_machine_that_a_person_deletes_is_replaced_one_at_a_time() -> None:
    """Its successor comes when it is gone: to wait for it would be for ever."""
    assert decide(departure(outdated=False), blue_green(), look(), NOW).drains

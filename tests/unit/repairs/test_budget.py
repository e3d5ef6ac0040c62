"""How many at once, and when it is not the nodes."""

from __future__ import annotations

import pytest

from kaas.api.repair import Action, Limits, NumberOrPercent
from kaas.repairs.budget import DEFAULTS, nodes, scope
from kaas.repairs.decisions import Act, Decision, Hold, Wait
from kaas.repairs.facts import Patient
from kaas.repairs.planner import plan
from tests.unit.repairs import builders as b

ONE = Limits(max_in_flight=1, max_unhealthy=99)


def sick(number: int, **more: object) -> list[Patient]:
    return [b.patient(name=f"m-{i}", **more) for i in range(number)]


def quarantined(name: str) -> Patient:
    kept = b.progress(Action.QUARANTINE, started=900, acted=b.ago(800), quarantined=b.ago(800))
    return b.patient(name=name, progress=kept)


def flying(name: str = "flying") -> Patient:
    return b.patient(name=name, progress=b.progress(Action.SOFT_REBOOT, started=30))


def reasons(found: dict[str, Decision]) -> list[str]:
    return [d.reason if isinstance(d, Hold) else type(d).__name__ for d in found.values()]


@pytest.mark.parametrize(
    ("limit", "size", "expected"),
    [
        (0, 10, 0),
        (3, 10, 3),
        ("20%", 10, 2),
        ("20%", 14, 2),
        ("20%", 4, 1),
        ("0%", 100, 1),
        ("100%", 7, 7),
        ("5%", 0, 1),
    ],
)
def test_percentages_are_rounded_down_and_at_least_one(limit: NumberOrPercent, size: int, expected: int) -> None:
    assert nodes(limit, size) == expected


@pytest.mark.parametrize("kind", DEFAULTS)
def test_where_nothing_is_said_the_defaults_hold(kind: str) -> None:
    empty, said = scope(kind, kind, Limits(), 100), scope(kind, kind, Limits(max_in_flight=7), 100)
    assert (empty.most_in_flight, said.most_in_flight) == (DEFAULTS[kind].max_in_flight, 7)
    assert empty.most_sick == said.most_sick == nodes(DEFAULTS[kind].max_unhealthy or 0, 100)


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ({"policy": b.policy(limits=Limits(max_in_flight=2, max_unhealthy=99))}, "pool/team/c/gpu"),
        ({"cluster_limits": Limits(max_in_flight=2, max_unhealthy=99)}, "cluster/team/c"),
        ({"zone_limits": Limits(max_in_flight=2, max_unhealthy=99)}, "zone/north/"),
        ({"site_limits": Limits(max_in_flight=2, max_unhealthy=99)}, "site/north"),
        ({"fleet_limits": Limits(max_in_flight=2, max_unhealthy=99)}, "fleet"),
    ],
)
def test_in_each_scope_so_many_and_no_more(where: dict[str, object], name: str) -> None:
    found = b.decisions(sick(4), **where)
    assert reasons(found) == ["Act", "Act", "BudgetSpent", "BudgetSpent"]
    held = found["m-3"]
    assert isinstance(held, Hold)
    assert held.message.startswith(f"{name}: 2 of at most 2 nodes are under repair (m-0, m-1)")
    assert held.until > b.NOW


def test_what_is_in_flight_takes_a_place_and_goes_on() -> None:
    drained = b.patient(name="drained", progress=b.progress(Action.DRAIN, started=30, acted=b.ago(1)))
    found = b.decisions([*sick(1), drained], policy=b.policy(limits=ONE))
    assert isinstance(found["drained"], Act)
    assert found["drained"].action is Action.SOFT_REBOOT
    assert reasons(found) == ["Act", "BudgetSpent"]


def test_a_healed_node_that_settles_has_its_place_still() -> None:
    step = b.progress(Action.SOFT_REBOOT, started=60, acted=b.ago(50))
    settling = Patient(b.machine("well"), progress=step, well_since=b.ago(5), boot_id="boot-2", ready=True)
    assert reasons(b.decisions([*sick(1), settling], policy=b.policy(limits=ONE))) == ["Watch", "BudgetSpent"]


def test_mild_steps_and_quarantined_nodes_take_no_place() -> None:
    mild = [b.patient(b.finding(Action.WAIT), name=f"mild-{i}") for i in range(3)]
    found = b.decisions([*mild, quarantined("kept"), *sick(1)], policy=b.policy(limits=ONE))
    assert sorted(reasons(found)) == ["Act", "Act", "Act", "Act", "Quarantined"]


def test_zones_of_their_own_have_budgets_of_their_own() -> None:
    spread = [b.patient(name=f"{zone}-{i}", zone=zone) for zone in ("a", "b") for i in range(2)]
    found = b.decisions(spread, zone_limits=ONE)
    assert {n for n, d in found.items() if isinstance(d, Act)} == {"a-0", "b-0"}


def test_too_many_sick_open_the_breaker_of_a_pool() -> None:
    policy = b.policy(limits=Limits(max_in_flight=9, max_unhealthy="40%"))
    assert reasons(b.decisions(sick(4), policy=policy)) == ["Act"] * 4
    found = plan(b.fleet(*sick(5), policy=policy), b.NOW)
    assert {d.reason for d in found.decisions if isinstance(d, Hold)} == {"TooManySick"}
    (breaker,) = found.breakers
    assert (breaker.scope, breaker.reason) == ("pool/team/c/gpu", "TooManySick")
    assert "5 nodes are sick and at most 4" in breaker.message


def test_above_a_pool_a_percentage_needs_more_than_five() -> None:
    limits = Limits(max_in_flight=99, max_unhealthy="30%")
    for where in ("cluster_limits", "zone_limits", "site_limits", "fleet_limits"):
        assert reasons(b.decisions(sick(5), **{where: limits})) == ["Act"] * 5
        assert reasons(b.decisions(sick(6), **{where: limits})) == ["TooManySick"] * 6
    number = Limits(max_in_flight=99, max_unhealthy=2)
    assert reasons(b.decisions(sick(3), cluster_limits=number)) == ["TooManySick"] * 3


def test_what_counts_as_sick() -> None:
    def decided(*others: Patient) -> str:
        policy = b.policy(limits=Limits(max_in_flight=9, max_unhealthy=1))
        decision = b.decisions([*others, b.patient(name="one")], policy=policy)["one"]
        return decision.reason if isinstance(decision, Hold) else type(decision).__name__

    fresh = b.finding(since=5)
    assert decided(b.patient(fresh, name="tolerated")) != "TooManySick"
    assert decided(b.patient(b.finding(since=5, silent=True), name="silent")) == "TooManySick"
    assert decided(quarantined("kept")) == "TooManySick"
    assert decided(flying()) == "TooManySick"
    assert decided(b.patient(b.asked(), name="asked")) == "Act"


def test_behind_an_open_breaker_a_step_under_way_ends_and_no_other_begins() -> None:
    policy = b.policy(limits=Limits(max_in_flight=9, max_unhealthy=1))
    drained = b.patient(name="drained", progress=b.progress(Action.DRAIN, started=30, acted=b.ago(1)))
    found = b.decisions([flying(), drained], policy=policy)
    assert isinstance(found["flying"], Wait)
    assert isinstance(found["drained"], Hold)
    assert found["drained"].reason == "TooManySick"


@pytest.mark.parametrize(
    ("helped", "opens"),
    [
        ((False,) * 3, True),
        ((False, False), False),
        ((False, False, False, True), False),
        ((True, *(False,) * 3), True),
    ],
)
def test_replacements_that_do_not_help_open_the_breaker_of_a_pool(helped: tuple[bool, ...], opens: bool) -> None:
    replaced = tuple((b.ago(900 - i), h) for i, h in enumerate(helped))
    found = plan(b.fleet(replaced=replaced), b.NOW)
    assert [br.reason for br in found.breakers] == ["ReplacementsDoNotHelp"] * opens
    assert reasons(b.decisions(sick(1), replaced=replaced)) == ["ReplacementsDoNotHelp" if opens else "Act"]

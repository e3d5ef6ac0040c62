"""Nodes that fail together are left alone."""

from __future__ import annotations

import pytest

from kaas.api.repair import Action
from kaas.repairs.decisions import Act, Hold
from kaas.repairs.facts import Patient
from kaas.repairs.incidents import incidents, remember
from tests.unit.repairs import builders as b

SIZES = {"zones": {"a": 6, "b": 6}, "hosts": {"h1": 4}, "size": 100}


def fallen(number: int, *, zone: str = "a", host: str = "", apart: float = 10, **more: object) -> list[Patient]:
    return [
        b.patient(
            b.finding(since=2000 - i * apart, silent=True), name=f"{zone}{host}-{i}", zone=zone, host=host, **more
        )
        for i in range(number)
    ]


def held(patients: list[Patient], **more: object) -> set[str]:
    return {
        d.reason if isinstance(d, Hold) else type(d).__name__ for d in b.decisions(patients, **SIZES, **more).values()
    }


@pytest.mark.parametrize(
    ("number", "apart", "incident"), [(3, 10, True), (2, 10, False), (3, 150, True), (3, 151, False)]
)
def test_half_of_a_zone_within_five_minutes(number: int, apart: float, incident: bool) -> None:
    assert held(fallen(number, apart=apart)) == {"IncidentOfZone" if incident else "Act"}


def test_three_of_many_are_none() -> None:
    assert held(fallen(3), **{}) == {"IncidentOfZone"}
    many = b.decisions(fallen(3), size=100, zones={"a": 7})
    assert all(isinstance(d, Act) for d in many.values())


def test_a_hypervisor_too() -> None:
    assert held(fallen(3, zone="", host="h1")) == {"IncidentOfHost"}
    assert held(fallen(3, zone="", host="h2")) == {"IncidentOfHost"}, "of an unknown size: all that are known"


def test_where_the_cloud_chooses_the_zone_there_is_none() -> None:
    assert held(fallen(6, zone="")) == {"Act"}


def test_what_the_cloud_says_is_down_counts_as_well() -> None:
    down = [b.patient(b.finding(cloud=True), name=f"m-{i}", zone="a") for i in range(3)]
    assert held(down) == {"IncidentOfZone"}


def test_everything_disruptive_there_waits_and_nothing_elsewhere() -> None:
    other = b.patient(name="other", zone="a")
    mild = b.patient(b.finding(Action.WAIT), name="mild", zone="a")
    elsewhere = b.patient(name="elsewhere", zone="b")
    found = b.decisions([*fallen(3), other, mild, elsewhere], **SIZES)
    assert isinstance(found["other"], Hold)
    assert "3 of 6 nodes of zone/a at Site north" in found["other"].message
    assert isinstance(found["mild"], Act)
    assert isinstance(found["elsewhere"], Act)


def test_nodes_that_a_repair_took_down_are_no_incident() -> None:
    rebooting = fallen(3, progress=b.progress(Action.HARD_REBOOT, started=100))
    assert incidents(rebooting, b.fleet(**SIZES).sites) == {}


def test_a_person_confirms_it() -> None:
    assert held(fallen(3), confirmed={"zone/a": b.later(60)}) == {"Act"}
    assert held(fallen(3), confirmed={"zone/a": b.ago(60)}) == {"IncidentOfZone"}


def test_when_it_is_over_clocks_start_anew() -> None:
    left = fallen(2)
    assert held(left, ended={"zone/a": b.ago(100)}) == {"Watch"}
    assert held(left, ended={"zone/b": b.ago(100)}) == {"Act"}
    assert held(left, ended={"zone/a": b.ago(2000)}) == {"Act"}


def test_where_it_was_is_nothing_to_a_node_of_no_known_place() -> None:
    assert held([b.patient()], ended={"zone/a": b.ago(100)}) == {"Act"}


def test_what_is_remembered_of_incidents() -> None:
    once = remember({}, {"zone/a", "host/h"}, {"host/h"}, b.NOW)
    assert once == {"zone/a": b.NOW}
    assert remember(once, {"host/h"}, {"host/h"}, b.later(60)) == once
    assert remember(once, set(), {"zone/a"}, b.later(60)) == {}
    assert remember(once, set(), set(), b.later(90000)) == {}

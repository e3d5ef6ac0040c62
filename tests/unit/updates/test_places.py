"""How many Clusters of a Site begin at once, and who goes first: one by one, and by chance."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaas.api.shares import rounded_down
from kaas.kube.times import stamp
from kaas.updates.places import AGAIN, COUNTS_FOR, SITE_BUSY, Full, Places, rank
from tests.unit.updates.subjects import NOW

WAITS = {"reason": SITE_BUSY}
RESTS = {"reason": "UpToDate"}
END = NOW + timedelta(hours=4)


def key(number: int) -> tuple[str, str]:
    return "team", f"c-{number}"


def ranked(number: int) -> tuple[datetime, datetime, str]:
    """Smaller numbers go first."""
    return rank(NOW + timedelta(days=number), END, "uid")


def updating(since: datetime = NOW, state: str = "Running", **more: Any) -> dict[str, Any]:
    return {"reason": "Updating", "steps": [{"name": "ControlPlane", "state": state, "since": stamp(since)}], **more}


def a_site(*said: dict[str, Any], now: datetime = NOW) -> Places:
    places = Places()
    for number, update in enumerate(said):
        places.seen(key(number), "north", update, ranked(number), now)
    return places


def may(places: Places, number: int, most: int | str, now: datetime = NOW) -> bool:
    return places.ask(key(number), "north", most, ranked(number), now) is None


# --- how many -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("most", "allowed"), [(1, 1), (3, 3), ("25%", 1), ("50%", 2), ("100%", 5), ("1%", 1), (9, 5)])
def test_so_many_of_the_site_as_it_says(most: int | str, allowed: int) -> None:
    places = a_site(*[RESTS] * 5)
    assert [may(places, n, most) for n in range(5)] == [True] * allowed + [False] * (5 - allowed)


def test_who_waits_is_told_how_many_there_are() -> None:
    places = a_site(updating(), RESTS, RESTS, RESTS)
    assert places.ask(key(1), "north", "25%", ranked(1), NOW) == Full(most=1, there=4, busy=1)
    assert places.busy("north") == 1


def test_other_sites_do_not_count() -> None:
    places = a_site(updating(), RESTS)
    places.seen(key(7), "south", RESTS, ranked(7), NOW)
    assert places.ask(key(7), "south", 1, ranked(7), NOW) is None


@pytest.mark.parametrize(
    "said",
    [
        updating(stopped={"step": "ControlPlane"}),
        updating(state="Held"),
        updating(state="Failed"),
        updating(state="Done"),
        updating(NOW - COUNTS_FOR),
        {"reason": "SiteMissing"},
    ],
)
def test_who_has_stopped_or_is_held_blocks_nobody(said: dict[str, Any]) -> None:
    assert may(a_site(said, RESTS), 1, 1)


def test_who_goes_on_counts_again() -> None:
    places = a_site(updating(state="Held"), RESTS)
    places.seen(key(0), "north", updating(), ranked(0), NOW)
    assert not may(places, 1, 1)


def test_a_place_is_kept_while_it_is_looked_at_how_the_cluster_is_and_not_when_a_check_blocks() -> None:
    places = a_site(RESTS, RESTS)
    assert may(places, 1, 1)
    places.seen(key(1), "north", {"reason": "Preflight"}, ranked(1), NOW)
    assert not may(places, 0, 1)
    places.seen(key(1), "north", {"reason": "PreflightBlocks"}, ranked(1), NOW)
    assert may(places, 0, 1)


def test_a_place_that_is_never_taken_is_not_kept_for_ever() -> None:
    places = a_site(RESTS, RESTS)
    assert may(places, 1, 1)
    assert not may(places, 0, 1)
    assert may(places, 0, 1, NOW + timedelta(minutes=11))


def test_a_cluster_that_is_gone_leaves_its_place() -> None:
    places = a_site(updating(), WAITS, RESTS)
    places.forget(key(0))
    places.forget(key(1))
    assert may(places, 2, 1)
    assert not places.knows(key(0))


# --- who goes first ---------------------------------------------------------------------------------------------------


def test_what_expires_first_then_whose_window_closes_first_then_by_a_hash_that_stays() -> None:
    soon, late = NOW + timedelta(days=9), NOW + timedelta(days=99)
    in_order = [
        rank(soon, END + timedelta(hours=9), "b"),
        rank(late, END, "b"),
        rank(late, END + timedelta(hours=1), "b"),
        rank(None, END, "b"),
        rank(None, None, "b"),
    ]
    assert sorted(in_order) == in_order
    assert rank(None, END, "a") == rank(None, END, "a") != rank(None, END, "b")


def test_who_waits_and_goes_before_is_waited_for_as_long_as_it_is_looked_at() -> None:
    places = a_site(WAITS, RESTS)
    assert not may(places, 1, 1)
    assert may(places, 0, 1)
    places = a_site(WAITS, RESTS)
    assert may(places, 1, 1, NOW + 3 * AGAIN)


def test_when_a_window_opens_those_that_were_announced_are_waited_for() -> None:
    announced = {"reason": "OutsideMaintenance", "nextTime": stamp(NOW)}
    places = a_site(announced, announced, now=NOW - timedelta(hours=1))
    assert not may(places, 1, 1)
    assert may(places, 1, 1, NOW + AGAIN)


# --- by chance ------------------------------------------------------------------------------------------------------


@dataclass
class Played:
    """One Cluster. left: looks until its update is through; None before it begins. fate: how it goes on its way."""

    number: int
    fate: str
    takes: int
    left: int | None = None
    began: datetime | None = None
    update: dict[str, Any] = field(default_factory=lambda: dict(RESTS))

    def go_on(self, now: datetime) -> None:
        assert self.left is not None
        self.left -= 1
        if self.left <= 0:
            self.update = dict(RESTS)
        elif self.fate == "stops":
            self.update = updating(now, stopped={"step": "ControlPlane"})
        elif self.fate == "is held":
            self.update = updating(now, "Held" if self.left % 2 else "Running")

    @property
    def counts(self) -> bool:
        return "stopped" not in self.update and any(s["state"] == "Running" for s in self.update.get("steps", ()))


def lived(random: Random, most: int | str) -> list[Played]:
    """A night at a Site: everybody is due, and is looked at in random order every two minutes."""
    fates = ("goes well", "goes well", "stops", "is held", "blocked")
    fleet = [Played(n, random.choice(fates), random.randint(1, 8)) for n in range(random.randint(1, 12))]
    places, now = Places(), NOW
    for one in fleet:
        places.seen(key(one.number), "north", one.update, ranked(one.number), now)
    for _ in range(400):
        for one in random.sample(fleet, len(fleet)):
            look(places, fleet, one, most, now)
            now += timedelta(seconds=random.randint(0, int(AGAIN.total_seconds()) // len(fleet)))
        if random.random() < 0.02:  # a new controller
            places = Places()
            for one in fleet:
                places.seen(key(one.number), "north", one.update, ranked(one.number), now)
    return fleet


def look(places: Places, fleet: list[Played], one: Played, most: int | str, now: datetime) -> None:
    if one.left is not None:
        one.go_on(now)
    elif places.ask(key(one.number), "north", most, ranked(one.number), now) is not None:
        one.update = dict(WAITS)
    elif one.fate == "blocked":
        one.update, one.fate = {"reason": "PreflightBlocks"}, "goes well"
    else:
        allowed = rounded_down(most, len(fleet))
        others = [o for o in fleet if o.counts and o.fate != "is held"]  # those go on whatever others do
        assert len(others) < allowed
        before = [o for o in fleet if o.update == WAITS and o.number < one.number]
        assert len(before) < allowed, "who goes first has been passed"
        one.left, one.began, one.update = one.takes, now, updating(now)
    places.seen(key(one.number), "north", one.update, ranked(one.number), now)


@settings(max_examples=60)
@given(seed=st.integers(0), most=st.integers(1, 5) | st.sampled_from(["1%", "25%", "60%", "100%"]))
def test_never_more_than_may_be_never_out_of_turn_and_everyone_comes_to_it(seed: int, most: int | str) -> None:
    fleet = lived(Random(seed), most)  # noqa: S311 - the same again for the same seed
    assert [one.number for one in fleet if one.began is None] == []

"""Add-ons in updates: which versions come when, and which Kubernetes they allow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kaas.api.addon import Addon, AddonClusters
from kaas.api.cluster import Cluster
from kaas.updates.explain.facts import State
from kaas.updates.explain.why import explain
from kaas.updates.facts import AddOn, Aims, Change
from kaas.updates.forecast import forecast
from kaas.updates.planner import plan
from kaas.updates.subject import AddOns, Subject
from tests.unit.updates.addons import addon, has, raw_addon, there
from tests.unit.updates.conducting import OPEN
from tests.unit.updates.subjects import NOW, TUESDAYS, calendar, cluster, raw_cluster, site, version
from tests.unit.updates.subjects import release as model

OLD, PATCH, NEXT = model("v1.36.1"), model("v1.36.3"), model("v1.37.0")
MINOR = {"kubernetes": "Minor"}
TWO = addon("agent", "1.0.0", "1.1.0")


def subject(*found: Any, addons: AddOns, releases: Any = (OLD,), **spec: Any) -> Subject:
    """A Cluster that has these add-ons, as its status says."""
    raw = raw_cluster(maintenance={"windows": [TUESDAYS]}, **spec)
    seen = {"update": {"reason": "UpToDate"}, "addOns": found}
    of = Cluster.model_validate({**raw, "status": {**raw["status"], **seen}})
    return Subject.of(of, version("v1.36.1"), releases, site(), calendar(of)).beside(addons)


# --- what is due --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "had", "comes"),
    [
        (TWO, "1.0.0", "1.1.0"),
        (TWO, "1.1.0", None),
        (addon("agent", "1.9.0", "1.10.0"), "1.9.0", "1.10.0"),
        (addon("agent", "1.9.0", "1.10.0"), "1.10.0", None),
        (addon("agent", "1.0.0", "1.0.0-1"), "1.0.0", "1.0.0-1"),
        (addon("agent", "1.0.0", "1.1.0", unusable=("1.1.0",)), "1.0.0", None),
        (addon("agent", "1.0.0", "1.1.0", ("1.2.0", "1.35")), "1.0.0", "1.1.0"),
        (addon("agent", "1.0.0", "1.1.0", clusters={"matchLabels": {"tier": "other"}}), "1.0.0", None),
        (addon("other", "1.0.0", "1.1.0"), "1.0.0", None),
    ],
)
def test_the_newest_that_can_be_used_and_supports_what_runs(known: Any, had: str, comes: str | None) -> None:
    found = plan(subject(has("agent", had), addons=there(known)), OPEN)
    assert (found.target is not None) == (comes is not None)
    if comes:
        assert found.aims == Aims(version("v1.36.1"), (Change.ADD_ONS,), add_ons=(AddOn("agent", had, comes, None),))
        assert f"add-on agent {comes} is there since 2026-12-20, {had} is in use" in found.message


def test_it_waits_for_its_window_and_its_owner() -> None:
    assert plan(subject(has("agent", "1.0.0"), addons=there(TWO)), NOW).reason == "OutsideMaintenance"
    kept = subject(has("agent", "1.0.0"), addons=there(TWO), updates={"addOns": "None"})
    assert plan(kept, OPEN).target is None


@pytest.mark.parametrize(("failed", "most", "comes"), [(1, 1, True), (2, 1, False), (1, 0, False), (2, 2, True)])
def test_what_stopped_the_updates_of_others_is_begun_nowhere_else(failed: int, most: int, comes: bool) -> None:
    known = raw_addon("agent", "1.0.0", "1.1.0", maxFailures=most)
    known["status"]["versions"][1]["stopped"] = failed
    found = plan(subject(has("agent", "1.0.0"), addons=there(Addon.model_validate(known))), OPEN)
    assert (found.target is not None) is comes


@pytest.mark.parametrize(("scope", "target"), [("All", False), ("Nodes", True), ("Minor", True)])
def test_exclusions_for_nodes_do_not_keep_add_ons_out(scope: str, target: bool) -> None:
    of = subject(has("agent", "1.0.0"), addons=there(TWO))
    out = {"from": "2027-01-01T00:00:00Z", "until": "2027-02-01T00:00:00Z", "scope": scope, "reason": "fair"}
    kept = cluster(maintenance={"windows": [TUESDAYS], "exclusions": [out]})
    found = plan(replace(of, calendar=calendar(kept)), OPEN)
    assert (found.target is not None) is target


def test_it_comes_with_another_version_of_kubernetes_that_it_supports() -> None:
    narrow = addon("narrow", "1.0.0", ("1.1.0", "1.36"))
    both = subject(
        *(has("agent", "1.0.0"), has("narrow", "1.0.0")), addons=there(TWO, narrow), releases=(OLD, NEXT), updates=MINOR
    )
    found = plan(both, OPEN)
    assert found.aims is not None
    assert found.aims.version == version("v1.37.0")
    assert found.aims.changes == (Change.MINOR, Change.ADD_ONS)
    assert [a.name for a in found.aims.add_ons] == ["agent"], "the other supports 1.36 only, and comes for nobody now"


def test_no_version_of_kubernetes_comes_with_add_ons_that_do_not_support_it() -> None:
    narrow = addon("narrow", "1.0.0", ("1.1.0", "1.36"))
    found = plan(subject(has("narrow", "1.0.0"), addons=there(narrow), releases=(OLD, NEXT), updates=MINOR), OPEN)
    assert found.aims is not None
    assert found.aims.changes == (Change.MINOR,)


# --- what they support --------------------------------------------------------------------------------------------


BOUND = addon("agent", ("1.0.0", "1.36"))
BETTER = addon("agent", ("1.0.0", "1.36"), ("1.1.0", "1.37"))


def test_no_minor_past_what_an_add_on_supports() -> None:
    of = subject(has("agent", "1.0.0"), addons=there(BOUND), releases=(OLD, NEXT), updates=MINOR)
    found = plan(of, OPEN)
    assert (found.target, found.reason) == (None, "AddOnLimit")
    assert "add-on agent 1.0.0 supports no newer minor than 1.36: add a version that does to its Addon" in found.message
    why = explain(of, OPEN)
    assert (why.state, why.reason) == (State.BLOCKED, "AddOnLimit")
    assert any("kaas addons status -n tenants" in way.command for way in why.ways)
    assert any("v1.37.0" in link.message for link in why.because)


def test_patches_come_all_the_same() -> None:
    of = subject(has("agent", "1.0.0"), addons=there(BOUND), releases=(OLD, PATCH, NEXT), updates=MINOR)
    assert plan(of, OPEN).target == version("v1.36.3")


def test_the_add_on_comes_first_and_the_minor_after_it() -> None:
    of = subject(has("agent", "1.0.0"), addons=there(BETTER), releases=(OLD, NEXT), updates=MINOR)
    first = plan(of, OPEN)
    assert first.aims is not None
    assert first.aims.changes == (Change.ADD_ONS,)
    kinds = [(e.version, e.changes, e.what) for e in forecast(of, NOW) if e.kind == "Update"]
    assert kinds == [
        (version("v1.36.1"), (Change.ADD_ONS,), "add-on agent 1.1.0"),
        (version("v1.37.0"), (Change.MINOR,), "v1.37.0"),
    ]


@pytest.mark.parametrize(
    ("known", "updates", "words"),
    [
        (BOUND, {}, ": add a version that does to its Addon"),
        (addon("agent", ("1.0.0", "1.36"), ("1.1.0", "1.36")), {}, ": add a version that does to its Addon"),
        (BETTER, {}, "; 1.1.0 of it comes first"),
        (BETTER, {"addOns": "None"}, "; 1.1.0 would, but spec.updates.addOns is None: set it to Auto"),
        (
            addon("agent", ("1.0.0", "1.36"), "1.1.0", unusable=("1.1.0",)),
            {},
            "; 1.1.0 cannot be used: it is missing",
        ),
        (
            addon("agent", ("1.0.0", "1.36"), ("1.1.0", "1.37", "1.37")),
            {},
            ": no version of it supports both 1.36 and 1.37, add one that does to its Addon",
        ),
    ],
)
def test_what_would_lift_a_limit_is_said_as_it_is(known: Addon, updates: dict[str, str], words: str) -> None:
    of = subject(has("agent", "1.0.0"), addons=there(known), releases=(OLD, NEXT), updates={**MINOR, **updates})
    (limit,) = of.limits
    assert limit.message == "add-on agent 1.0.0 supports no newer minor than 1.36" + words


def test_what_has_expired_and_is_kept_by_an_add_on_says_so_in_whole_words() -> None:
    ended = model("v1.36.1", expires="2027-01-01")
    found = plan(subject(has("agent", "1.0.0"), addons=there(BOUND), releases=(ended, NEXT), updates=MINOR), OPEN)
    assert (found.target, found.reason) == (None, "AddOnLimit")
    assert found.message.startswith("v1.36.1 has expired, and add-on agent 1.0.0 supports no newer minor than 1.36: ")
    assert found.message.endswith("add a version that does to its Addon")


@pytest.mark.parametrize(
    ("addons", "words"),
    [
        (there(addon("agent", "1.1.0", unusable=("1.1.0",))), "says nothing any more"),
        (there(unread=("agent",)), "Addon agent is not there, or cannot be read"),
        (there(), "Addon agent is not there, or cannot be read"),
    ],
)
def test_what_nobody_knows_allows_no_minor(addons: AddOns, words: str) -> None:
    found = plan(subject(has("agent", "1.0.0"), addons=addons, releases=(OLD, NEXT), updates=MINOR), OPEN)
    assert (found.target, found.reason) == (None, "AddOnLimit")
    assert words in found.message


def test_what_a_cluster_does_not_have_limits_nothing() -> None:
    waits = {"name": "agent", "state": "Waiting"}
    assert plan(subject(waits, addons=there(BOUND), releases=(OLD, NEXT), updates=MINOR), OPEN).target is not None


def test_what_is_known_of_an_addon_outlives_its_counts() -> None:
    one = addon("agent", "1.0.0")
    assert one.status is not None
    counts = AddonClusters(selected=3, current=2, failing=0)
    counted = one.model_copy(update={"status": one.status.model_copy(update={"clusters": counts})})
    first = AddOns.of([one])
    second = AddOns.of([counted], before=first)
    assert second.readable == first.readable
    assert AddOns.of([counted], before=second) is second
    assert AddOns.of([addon("agent", "1.0.0", "1.1.0")], before=second).readable != first.readable

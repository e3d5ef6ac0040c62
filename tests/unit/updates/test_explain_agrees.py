"""Whatever a Cluster's spec, status, Site and Releases are: an explanation never contradicts the planner."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.api.cluster import Cluster
from kaas.updates.explain.facts import Explanation, State
from kaas.updates.explain.why import explain
from kaas.updates.facts import Decision
from kaas.updates.subject import Subject
from kaas.updates.unusable import decide
from tests.unit.updates.office import World
from tests.unit.updates.situations import Situation

OF_A_RUN: Final = frozenset({"UnderWay", "Stopped", "WindowClosed", "WaitsForPerson", "StepHeld"})
OWN: Final = frozenset({"NotLookedAt", "PreflightBlocks", "Preflight", "Paused", "PreviewOnly"})
SEEDS: Final = range(1000)


def explained(seed: int) -> tuple[Situation, Decision, Explanation]:
    it = Situation(seed)
    decision = decide(it.subject, it.now, it.problem)
    return it, decision, explain(it.subject, it.now, it.problem)


@given(st.integers(min_value=0))
def test_it_never_contradicts_the_planner(seed: int) -> None:
    check(*explained(seed))


@pytest.mark.parametrize("first", SEEDS[::100])
def test_nor_for_the_same_clusters_each_time(first: int) -> None:
    for seed in range(first, first + 100):
        check(*explained(seed))


def check(it: Situation, decision: Decision, found: Explanation) -> None:
    assert found.decided == decision.reason
    assert found.answer
    assert "\n" not in found.answer
    assert found.reason == decision.reason or found.reason in OF_A_RUN | OWN
    assert found.ways or found.state is not State.BLOCKED, "who has to act is told how"
    times = [c.at for c in found.coming if c.at is not None]
    assert times == sorted(times)
    assert all(time >= it.now for time in times)
    if decision.target is not None and decision.choice is None:
        assert found.reason in OF_A_RUN
        assert found.state not in (State.CURRENT, State.UNKNOWN)
    else:
        to_come(decision, found)


def to_come(decision: Decision, found: Explanation) -> None:
    """No update is under way: what is said follows from what is to come."""
    nothing = decision.target is None and decision.choice is None
    assert (found.version is None) == nothing
    assert found.state is not State.CURRENT or nothing
    assert found.state is not State.UNDER_WAY
    assert found.reason not in OF_A_RUN
    if decision.target is not None and decision.choice is not None:
        assert found.reason in {"NotLookedAt", "PreflightBlocks", "Preflight"}
    if decision.begins is not None:
        assert decision.begins in [c.at for c in found.coming]
        assert found.state in (State.WAITS, State.BLOCKED, State.UNKNOWN)
    if found.reason in ("Paused", "PreflightBlocks"):
        assert found.state is State.BLOCKED
        assert decision.choice is not None


async def written(it: Situation) -> Cluster:
    """The Cluster after the real reconciler has looked at it, and has nothing new to say."""
    world = World()
    for obj in (it.subject.site, it.subject.cluster, *it.subject.catalogue.releases):
        world.put(obj.to_json())
    world.clock.time = it.now
    await world.look()
    before = None
    while before != world.update:
        before = world.update
        await world.look()
    return Cluster.model_validate(world.cluster)


@pytest.mark.parametrize("first", SEEDS[::250])
async def test_it_says_what_the_controller_says(first: int) -> None:
    for it in map(Situation, range(first, first + 250)):
        known, cluster = it.subject, await written(it)
        about = Subject.of(cluster, known.running, known.catalogue.releases, known.site, known.calendar)
        found = explain(about, it.now, it.problem)
        assert cluster.status is not None
        assert cluster.status.update is not None
        said = cluster.status.update.reason
        assert said in (found.decided, found.reason)
        assert found.reason != "NotLookedAt" or cluster.status.observed_generation == 1


def test_every_obstacle_is_among_them() -> None:
    """What is never met is never tested."""
    met = {reason for seed in SEEDS for reason in (explained(seed)[2].decided, explained(seed)[2].reason)}
    assert met >= OF_A_RUN | (OWN - {"PreviewOnly", "Preflight"})
    assert met >= {"UpToDate", "Pinned", "ChannelNone", "KubernetesNone", "NotInChannel", "SiteLimit", "Expired"}
    assert met >= {"OutsideMaintenance", "Excluded", "TooSoon", "NotReady", "RepairInFlight", "NoMaintenanceWindow"}
    assert met >= {"MaintenanceInvalid", "NotRunning", "VersionChanged", "AheadOfVersion", "Updating"}

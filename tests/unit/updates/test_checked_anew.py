"""The checks before an update are made at once when what they depend on has changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from kaas.api.constants import ANNOTATION_UPDATE_CHECK
from kaas.kube import resources
from kaas.updates.run import Finding, Severity
from kaas.updates.watched import concern
from tests.unit.updates.explaining import OPEN, a_world, annotate, why, words
from tests.unit.updates.office import World

QUOTA = Finding("QuotaForSurge", Severity.BLOCK, "quota of Site north has no server left: raise it")
OVERRIDE = {"check": "QuotaForSurge", "reason": "OPS-417"}


@pytest.fixture(name="world")
def new_world() -> World:
    world = a_world()
    world.machines("v1.36.1")
    world.clock.time = OPEN
    world.checks.findings = (QUOTA,)
    return world


def site(world: World, **spec: Any) -> None:
    found = world.index.get(resources.SITE, None, "north")
    assert found is not None
    world.put({**found, "spec": {**found["spec"], **spec}})


def repairs(world: World, *, held: bool) -> None:
    breakers = [{"scope": "Cluster", "reason": "TooMany", "message": "five are sick", "since": OPEN.isoformat()}]
    repair = {"unhealthy": 0, "inFlight": 0, "quarantined": 0, "breakers": breakers if held else []}
    world.change(repair=repair)


CHANGES: dict[str, Callable[[World], None]] = {
    "an override": lambda world: world.spec(updates={"preflight": {"overrides": [OVERRIDE]}}),
    "a pool": lambda world: world.spec(nodePools=[{"name": "cpu", "flavor": "cpu-4", "replicas": 2}]),
    "a severity of the Site": lambda world: site(
        world, updates={"preflight": {"severities": [{"check": "QuotaForSurge", "severity": "Warn"}]}}
    ),
    "an image of the Site": lambda world: site(world, images=[{"version": "v1.36.3", "name": "other"}]),
    "an annotation": lambda world: annotate(world, **{ANNOTATION_UPDATE_CHECK.replace("-", "_"): "now"}),
    "a breaker": lambda world: repairs(world, held=False),
}

OF_SITE = (CHANGES["a severity of the Site"], CHANGES["an image of the Site"])


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_it_is_due_and_what_blocked_it_is_gone(world: World, change: Callable[[World], None]) -> None:
    repairs(world, held=True)
    await world.look()
    assert world.update["reason"] == "PreflightBlocks"
    seen, world.checks.findings = concern(world.cluster), ()
    world.clock.time += timedelta(seconds=20)
    await world.look()
    assert world.checks.calls == ["preflight"]  # nothing has been said
    change(world)
    assert concern(world.cluster) != seen or change in OF_SITE  # another watch tells of that
    await world.look()
    assert world.update["target"] == "v1.36.3"


async def test_before_it_is_due_too(world: World) -> None:
    world.clock.time = OPEN - timedelta(hours=20)
    await world.look()
    world.checks.findings = ()
    await world.look()
    assert [f["check"] for f in world.update["preflight"]["findings"]] == ["QuotaForSurge"]
    CHANGES["an override"](world)
    await world.look()
    assert world.update["preflight"]["findings"] == []


async def test_a_change_that_makes_it_block_counts_while_it_is_looked_at_how_the_cluster_is(world: World) -> None:
    world.checks.findings, world.checks.measured = (), False
    await world.look()
    assert world.update["reason"] == "Preflight"
    world.checks.findings, world.checks.measured = (QUOTA,), True
    CHANGES["a severity of the Site"](world)
    await world.look()
    assert ("target" in world.update, world.update["reason"]) == (False, "PreflightBlocks")


async def test_labels_and_foreign_annotations_cost_no_check(world: World) -> None:
    await world.look()
    annotate(world, example_com__owner="someone")
    await world.look()
    assert world.checks.calls == ["preflight"]


async def test_a_new_controller_tries_again_what_blocked(world: World) -> None:
    await world.look()
    world.checks.findings = ()
    CHANGES["an override"](world)  # nobody has looked since
    world.start()
    await world.look()
    assert world.update["target"] == "v1.36.3"


async def test_a_person_is_told_how(world: World) -> None:
    await world.look()
    found = why(world)
    assert found.reason == "PreflightBlocks"
    assert 'kaas.internal/update-check="$(date)" --overwrite' in words(found)

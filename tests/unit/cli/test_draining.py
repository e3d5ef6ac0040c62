"""The drains feature, put together: which events have which machines looked at."""

from __future__ import annotations

import copy
from contextlib import AsyncExitStack
from typing import Any, cast

import pytest

from kaas.api.parsed import Parsed
from kaas.cli.draining import drains
from kaas.kube import resources
from kaas.kube.objects import Object
from kaas.runtime.controller import Services
from kaas.runtime.index import Index
from kaas.runtime.watches import Feed, Subscription
from tests.unit.clusters.builders import NAME, NAMESPACE, raw_cluster
from tests.unit.updates.drains.clusters import World

KEY = (NAMESPACE, "a")


@pytest.fixture
def told() -> list[Any]:
    return []


@pytest.fixture
def feed(told: list[Any]) -> Feed:
    index = Index()
    services = cast("Services", type("Given", (), {"index": index}))
    feature = drains(Parsed(), AsyncExitStack())
    return Feed(index, [Subscription(watch, told.append) for watch in feature.watches(services)])


def machine(*, deleted: bool, revision: int, **annotations: str) -> Object:
    """As the API server sends it."""
    world = World()
    world.box("a")
    if deleted:
        world.delete("a")
    found = copy.deepcopy(world.machine("a"))
    found["metadata"] |= {"resourceVersion": str(revision), "creationTimestamp": "2027-01-01T00:00:00Z"}
    found["metadata"]["annotations"] |= annotations
    return found


def test_a_machine_is_looked_at_from_its_deletion_on(feed: Feed, told: list[Any]) -> None:
    feed.event(resources.MACHINE, "ADDED", machine(deleted=False, revision=1))
    assert told == []
    feed.event(resources.MACHINE, "MODIFIED", machine(deleted=True, revision=2))
    assert set(told) == {KEY}
    told.clear()
    feed.event(resources.MACHINE, "MODIFIED", machine(deleted=True, revision=3, **{"kaas.internal/drain-now": "mine"}))
    assert set(told) == {KEY}
    told.clear()
    feed.event(resources.CLUSTER, "ADDED", raw_cluster(NAME))
    assert told == [KEY]


def test_a_controller_that_starts_looks_at_those_that_wait(feed: Feed, told: list[Any]) -> None:
    feed.event(resources.MACHINE, None, machine(deleted=True, revision=1))
    assert told == [KEY]

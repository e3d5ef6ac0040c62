"""How the machines of a pool are replaced, as Cluster API is told."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.clusters import render
from kaas.clusters.makings import replaced_pools
from kaas.clusters.snapshot import Live
from tests.unit.clusters.builders import Object, aim, cluster, pool, site, snapshot


def topology(update: Object | None, flavor: str = "cpu-4") -> Object:
    said: Object = {"update": update} if update is not None else {}
    found = snapshot(cluster(nodePools=[pool(flavor=flavor, **said)]))
    return render.cluster(found.cluster, site(), aim(found), Live())


def part(update: Object | None, flavor: str = "cpu-4") -> Object:
    (found,) = topology(update, flavor)["spec"]["topology"]["workers"]["machineDeployments"]
    return dict(found)


def numbers(update: Object | None, flavor: str = "cpu-4") -> Any:
    rollout = part(update, flavor).get("rollout")
    return rollout and tuple(rollout["strategy"]["rollingUpdate"].values())


@pytest.mark.parametrize(
    ("update", "servers", "boxes"),
    [
        (None, None, (0, 1)),
        ({"strategy": "Surge"}, (1, 0), (1, 0)),
        ({"strategy": "Surge", "maxSurge": "25%", "maxUnavailable": 1}, ("25%", 1), ("25%", 1)),
        ({"strategy": "NoSurge"}, (0, 1), (0, 1)),
        ({"strategy": "NoSurge", "maxUnavailable": "50%"}, (0, "50%"), (0, "50%")),
        ({"strategy": "BlueGreen"}, ("100%", 0), ("100%", 0)),
        ({"strategy": "Manual"}, (1, 0), (0, 1)),
        ({"strategy": "Manual", "maxSurge": 2}, (2, 0), (2, 0)),
        ({"strategy": "Manual", "maxSurge": 0}, (0, 1), (0, 1)),
        ({"strategy": "Manual", "maxUnavailable": 0}, (1, 0), (1, 0)),
    ],
)
def test_strategies(update: Object | None, servers: Any, boxes: Any) -> None:
    assert numbers(update) == servers
    assert numbers(update, "dgx") == boxes


def test_a_pool_that_says_nothing_of_updates_is_rendered_as_ever() -> None:
    assert part({}) == part(None)
    assert not {"rollout", "deletion"} & part(None).keys()


def test_drain_time_out_of_any_pool() -> None:
    assert part({"drainTimeoutSeconds": 30})["deletion"] == {"nodeDrainTimeoutSeconds": 30}
    box = part({"drainTimeoutSeconds": 30}, "dgx")["deletion"]
    assert (box["nodeDrainTimeoutSeconds"], box["order"]) == (30, "Oldest")


@pytest.mark.parametrize(
    "update", [{"strategy": "BlueGreen"}, {"strategy": "Surge", "maxSurge": 2}, {"drainTimeoutSeconds": 1}]
)
def test_another_strategy_replaces_no_machine(update: Object) -> None:
    before, after = topology(None), topology(update)
    assert before != after
    assert replaced_pools(before, after) == frozenset()

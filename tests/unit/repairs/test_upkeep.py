"""The templates that the controller keeps for each pool: made, mended, and taken away when nobody needs them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kaas.api.cluster import Cluster
from kaas.api.repair import RepairPolicy
from kaas.kube.objects import Object
from kaas.repairs import records, templates, upkeep
from tests.unit.clusters.builders import pool
from tests.unit.repairs.fake_fleet import KEY, SIZE, Fleet

CPU = "team.pool.cpu"


def live(fleet: Fleet, name: str = CPU) -> Object | None:
    return fleet.api.objects.get(("NodeRepairTemplate.kaas.internal", KEY[0], name))


def names(fleet: Fleet) -> set[str]:
    return {name for kind, _, name in fleet.api.objects if kind == "NodeRepairTemplate.kaas.internal"}


def change_pools(fleet: Fleet, *pools: Object) -> None:
    fleet.api.change(fleet.cluster(), {"spec": {"nodePools": list(pools)}})


async def settled() -> Fleet:
    fleet = Fleet()
    await fleet.run(60)
    return fleet


async def test_a_look_at_which_nothing_changed_renders_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[str] = []

    def counted(cluster: Cluster, policies: Mapping[str, RepairPolicy]) -> list[Object]:
        rendered.append(cluster.metadata.name)
        return templates.templates(cluster, policies)

    monkeypatch.setattr(upkeep, "templates", counted)
    fleet = await settled()
    fleet.api.writes.clear()
    assert rendered == ["team"]
    fleet.kubelet("m-1", "False")
    fleet.api.change(fleet.cluster(), {"metadata": {"annotations": {"example.com/note": "other"}}})
    await fleet.run(60)
    assert rendered == ["team"]
    assert not [w for w in fleet.api.writes if w[1] == "NodeRepairTemplate"]


async def test_what_somebody_changes_in_a_template_is_changed_back() -> None:
    fleet = await settled()
    before = live(fleet)
    assert before is not None
    fleet.api.change(before, {"spec": {"template": {"spec": {"settleSeconds": 7}}}})
    fleet._add(("cluster", *KEY))
    await fleet.run(10)
    found = live(fleet)
    assert found is not None
    assert found["spec"] == before["spec"]
    fleet.api.remove(found)
    fleet._add(("cluster", *KEY))
    await fleet.run(10)
    assert live(fleet) is not None


async def test_what_a_pool_says_anew_is_in_its_template() -> None:
    fleet = await settled()
    change_pools(fleet, pool(repair={"limits": {"maxInFlight": 2}}))
    await fleet.run(10)
    found = live(fleet)
    assert found is not None
    assert found["spec"]["template"]["spec"]["limits"]["maxInFlight"] == 2


async def test_the_template_of_a_pool_that_is_gone_stays_as_long_as_a_machine_of_it() -> None:
    fleet = await settled()
    change_pools(fleet, pool("other"))
    await fleet.run(10)
    assert names(fleet) == {"team.control-plane", CPU, "team.pool.other"}
    for number in range(SIZE):
        await fleet.run(10)
        assert live(fleet) is not None
        fleet.api.remove(fleet.machine(f"m-{number}"))
    await fleet.run(10)
    assert names(fleet) == {"team.control-plane", "team.pool.other"}
    change_pools(fleet, pool())
    await fleet.run(10)
    assert names(fleet) == {"team.control-plane", CPU}


async def test_the_template_of_a_pool_that_is_gone_stays_as_long_as_a_repair_of_it() -> None:
    fleet = await settled()
    policy = fleet.ward._pools[(*KEY, "cpu")].policy
    repair = records.node_repair(fleet.machine("m-1"), policy)
    repair["metadata"] |= {"annotations": {"cluster.x-k8s.io/cloned-from-name": CPU}, "ownerReferences": []}
    fleet.api.put(repair)
    change_pools(fleet, pool("other"))
    for number in range(SIZE):
        fleet.api.remove(fleet.machine(f"m-{number}"))
    await fleet.run(10)
    assert live(fleet) is not None
    fleet.api.remove(repair)
    await fleet.run(10)
    assert live(fleet) is None


async def test_a_template_that_was_not_made_here_is_left_alone() -> None:
    fleet = await settled()
    made = live(fleet)
    assert made is not None
    labels = {"kaas.internal/cluster": "team", "kaas.internal/pool": "gone"}
    meta = {"name": "mine", "namespace": KEY[0], "labels": labels}
    fleet.api.put({**made, "metadata": meta})
    fleet.api.put(
        {**made, "metadata": {**meta, "name": "owned", "ownerReferences": made["metadata"]["ownerReferences"]}}
    )
    change_pools(fleet, pool("other"))
    for number in range(SIZE):
        fleet.api.remove(fleet.machine(f"m-{number}"))
    await fleet.run(10)
    assert names(fleet) == {"team.control-plane", "team.pool.other", "mine", "owned"}


async def test_a_controller_that_was_not_there_when_a_pool_left_takes_its_template_away() -> None:
    fleet = await settled()
    fleet.due.clear()
    change_pools(fleet, pool("other"))
    for number in range(SIZE):
        fleet.api.remove(fleet.machine(f"m-{number}"))
    fleet.start()
    await fleet.run(10)
    assert live(fleet) is None

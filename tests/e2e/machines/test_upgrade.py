"""Rolling upgrades of the control plane and its workers, through Cluster API's own controllers."""

from __future__ import annotations

import pytest

from tests.e2e.machines.conftest import MakeCluster

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.mark.parametrize("control_plane", [1, 3])
def test_an_upgrade_goes_through(by_hand: MakeCluster, control_plane: int) -> None:
    cluster = by_hand(f"up-{control_plane}")
    cluster.apply("v1.36.1", control_plane, cpu=1)
    cluster.wait_available()
    before = {m["metadata"]["name"] for m in cluster.machines()}
    cluster.apply("v1.36.3", control_plane, cpu=1)
    cluster.wait_upgraded("v1.36.3", control_plane + 1)
    after = cluster.machines()
    assert before.isdisjoint(m["metadata"]["name"] for m in after)
    nodes = cluster.workload().request("GET", "api/v1/nodes")["items"]
    assert {n["status"]["nodeInfo"]["kubeletVersion"] for n in nodes} == {"v1.36.3"}
    assert {n["metadata"]["name"] for n in nodes} == {m["status"]["nodeRef"]["name"] for m in after}
    cluster.delete()

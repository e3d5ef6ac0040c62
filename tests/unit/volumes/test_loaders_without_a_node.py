"""Loaders that no node takes: they follow their Pods, and wait for nodes with GPUs while it makes sense."""

from __future__ import annotations

import pytest

from kaas.loader.report import Exit, Reason
from kaas.volumes import terms
from kaas.volumes.claim import claim_of
from tests.unit.volumes.test_where_loaders_run import GPU, NOTES, keeps_off, later, place, required, unplaced, waits
from tests.unit.volumes.virtual_cluster import NAMESPACE, VirtualCluster


@pytest.fixture(name="cluster")
def virtual_cluster() -> VirtualCluster:
    found = VirtualCluster()
    found.storage_class()
    return found


async def test_a_loader_that_no_node_takes_follows_the_pods(cluster: VirtualCluster) -> None:
    """The node of the Pod that used the volume is gone, and the Pod with it."""
    cluster.claim(notes=NOTES)
    cluster.runs("app", "data", node="n1")
    await cluster.settle()
    unplaced(cluster)
    for _ in range(4):
        await later(cluster, 31)
    assert len(cluster.api.of("Job")) == 1
    assert ("delete", "Job") not in cluster.api.calls, "nothing has changed"
    cluster.api.drop(("Pod", NAMESPACE, "app"))
    cluster.pod("app", "data")
    for _ in range(3):
        await later(cluster, 31)
        cluster.kubernetes()
    await cluster.settle()
    assert keeps_off(place(cluster))
    assert claim_of(cluster.api.objects["PersistentVolumeClaim", NAMESPACE, "data"]).condition["reason"] != "Failed"


@pytest.mark.parametrize("device", ["nvidia.com/gpu", "cpu"])
async def test_an_attempt_that_no_node_takes_keeps_its_job_while_pods_are_the_same(
    cluster: VirtualCluster, device: str
) -> None:
    """Its volume is there by now, so that nodes with GPUs and other volumes count no more."""
    cluster.claim("old", phase="Pending", storageClassName="later")
    cluster.bind_in("old", "a")
    waits(cluster, "data")
    cluster.pod("app", "data", "old", containers=[{"resources": {"limits": {device: "1"}}}])
    await cluster.settle()
    cluster.kubernetes()
    (pod,) = cluster.open_loaders()
    cluster.running(pod)
    cluster.bind_in("data", "a")
    await later(cluster, 3600)
    cluster.end(pod, Exit.RETRY, Reason.UNREACHABLE, "503")
    for _ in range(4):
        unplaced(cluster)
        await later(cluster, 31)
    assert ("delete", "Job") not in cluster.api.calls
    assert "its Pod does not start: 0/3 nodes" in cluster.told()[2]


async def test_a_job_that_is_made_anew_has_what_is_left_of_the_time(cluster: VirtualCluster) -> None:
    cluster.claim(notes={**NOTES, terms.TIMEOUT: "7200"})
    cluster.runs("app", "data", node="n1")
    await cluster.settle()
    for minutes in (30, 20):
        unplaced(cluster)
        await later(cluster, minutes * 60)
        cluster.api.drop(("Pod", NAMESPACE, "app"))
        cluster.runs("app", "data", node=f"n{minutes}")
        await later(cluster, 31)
        assert cluster.told()[2].startswith("its Job was deleted")
        await later(cluster, 3600)  # without a Job no time is counted
        cluster.kubernetes()
        await cluster.settle()
    (job,) = cluster.api.of("Job")
    assert job["spec"]["activeDeadlineSeconds"] == 7200 - 50 * 60 - 2 * 31
    cluster.api.store({**job, "status": {"conditions": [{"type": "Failed", "status": "True", **OVER}]}})
    await cluster.settle()
    assert cluster.told()[2].startswith(f"it was not done within 2h00m ({terms.TIMEOUT})")


OVER = {"reason": "DeadlineExceeded", "message": "Job was active longer than specified deadline"}


async def test_nothing_is_remembered_of_a_claim_that_is_gone(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES)
    cluster.pod("app", "data")
    await cluster.settle()
    unplaced(cluster)
    await later(cluster, 31)
    places = cluster.reconciler._places
    assert places._asked
    cluster.api.drop(("PersistentVolumeClaim", NAMESPACE, "data"))
    await cluster.settle()
    assert not places._asked


async def test_a_loader_that_has_its_node_stays_there(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES)
    cluster.runs("app", "data", node="n1")
    await cluster.settle()
    cluster.kubernetes()
    cluster.api.drop(("Pod", NAMESPACE, "app"))
    for _ in range(4):
        await later(cluster, 31)
    assert ("delete", "Job") not in cluster.api.calls


# -- nodes with GPUs -------------------------------------------------------------------------------------------------


GPU_POOL = {"nvidia.com/gpu.present": "true", "pool": "one"}
CONTAINERS = [{"resources": {"limits": {"nvidia.com/gpu": "8"}}}]


async def waits_for_gpus(cluster: VirtualCluster, labels: dict[str, str], pool: str = "one") -> None:
    """A loader that no node takes for a while. labels: of the only node that there is."""
    cluster.api.store({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "labels": labels}})
    waits(cluster, "data")
    cluster.pod("app", "data", tolerations=[GPU], containers=CONTAINERS, nodeSelector={"pool": pool})
    await cluster.settle()
    unplaced(cluster)
    for _ in range(38):
        await later(cluster, 31)
    assert required(cluster), "it may be that one is booted"
    assert "its Pod does not start: 0/3 nodes" in cluster.told()[2]
    for _ in range(4):
        await later(cluster, 31)
        cluster.kubernetes()
    await cluster.settle()


@pytest.mark.parametrize(("pool", "labels"), [("one", {"pool": "one"}), ("other", GPU_POOL)])
async def test_where_no_node_with_gpus_comes_another_one_is_taken(
    cluster: VirtualCluster, pool: str, labels: dict[str, str]
) -> None:
    """Nothing may know of nodes to come which label they will have, and the Pod for which one comes waits."""
    await waits_for_gpus(cluster, labels, pool)
    assert not required(cluster)
    assert place(cluster)["nodeSelector"] == {"pool": pool}
    assert place(cluster)["tolerations"] == [GPU]
    deleted = cluster.api.calls.count(("delete", "Job"))
    unplaced(cluster)
    for _ in range(50):
        await later(cluster, 31)
    assert cluster.api.calls.count(("delete", "Job")) == deleted == 1, "once is enough"


async def test_where_a_node_with_gpus_is_full_it_is_waited_for(cluster: VirtualCluster) -> None:
    """A volume that is made elsewhere may never get there."""
    await waits_for_gpus(cluster, GPU_POOL)
    for _ in range(50):
        await later(cluster, 31)
    assert required(cluster)
    assert ("delete", "Job") not in cluster.api.calls


async def test_many_loaders_that_wait_for_gpus_ask_once_for_nodes(cluster: VirtualCluster) -> None:
    await waits_for_gpus(cluster, GPU_POOL)
    for number in range(3):
        waits(cluster, f"c{number}")
        cluster.pod(f"p{number}", f"c{number}", containers=CONTAINERS, nodeSelector={"pool": "one"})
    await cluster.settle()
    unplaced(cluster)
    await later(cluster, 1300)
    before = cluster.api.calls.count(("list", "Node"))
    await later(cluster, 31)
    assert cluster.api.calls.count(("list", "Node")) == before + 1

"""Pools are replaced: boxes wait for their jobs and for each other, old servers for all new ones to have soaked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.kube.objects import Object, Ref, annotation, condition
from kaas.kube.resources import DRAIN_HOOK
from tests.e2e.platform import Platform, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NAME = "trainers"
GPUS = "8"
SOAK = 30
MACHINES = "apis/cluster.x-k8s.io/v1beta2/namespaces/default/machines?labelSelector=kaas.internal/pool="
ANEW = {"example.com/anew": "yes"}
"""Labels of a pool are among what its machines are made of."""


def _cluster(dgx: dict[str, str] | None = None, web: dict[str, str] | None = None) -> Object:
    soaking = {"strategy": "BlueGreen", "soakSeconds": SOAK}
    pools = [
        {"name": "dgx", "flavor": "g1.a100x8", "replicas": 2, "labels": dgx or {}},
        {"name": "web", "flavor": "m1.small", "replicas": 2, "labels": web or {}, "update": soaking},
    ]
    spec = {
        "version": "v1.36.1",
        "site": "lab",
        "controlPlane": {"replicas": 1, "flavor": "m1.small"},
        "nodePools": pools,
    }
    meta = {"name": NAME, "namespace": "default"}
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "Cluster", "metadata": meta, "spec": spec}


@dataclass
class School:
    """The Cluster, seen from inside."""

    platform: Platform
    kubeconfig: Path

    def ask(self, resource: resources.Resource) -> dict[str, Object]:
        async def send() -> list[Object]:
            async with await KubeClient.connect(self.kubeconfig) as client:
                return await client.list(resource)

        return {o["metadata"]["name"]: o for o in asyncio.run(send())}

    def nodes(self, pool: str) -> dict[str, Object]:
        found = self.ask(resources.NODE)
        return {n: o for n, o in found.items() if o["metadata"]["labels"].get("kaas.internal/pool") == pool}

    def train(self, name: str, node: str, **annotations: str) -> None:
        """A job that takes all GPUs of a box."""
        notes = {f"kaas.internal/{k}": v for k, v in annotations.items()}
        meta = {"name": name, "namespace": "default", "annotations": notes}
        container = {"name": "app", "image": "app", "resources": {"limits": {"nvidia.com/gpu": GPUS}}}
        spec = {"nodeName": node, "containers": [container], "tolerations": [{"operator": "Exists"}]}

        async def create() -> None:
            async with await KubeClient.connect(self.kubeconfig) as client:
                await client.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}, manager="test")

        asyncio.run(create())

    def ends(self, name: str) -> None:
        async def delete() -> None:
            async with await KubeClient.connect(self.kubeconfig) as client:
                await client.delete(Ref("v1", "Pod", "default", name))

        asyncio.run(delete())

    def saves(self, name: str) -> None:
        """The job writes a checkpoint, and says so."""
        at = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()

        async def patch() -> None:
            async with await KubeClient.connect(self.kubeconfig) as client:
                notes = {"metadata": {"annotations": {"kaas.internal/checkpointed": at}}}
                await client.patch(Ref("v1", "Pod", "default", name), notes)

        asyncio.run(patch())

    def told(self) -> dict[str, str]:
        """Jobs that know when their node is drained, and the node."""
        pods = self.ask(resources.POD)
        return {n: p["spec"]["nodeName"] for n, p in pods.items() if annotation(p, "kaas.internal/drain-at")}

    def machines(self, pool: str) -> dict[str, Object]:
        return {m["metadata"]["name"]: m for m in self.platform.items(MACHINES + pool)}

    def reasons(self, pool: str) -> dict[str, str]:
        """Why machines that are to go wait, or do not."""
        found = self.machines(pool).items()
        leaving = {n: condition(m, "DrainAllowed") or {} for n, m in found if "deletionTimestamp" in m["metadata"]}
        return {n: said.get("reason", "") for n, said in leaving.items()}

    def whole(self) -> bool:
        """Two boxes, each with all of its GPUs."""
        boxes = self.nodes("dgx").values()
        return [b["status"].get("allocatable", {}).get("nvidia.com/gpu") for b in boxes] == [GPUS, GPUS]


@pytest.fixture(scope="module")
def school(openstack: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    openstack.apply(_cluster())
    until("Ready", lambda: openstack.phase(NAME) == "Ready")
    kubeconfig = tmp_path_factory.mktemp("school") / "kubeconfig"
    kubeconfig.write_text(openstack.kaas("kubeconfig", NAME).stdout)
    made = School(openstack, kubeconfig)
    until("all GPUs are there", made.whole)
    yield made
    openstack.kaas("delete", NAME, "--wait", "--yes", "--timeout", "30m")


def test_boxes_are_replaced_one_by_one_and_wait_for_their_jobs(school: School) -> None:
    before = school.machines("dgx")
    assert all(annotation(m, DRAIN_HOOK) is not None for m in before.values())
    jobs = {f"job-{n}": node for n, node in enumerate(sorted(school.nodes("dgx")))}
    for job, node in jobs.items():
        school.train(job, node, checkpoint="true")

    school.platform.apply(_cluster(dgx=ANEW))
    until("the first job is told", school.told)
    ((first, node),) = school.told().items()
    until("its machine waits for it", lambda: school.reasons("dgx") == {node: "PodsRunning"})
    assert school.nodes("dgx")[node]["spec"]["unschedulable"]
    school.platform.stop_controller(hard=True)
    school.platform.start_controller()
    assert school.told() == {first: node}
    school.ends(first)

    (second,) = jobs.keys() - {first}
    until("the second job is told", lambda: second in school.told())
    assert node not in school.machines("dgx")
    assert school.whole()
    until("it is waited for", lambda: school.reasons("dgx") == {jobs[second]: "PodsRunning"})
    school.saves(second)
    until("both boxes are new", lambda: not before.keys() & school.machines("dgx").keys())
    until("Ready again", lambda: school.platform.phase(NAME) == "Ready")
    assert school.whole()
    assert school.platform.metrics()['kaas_update_drains_begun_total{reason="PodsDone"}'] >= 1


def test_old_servers_go_when_all_new_ones_have_soaked(school: School) -> None:
    before = school.machines("web").keys()
    school.platform.apply(_cluster(dgx=ANEW, web=ANEW))
    until("all wait for the soak", lambda: school.reasons("web") == dict.fromkeys(before, "Soaking"))
    nodes = school.nodes("web")
    assert len(nodes) == 4
    assert not any(node["spec"].get("unschedulable") for node in nodes.values())
    until("the old ones are gone", lambda: not before & school.machines("web").keys())
    until("Ready again", lambda: school.platform.phase(NAME) == "Ready")
    assert len(school.machines("web")) == 2

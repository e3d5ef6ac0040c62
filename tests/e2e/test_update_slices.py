"""A pool of two boxes whose GPUs are divided by MIG is updated: one box at a time, each back with all of its slices."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kaas_lab.machines import faults
from kaas_lab.machines.faults import Fault
from kaas_lab.openstack import load

from kaas.gpu.layouts import CONFIG, STATE, STRATEGY
from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.kube.objects import annotation, condition, is_deleting, labels
from kaas.updates.drains.words import DRAIN_AT
from tests.e2e.platform import Object, Platform, until
from tests.e2e.updating import CAPI, Updated, release

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

OLD, NEW = "v1.36.1", "v1.36.3"
NAME = "sliced"
LAYOUT, SLICE, SLICES = "all-1g.5gb", "nvidia.com/mig-1g.5gb", "56"
SECONDS = 45
"""How long a layout takes: a Node is Ready long before it is there."""
WHY = "its GPUs were reset by hand"


@dataclass
class Boxes:
    """The Cluster, and what is in it."""

    cluster: Updated
    state: Path
    kubeconfig: Path

    def _ask(self, resource: resources.Resource) -> dict[str, Object]:
        async def send() -> list[Object]:
            async with await KubeClient.connect(self.kubeconfig) as client:
                return await client.list(resource)

        return {o["metadata"]["name"]: o for o in asyncio.run(send())}

    def nodes(self) -> dict[str, Object]:
        """Nodes of the pool by name."""
        return {n: o for n, o in self._ask(resources.NODE).items() if labels(o).get("kaas.internal/pool") == "dgx"}

    def train(self, node: str) -> None:
        """A job that takes one slice of a box, and does not end by itself."""
        container = {"name": "app", "image": "app", "resources": {"limits": {SLICE: "1"}}}
        spec = {"nodeName": node, "containers": [container], "tolerations": [{"operator": "Exists"}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"job-{node}", "namespace": "default"}}

        async def create() -> None:
            async with await KubeClient.connect(self.kubeconfig) as client:
                await client.apply({**pod, "spec": spec}, manager="test")

        asyncio.run(create())

    def jobs(self) -> dict[str, bool]:
        """Nodes on which a job runs, and whether it was told that the node is to be drained."""
        found = [p for n, p in self._ask(resources.POD).items() if n.startswith("job-")]
        return {p["spec"]["nodeName"]: bool(annotation(p, DRAIN_AT)) for p in found}

    def waiting(self, node: str) -> tuple[str, str]:
        """Why the machine of a node is not drained, and in which words."""
        found: list[Object] = self.cluster.platform.items(f"{CAPI}/machines")
        mine = [m for m in found if is_deleting(m) and (m.get("status") or {}).get("nodeRef", {}).get("name") == node]
        said = next((condition(m, "DrainAllowed") or {} for m in mine), {})
        return said.get("reason", ""), said.get("message", "")

    def break_layouts(self, how: faults.MigMode) -> None:
        """What becomes of GPUs that are laid out from now on."""
        faults.break_machine(self.state, Fault("mig", f"{NAME}-dgx", layout=how, seconds=SECONDS))


def _is_whole(node: Object) -> bool:
    """Whether all slices can be had, and MIG manager says so."""
    return labels(node).get(STATE) == "success" and node["status"]["allocatable"].get(SLICE) == SLICES


@pytest.fixture(scope="module")
def boxes(openstack: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boxes]:
    tags = {CONFIG: LAYOUT, STRATEGY: "mixed"}
    pool = {"name": "dgx", "flavor": "g1.a100x8", "replicas": 2, "labels": tags, "update": {"drainTimeoutSeconds": 30}}
    cluster = Updated.of(openstack, NAME, [pool], site="lab")
    kubeconfig = tmp_path_factory.mktemp("boxes") / "kubeconfig"
    made = Boxes(cluster, load(openstack.layout, "lab").state, kubeconfig)
    cluster.apply(OLD)
    until("Ready", cluster.is_ready)
    kubeconfig.write_text(openstack.kaas("kubeconfig", NAME).stdout)
    until("all slices are there", lambda: [_is_whole(n) for n in made.nodes().values()] == [True, True])
    for node in made.nodes():
        made.train(node)
    openstack.apply(release(NEW, f"ubuntu-2404-kube-{NEW}"))
    yield made
    faults.heal_all(made.state)
    cluster.delete()


def test_a_layout_that_fails_stops_it_and_the_other_box_keeps_slices_and_jobs(boxes: Boxes) -> None:
    before = boxes.nodes().keys()
    boxes.break_layouts("fails")
    boxes.cluster.apply("1.36")
    until("it has stopped", lambda: "stopped" in boxes.cluster.update)
    (kept,) = before & boxes.nodes().keys()
    (new,) = boxes.nodes().keys() - before
    stopped = boxes.cluster.update["stopped"]
    assert (stopped["step"], stopped["reason"]) == ("Pool/dgx", "LayoutFailed")
    assert f"{new} has GPUs that are not laid out as {LAYOUT} (failed)" in stopped["message"]
    assert LAYOUT in boxes.cluster.told()
    assert labels(boxes.nodes()[new])[STATE] == "failed"
    assert boxes.jobs() == {kept: False}
    assert _is_whole(boxes.nodes()[kept])
    assert not boxes.nodes()[kept]["spec"].get("unschedulable")


def test_it_goes_on_and_the_other_box_goes_when_all_slices_are_back(boxes: Boxes) -> None:
    (kept,) = boxes.jobs()
    (failed,) = (n for n, node in boxes.nodes().items() if labels(node)[STATE] == "failed")
    boxes.break_layouts("slow")
    boxes.cluster.platform.api.request("DELETE", f"{CAPI}/machines/{failed}")
    boxes.cluster.apply("1.36", retry=WHY)
    until("the new box is laid out", lambda: f"not laid out as {LAYOUT} (pending)" in boxes.waiting(kept)[1])
    assert boxes.waiting(kept)[0] == "LayoutMissing"
    assert boxes.jobs() == {kept: False}
    until("the other one has its turn", lambda: boxes.jobs().get(kept, True))
    (new,) = boxes.nodes().keys() - {kept, failed}
    assert _is_whole(boxes.nodes()[new])
    until("it is through", boxes.cluster.is_through)
    assert boxes.cluster.versions("dgx") == {NEW}
    assert [_is_whole(node) for node in boxes.nodes().values()] == [True, True]
    assert not boxes.nodes().keys() & {kept, failed}
    assert "nodes Ready" in boxes.cluster.step("Pool/dgx")["message"]
    until("Ready", boxes.cluster.is_ready)

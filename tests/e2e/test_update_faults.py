"""Updates that may not begin, updates that stop, and one to the next minor; each goes on when the cause has gone.

All Clusters are made side by side, and what fails is begun first: it takes its time to be given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kaas_lab.machines import faults as machine_faults
from kaas_lab.machines.faults import Fault
from kaas_lab.openstack import connect, faults, load
from kaas_lab.openstack.site import Site

from kaas.kube.client import KubeClient
from kaas.kube.errors import Invalid
from kaas.kube.objects import Ref
from tests.e2e.platform import Object, Platform, until
from tests.e2e.updating import CAPI, Updated, release

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MINOR, OLD, NEW = "v1.35.6", "v1.36.1", "v1.36.3"
GUARDED_IMAGE, BAD_IMAGE = "guarded-node", "node-without-kubeadm"
JOINS_WITHIN = 120
"""Seconds that the flavor's machines are given to join; an update waits for five minutes more."""
REASON = "ticket 7: the one Pod may go down with its node"
POOL = {"flavor": "m1.small", "replicas": 1, "update": {"drainTimeoutSeconds": 10}}


def _pools(*names: str) -> list[Object]:
    return [{"name": name, **POOL} for name in names]


@dataclass
class World:
    """The platform, its cloud as administrator, and the Clusters."""

    platform: Platform
    site: Site
    admin: Any  # openstacksdk leaves open which versions of the services there are
    guarded: Updated
    imaged: Updated
    joining: Updated
    minor: Updated

    @property
    def clusters(self) -> tuple[Updated, ...]:
        return self.guarded, self.imaged, self.joining, self.minor

    def upload(self, name: str, **about: str) -> None:
        kind = {"disk_format": "raw", "container_format": "bare", "visibility": "public"}
        self.admin.image.create_image(name=name, data=b"image", wait=True, properties=about, **kind)


def _site(platform: Platform, name: str, image: str) -> None:
    """The lab's Site, where the image of the new version has another name."""
    found = platform.get("apis/kaas.internal/v1alpha1/sites/lab")["spec"]
    flavors = [{"name": "m1.small", "startupTimeoutSeconds": JOINS_WITHIN}, *found["flavors"][1:]]
    spec = {**found, "flavors": flavors, "images": [{"version": NEW, "name": image}] if image else []}
    platform.apply({"apiVersion": "kaas.internal/v1alpha1", "kind": "Site", "metadata": {"name": name}, "spec": spec})


@pytest.fixture(scope="module")
def world(openstack: Platform) -> Iterator[World]:
    cloud = load(openstack.layout, "lab")
    for name, image in (("guarded", GUARDED_IMAGE), ("bad-image", BAD_IMAGE), ("impatient", "")):
        _site(openstack, name, image)
    dgx = {"name": "dgx", "flavor": "g1.a100x8", "replicas": 1}
    three = {"replicas": 3, "flavor": "m1.small"}
    made = World(
        openstack,
        cloud,
        connect(cloud),
        Updated.of(openstack, "guarded", _pools("cpu"), site="guarded"),
        Updated.of(openstack, "imaged", _pools("cpu"), site="bad-image"),
        Updated.of(openstack, "joining", _pools("a", "b"), site="impatient"),
        Updated.of(openstack, "minor", [*_pools("cpu"), dgx], site="lab", controlPlane=three),
    )
    openstack.apply(release(NEW, f"ubuntu-2404-kube-{NEW}"))
    made.upload(BAD_IMAGE)
    for cluster in made.clusters:
        cluster.apply(MINOR if cluster is made.minor else OLD)
    for cluster in made.clusters:
        until(f"{cluster.name} is Ready", cluster.is_ready)
    machine_faults.break_machine(cloud.state, Fault("join", "joining-a"))
    for cluster in (made.imaged, made.joining):
        cluster.apply("1.36")
    yield made
    faults.heal(openstack.layout, cloud.name)
    machine_faults.heal_all(cloud.state)
    openstack.kaas("delete", *(c.name for c in made.clusters), "--wait", "--yes", "--timeout", "30m")


def test_the_next_minor_with_three_control_planes_and_a_dgx_pool(world: World) -> None:
    minor = world.minor
    minor.apply("1.35", kubernetes="Minor")
    until("it has begun", lambda: minor.update.get("target") == NEW)
    assert minor.update["changes"] == ["Minor"]
    until("its control plane is through", lambda: minor.step("ControlPlane").get("state") == "Done")
    assert minor.versions() == {NEW}
    assert len(minor.machines()) == 3
    until("it is through", minor.is_through)
    assert [s["name"] for s in minor.update["steps"] if s["name"].startswith("Pool/")] == ["Pool/cpu", "Pool/dgx"]
    assert minor.versions("cpu") == minor.versions("dgx") == {NEW}
    until("Ready", minor.is_ready)
    until("nothing is left to do", lambda: minor.explained()["reason"] == "UpToDate")


# --- an update that may not begin ---------------------------------------------------------------------------------

BLOCKING = ("ImageActive", "QuotaForSurge", "DisruptionBudgets")


def test_what_blocks_an_update_is_told_all_at_once(world: World, tmp_path: Path) -> None:
    guarded, layout = world.guarded, world.platform.layout
    ((before, machine),) = guarded.machines("cpu").items()
    faults.exhaust_quota(layout, world.site.name, "instances")
    try:
        _protect(_kubeconfig(guarded, tmp_path), machine["status"]["nodeRef"]["name"])
        guarded.apply("1.36")
        until("all three are told", lambda: set(BLOCKING) <= guarded.findings().keys())
    finally:
        faults.heal(layout, world.site.name)
    found = guarded.findings()
    assert {check: found[check]["severity"] for check in BLOCKING} == dict.fromkeys(BLOCKING, "Block")
    assert f"no image {GUARDED_IMAGE!r}" in found["ImageActive"]["message"]
    assert "instances 0 of 1" in found["QuotaForSurge"]["message"]
    assert "default/alone" in found["DisruptionBudgets"]["message"]
    assert (guarded.update["reason"], "target" in guarded.update) == ("PreflightBlocks", False)
    said = guarded.told()
    for check in BLOCKING:
        assert f"{check}: remove what it has found" in said
    assert "nobody can do without this check" in said
    assert guarded.machines("cpu").keys() == {before}
    assert guarded.versions() == {OLD}


def test_it_begins_when_what_can_be_put_up_with_is_and_the_rest_is_gone(world: World) -> None:
    """It is looked at again every five minutes."""
    guarded = world.guarded
    with pytest.raises(Invalid, match="ImageActive cannot be overridden"):
        guarded.apply("1.36", preflight={"overrides": [{"check": "ImageActive", "reason": REASON}]})
    world.upload(GUARDED_IMAGE, kube_version=NEW)
    guarded.apply("1.36", preflight={"overrides": [{"check": "DisruptionBudgets", "reason": REASON}]})
    until("it has begun", lambda: guarded.update.get("target") == NEW)
    found = guarded.findings()
    assert found["DisruptionBudgets"]["override"] == REASON
    assert not {"ImageActive", "QuotaForSurge"} & found.keys()
    assert REASON in guarded.step("Preflight")["message"]
    until("it is through", guarded.is_through)
    assert guarded.versions() == guarded.versions("cpu") == {NEW}


def _kubeconfig(cluster: Updated, where: Path) -> Path:
    found = where / "kubeconfig"
    found.write_text(cluster.platform.kaas("kubeconfig", cluster.name).stdout)
    return found


def _protect(kubeconfig: Path, node: str) -> None:
    """A Pod that may never go, until the controller of its PodDisruptionBudget has seen that."""
    meta = {"namespace": "default", "name": "alone", "labels": {"app": "alone"}}
    pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": meta}
    pod["spec"] = {"nodeName": node, "containers": [{"name": "app", "image": "app"}]}
    spec = {"minAvailable": 1, "selector": {"matchLabels": meta["labels"]}}
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": spec}

    async def create() -> None:
        async with await KubeClient.connect(kubeconfig) as client:
            await client.apply(pod, manager="test")
            await client.apply(budget, manager="test")

    async def healthy() -> int:
        async with await KubeClient.connect(kubeconfig) as client:
            found = await client.get(Ref("policy/v1", "PodDisruptionBudget", "default", "alone"))
            return int(((found or {}).get("status") or {}).get("currentHealthy") or 0)

    asyncio.run(create())
    until("the Pod is well", lambda: asyncio.run(healthy()))


# --- an update that stops -----------------------------------------------------------------------------------------


def test_an_image_without_kubeadm_stops_at_the_control_plane(world: World) -> None:
    imaged = world.imaged
    stopped = _stopped(imaged, "ControlPlane")
    assert imaged.update["waiting"] == ["cpu"]
    assert imaged.versions("cpu") == {OLD}
    (lost,) = (name for name, m in imaged.machines().items() if not m["status"].get("nodeRef"))
    assert lost in stopped["message"]

    (image,) = world.admin.image.images(name=BAD_IMAGE)
    world.admin.image.delete_image(image)
    world.upload(BAD_IMAGE, kube_version=NEW)
    _goes_on(imaged, lost)
    assert imaged.versions() == imaged.versions("cpu") == {NEW}


def test_a_node_that_never_joins_stops_it_and_pools_behind_keep_their_version(world: World) -> None:
    joining = world.joining
    stopped = _stopped(joining, "Pool/a")
    assert joining.update["waiting"] == ["a", "b"]
    assert joining.versions("b") == {OLD}
    assert joining.versions() == {NEW}
    (lost,) = (name for name, m in joining.machines("a").items() if not m["status"].get("nodeRef"))
    assert lost in stopped["message"]
    assert len(joining.machines("a")) == 2, "the old machine stays until the new one has come"

    machine_faults.heal_machine(world.site.state, "join", "joining-a")
    _goes_on(joining, lost)
    assert joining.versions("a") == joining.versions("b") == {NEW}


def _stopped(cluster: Updated, step: str) -> Object:
    """Wait until the update has stopped, and is told so with the way out."""
    until(f"{cluster.name} has stopped", lambda: "stopped" in cluster.update)
    found: Object = cluster.update["stopped"]
    assert (found["step"], found["reason"]) == (step, "MachineNotJoining")
    said = cluster.told()
    assert "is not updated until a person acts" in said
    assert "kaas.internal/update-retry" in said
    return found


def _goes_on(cluster: Updated, lost: str) -> None:
    """A person has put right what was wrong: the machine that came to nothing goes, and the update goes on."""
    cluster.platform.api.request("DELETE", f"{CAPI}/machines/{lost}")
    cluster.apply("1.36", retry="the image was built again")
    until("it goes on", lambda: "stopped" not in cluster.update)
    assert cluster.update["retried"]["reason"] == "the image was built again"
    until(f"{cluster.name} is through", cluster.is_through)
    assert "waiting" not in cluster.update
    assert lost not in {**cluster.machines(), **cluster.machines("a")}
    until("Ready", cluster.is_ready)

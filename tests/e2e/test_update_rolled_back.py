"""An update to another node image stops in the middle of a pool: what is made there then has the image of before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from kaas_lab.machines import faults as machine_faults
from kaas_lab.machines.faults import Fault
from kaas_lab.openstack import connect, load
from kaas_lab.openstack.site import Site

from kaas.kube.objects import labels
from kaas.kube.resources import TOPOLOGY_DEPLOYMENT_LABEL
from tests.e2e.platform import Object, Platform, until
from tests.e2e.updating import CAPI, Updated

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

RUNS, BEFORE, AFTER = "v1.36.1", "ubuntu-2404-kube-v1.36.1", "newer-node"
SERVERS = "apis/infrastructure.cluster.x-k8s.io/v1beta1/namespaces/default/openstackmachines"
JOINS_WITHIN = 120
"""Seconds that the flavor's machines are given to join; an update waits for five minutes more."""
NAME, PLACE = "back", "rolled-back"


@dataclass
class World:
    """The platform, its cloud, and the Cluster."""

    platform: Platform
    site: Site
    team: Updated

    def images(self) -> dict[str, str]:
        """Image of each machine of the pool, by name."""
        named = {s["metadata"]["name"]: s["spec"]["image"]["filter"]["name"] for s in self.platform.items(SERVERS)}
        found = self.team.machines("cpu")
        return {name: named[m["spec"]["infrastructureRef"]["name"]] for name, m in found.items()}

    def joined(self) -> set[str]:
        return {name for name, m in self.team.machines("cpu").items() if (m.get("status") or {}).get("nodeRef")}

    def deployment(self) -> Object:
        """The MachineDeployment of the pool."""
        found = self.platform.items(f"{CAPI}/machinedeployments")
        return next(d for d in found if labels(d).get(TOPOLOGY_DEPLOYMENT_LABEL) == "cpu")


def _site(platform: Platform, image: str = "") -> None:
    """The lab's Site, which may name another image for the version."""
    found = platform.get("apis/kaas.internal/v1alpha1/sites/lab")["spec"]
    flavors = [{"name": "m1.small", "startupTimeoutSeconds": JOINS_WITHIN}, *found["flavors"][1:]]
    spec = {**found, "flavors": flavors, "images": [{"version": RUNS, "name": image}] if image else []}
    platform.apply({"apiVersion": "kaas.internal/v1alpha1", "kind": "Site", "metadata": {"name": PLACE}, "spec": spec})


@pytest.fixture(scope="module")
def world(openstack: Platform) -> Iterator[World]:
    cloud = load(openstack.layout, "lab")
    kind = {"disk_format": "raw", "container_format": "bare", "visibility": "public"}
    admin: Any = connect(cloud)  # openstacksdk leaves open what an image may be made with
    admin.image.create_image(name=AFTER, data=b"image", wait=True, properties={"kube_version": RUNS}, **kind)
    _site(openstack)
    pool = {"name": "cpu", "flavor": "m1.small", "replicas": 2, "update": {"drainTimeoutSeconds": 10}}
    team = Updated.of(openstack, NAME, [pool], site=PLACE)
    team.apply(RUNS)
    until("Ready", team.is_ready)
    yield World(openstack, cloud, team)
    machine_faults.heal_all(cloud.state)
    team.delete()


def test_what_is_made_after_the_stop_has_the_image_of_before(world: World) -> None:
    """A surge has left a machine that never joins; it is deleted, and none of those that work goes for it."""
    team, cloud = world.team, world.site
    before = world.images()
    assert set(before.values()) == {BEFORE}
    machine_faults.break_machine(cloud.state, Fault("join", f"{NAME}-cpu"))
    _site(world.platform, AFTER)
    until("it has stopped", lambda: "stopped" in team.update)
    update = team.update
    assert (update["stopped"]["step"], update["stopped"]["reason"]) == ("Pool/cpu", "MachineNotJoining")
    (entry,) = update["rolledBack"]
    assert [entry[k] for k in ("what", "pool", "from", "to")] == ["Image", "cpu", AFTER, BEFORE]
    assert entry["surplus"] == [{"name": "cpu", "machines": 1}]
    until("the pool is held", lambda: world.deployment()["spec"]["rollout"]["strategy"]["type"] == "OnDelete")
    assert f"pool cpu makes machines of {BEFORE} again" in team.told()
    (lost,) = world.images().keys() - before.keys()
    assert world.images()[lost] == AFTER

    machine_faults.heal_machine(cloud.state, "join", f"{NAME}-cpu")
    world.platform.api.request("DELETE", f"{CAPI}/machines/{lost}")
    until("another one has come", lambda: lost not in world.joined() and len(world.joined()) == 3)
    after = world.images()
    assert set(after.values()) == {BEFORE}
    assert before.keys() < after.keys(), "none of the machines that worked was replaced"
    assert world.deployment()["spec"]["replicas"] == 3


def test_tried_again_it_goes_to_the_new_image(world: World) -> None:
    world.team.apply(RUNS, retry="the network is mended")
    until("it goes on", lambda: "stopped" not in world.team.update)
    assert "rolledBack" not in world.team.update
    until("it is through", world.team.is_through)
    assert sorted(world.images().values()) == [AFTER, AFTER]
    until("Ready", world.team.is_ready)

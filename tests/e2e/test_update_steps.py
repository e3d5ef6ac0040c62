"""One update step by step: its window closes in the middle of a pool, the controller is killed at every step."""

from __future__ import annotations

from typing import Any

import pytest
from kaas_lab.openstack import connect, load

from kaas.kube.resources import CLUSTER_NAME_LABEL
from tests.e2e.killing import is_one_update_when_killed
from tests.e2e.platform import Platform, until
from tests.e2e.updating import Updated, release

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

OLD, NEW = "v1.36.1", "v1.36.3"
IMAGE = f"ubuntu-2404-kube-{NEW}"
FLAVORS = {"cpu": "m1.small", "dgx": "g1.a100x8"}
SIZES = {"cpu": 3, "dgx": 1}
SERVERS = "apis/infrastructure.cluster.x-k8s.io/v1beta1/namespaces/default/openstackmachines"
LONGEST_GAP = 5000
"""Milliseconds that an API server may not answer during an update."""


@pytest.mark.parametrize("replicas", [1, 3])
def test_a_window_closes_in_the_middle_and_the_controller_is_killed(openstack: Platform, replicas: int) -> None:
    pools = [{"name": name, "flavor": FLAVORS[name], "replicas": size} for name, size in SIZES.items()]
    control_plane = {"replicas": replicas, "flavor": "m1.small"}
    subject = Updated.of(openstack, f"stepped-{replicas}", pools, site="lab", controlPlane=control_plane)
    openstack.apply(release(NEW, IMAGE))
    subject.apply(OLD)
    until("Ready", subject.is_ready)
    is_one_update_when_killed(subject, SIZES, replicas, OLD, NEW)
    _answered(subject)
    subject.delete()


def _answered(subject: Updated) -> None:
    """The API answered all the time, as far as the controller lived to see it."""
    asked = subject.update["availability"]
    print(f"{subject.name}: {asked['probes']} questions, longest gap {asked['longestGapMilliseconds']} ms")
    assert asked["probes"] > 0
    assert asked["longestGapMilliseconds"] < LONGEST_GAP


def test_another_image_goes_from_pool_to_pool(openstack: Platform) -> None:
    image, names = f"{IMAGE}-2", ("a", "b")
    pools = [{"name": name, "flavor": "m1.small", "replicas": 1} for name in names]
    subject = Updated.of(openstack, "imaged", pools, site="lab")
    openstack.apply(release(NEW, IMAGE))
    subject.apply(NEW)
    until("Ready", subject.is_ready)
    before = {name: subject.machines(name).keys() for name in names}

    cloud: Any = connect(load(openstack.layout, "lab"))
    about = {"os_distro": "ubuntu", "os_version": "24.04", "kube_version": NEW}
    kind = {"disk_format": "raw", "container_format": "bare", "visibility": "public"}
    cloud.image.create_image(name=image, data=b"2", wait=True, properties=about, **kind)
    openstack.apply(release(NEW, image, f"{NEW}-2", since="2026-06-01T00:00:00Z"))
    until("it has begun", lambda: subject.update.get("changes") == ["Image"])
    until("the pools keep their image", lambda: subject.kept() == ["a", "b"])
    until("a goes first", lambda: subject.kept() == ["b"])
    assert subject.step("ControlPlane")["state"] == "Done"
    until("it is through", subject.is_through)
    subject.holds_nothing()
    assert not any(before[name] & subject.machines(name).keys() for name in names)
    assert _images(subject) == {image}
    subject.delete()


def _images(subject: Updated) -> set[str]:
    """Names of the images that its servers were made of."""
    found = subject.platform.items(f"{SERVERS}?labelSelector={CLUSTER_NAME_LABEL}={subject.name}")
    return {server["spec"]["image"]["filter"]["name"] for server in found}

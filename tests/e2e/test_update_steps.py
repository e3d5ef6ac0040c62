"""One update step by step: its window closes in the middle of a pool, the controller is killed at every step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kaas_lab.openstack import connect, load

from kaas.api.maintenance import WEEKDAYS
from kaas.kube.lean import ON_DELETE, strategy_of
from kaas.kube.objects import is_deleting, labels
from kaas.kube.resources import CLUSTER_NAME_LABEL, DEPLOYMENT_NAME_LABEL
from tests.e2e.killing import killed_at_every_step
from tests.e2e.platform import Object, Platform, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

OLD, NEW = "v1.36.1", "v1.36.3"
MACHINES = 3
CAPI = "apis/cluster.x-k8s.io/v1beta2/namespaces/default"
SERVERS = "apis/infrastructure.cluster.x-k8s.io/v1beta1/namespaces/default/openstackmachines"
OPEN = {"recurrence": "FREQ=DAILY", "start": "00:00", "durationMinutes": 24 * 60, "timeZone": "UTC"}
LONGEST_GAP = 5000
"""Milliseconds that an API server may not answer during an update."""


@dataclass
class Subject:
    """The Cluster that is updated."""

    platform: Platform
    name: str
    replicas: int
    pools: dict[str, int]

    def apply(self, version: str, window: Object) -> None:
        spec = {
            "version": version,
            "site": "lab",
            "controlPlane": {"replicas": self.replicas, "flavor": "m1.small"},
            "nodePools": [{"name": n, "flavor": "m1.small", "replicas": r} for n, r in self.pools.items()],
            "updates": {"channel": "Rapid"},
            "maintenance": {"windows": [window]},
        }
        meta = {"name": self.name, "namespace": "default"}
        self.platform.apply({"apiVersion": "kaas.internal/v1alpha1", "kind": "Cluster", "metadata": meta, "spec": spec})

    def is_ready(self) -> bool:
        return self.platform.phase(self.name) == "Ready"

    def delete(self) -> None:
        self.platform.kaas("delete", self.name, "--wait", "--yes", "--timeout", "30m")

    @property
    def update(self) -> Object:
        found: Object = (self.platform.cluster(self.name).get("status") or {}).get("update") or {}
        return found

    def step(self, name: str) -> Object:
        """A step; one that has failed ends the test with its reason."""
        update = self.update
        assert "stopped" not in update, update["stopped"]
        return next((s for s in update.get("steps") or () if s["name"] == name), {})

    def is_done(self, step: str) -> bool:
        return self.step(step).get("state") == "Done"

    def is_held(self, pool: str) -> bool:
        """Whether it is said that the pool is held, and Cluster API knows it."""
        step = self.step(f"Pool/{pool}")
        held = (step.get("state"), step.get("reason")) == ("Held", "OutsideMaintenance")
        return held and strategy_of(self.deployment()) == ON_DELETE

    def deployment(self) -> Object:
        (found,) = self._all(f"{CAPI}/machinedeployments")
        return found

    def machines(self, version: str | None = None) -> list[str]:
        """Names of machines that stay, of one version or of all; those of the control plane aside."""
        found = [m for m in self._all(f"{CAPI}/machines") if DEPLOYMENT_NAME_LABEL in labels(m) and not is_deleting(m)]
        return sorted(m["metadata"]["name"] for m in found if version in (None, m["spec"]["version"]))

    def images(self) -> set[str]:
        return {s["spec"]["image"]["filter"]["name"] for s in self._all(SERVERS)}

    def kept(self) -> list[str]:
        """Pools that have an image of their own in the topology."""
        topology = self.platform.get(f"{CAPI}/clusters/{self.name}")["spec"]["topology"]
        found = topology["workers"]["machineDeployments"]
        return [p["name"] for p in found if any(v["name"] == "images" for v in p["variables"]["overrides"])]

    def _all(self, path: str) -> list[Object]:
        return [o for o in self.platform.items(path) if labels(o).get(CLUSTER_NAME_LABEL) == self.name]


def _closed() -> Object:
    """A window that does not open today."""
    day = datetime.now(UTC) + timedelta(days=3)
    recurrence = f"FREQ=WEEKLY;BYDAY={WEEKDAYS[day.weekday()]}"
    return {"recurrence": recurrence, "start": "22:00", "durationMinutes": 240, "timeZone": "UTC"}


def _release(name: str = NEW, image: str = f"ubuntu-2404-kube-{NEW}", since: str = "2026-01-01") -> Object:
    spec = {"version": NEW, "image": image, "channels": {"rapid": f"{since}T00:00:00Z"}}
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "Release", "metadata": {"name": name}, "spec": spec}


@pytest.mark.parametrize("replicas", [1, 3])
def test_a_window_closes_in_the_middle_and_the_controller_is_killed(openstack: Platform, replicas: int) -> None:
    subject = Subject(openstack, f"stepped-{replicas}", replicas, {"cpu": MACHINES})
    openstack.apply(_release())
    subject.apply(OLD, _closed())
    until("Ready", subject.is_ready)
    with killed_at_every_step(openstack, subject.name) as killed:
        subject.apply("1.36", OPEN)
        until("the control plane is well with it", lambda: subject.is_done("ControlPlane"))
        until("the pool has begun", lambda: len(subject.machines(NEW)) == 1)
        subject.apply("1.36", _closed())
        begun, left = _held(subject)
        killed.kill()
        assert _held(subject) == (begun, left)

        subject.apply("1.36", OPEN)
        until("it is through", lambda: subject.is_done("Finished"))
        killed.is_one_update(subject.pools)
    killed.replaced_each_once({"": replicas, "cpu": MACHINES}, OLD, NEW)
    _is_through(subject)
    assert set(begun) <= set(subject.machines(NEW))
    until("Ready", subject.is_ready)
    subject.delete()


def _held(subject: Subject) -> tuple[list[str], list[str]]:
    """Wait until the pool is held with all its machines; those that are new, and those that are not."""

    def whole() -> bool:
        ready = subject.deployment()["status"].get("readyReplicas")
        return len(subject.machines()) == MACHINES and ready == MACHINES

    until("it is held", lambda: subject.is_held("cpu"))
    until("its machines are all there", whole)
    assert subject.update["hold"]["until"]
    assert subject.update["waiting"] == ["cpu"]
    begun, left = subject.machines(NEW), subject.machines(OLD)
    assert begun
    assert left, "the pool was through before it was held"
    return begun, left


def _is_through(subject: Subject) -> None:
    """Nothing is held any more, and the API answered all the time."""
    update = subject.update
    assert "waiting" not in update
    assert len(subject.machines(NEW)) == MACHINES
    assert strategy_of(subject.deployment()) != ON_DELETE
    asked = update["availability"]
    print(f"{subject.name}: {asked['probes']} questions, longest gap {asked['longestGapMilliseconds']} ms")
    assert asked["probes"] > 0
    assert asked["longestGapMilliseconds"] < LONGEST_GAP


def test_another_image_goes_from_pool_to_pool(openstack: Platform) -> None:
    image = f"ubuntu-2404-kube-{NEW}-2"
    subject = Subject(openstack, "imaged", 1, {"a": 1, "b": 1})
    openstack.apply(_release())
    subject.apply(NEW, OPEN)
    until("Ready", subject.is_ready)
    before = subject.machines()

    cloud: Any = connect(load(openstack.layout, "lab"))
    about = {"os_distro": "ubuntu", "os_version": "24.04", "kube_version": NEW}
    kind = {"disk_format": "raw", "container_format": "bare", "visibility": "public"}
    cloud.image.create_image(name=image, data=b"2", wait=True, properties=about, **kind)
    openstack.apply(_release(f"{NEW}-2", image, since="2026-06-01"))
    until("it has begun", lambda: subject.update.get("changes") == ["Image"])
    until("the pools keep their image", lambda: subject.kept() == ["a", "b"])
    until("a goes first", lambda: subject.kept() == ["b"])
    assert subject.is_done("ControlPlane")
    until("it is through", lambda: subject.is_done("Finished"))
    assert subject.kept() == []
    assert not set(before) & set(subject.machines())
    assert subject.images() == {image}
    subject.delete()

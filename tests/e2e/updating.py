"""A Cluster that is updated, as tests look at it: its steps, its machines, and what is explained of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from kaas.api.constants import ANNOTATION_UPDATE_RETRY
from kaas.kube.objects import is_deleting, labels
from kaas.kube.resources import CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL
from tests.e2e.platform import Object, Platform

OPEN = {"recurrence": "FREQ=DAILY", "start": "00:00", "durationMinutes": 24 * 60, "timeZone": "UTC"}
"""A window that never closes."""
CAPI = "apis/cluster.x-k8s.io/v1beta2/namespaces/default"
LONG_AGO = "2026-01-01T00:00:00Z"


def release(version: str, image: str) -> Object:
    """A Release that the channel Rapid has had for long."""
    spec = {"version": version, "image": image, "channels": {"rapid": LONG_AGO}}
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "Release", "metadata": {"name": version}, "spec": spec}


@dataclass(frozen=True)
class Updated:
    """One Cluster. spec: all but its version."""

    platform: Platform
    name: str
    spec: Object
    labels: Object

    @classmethod
    def of(cls, platform: Platform, name: str, pools: list[Object], **spec: Any) -> Updated:
        """One control plane, the channel Rapid, and a window that is always open."""
        tags = spec.pop("labels", {})
        said = {"controlPlane": {"replicas": 1, "flavor": "m1.small"}, "maintenance": {"windows": [OPEN]}}
        updates = {"channel": "Rapid", **spec.pop("updates", {})}
        return cls(platform, name, {**said, "nodePools": pools, "updates": updates, **spec}, tags)

    def apply(self, version: str, retry: str = "", **updates: Any) -> None:
        """Have it as it is described, at this version.

        retry: why an update that has stopped may go on. updates: what `spec.updates` says beside that.
        """
        notes = {ANNOTATION_UPDATE_RETRY: retry} if retry else {}
        meta = {"name": self.name, "namespace": "default", "labels": self.labels, "annotations": notes}
        spec = {**self.spec, "version": version, "updates": {**self.spec["updates"], **updates}}
        self.platform.apply({"apiVersion": "kaas.internal/v1alpha1", "kind": "Cluster", "metadata": meta, "spec": spec})

    def is_ready(self) -> bool:
        return self.platform.phase(self.name) == "Ready"

    def has_infrastructure(self) -> bool:
        """Whether network and load balancer are there: the lab's Octavia makes one after the other."""
        return self.platform.condition(self.name, "InfrastructureReady").get("status") == "True"

    def follows(self) -> bool:
        """Whether it has been seen that its version is not pinned."""
        return self.update.get("reason") not in (None, "Pinned")

    def delete(self) -> None:
        self.platform.kaas("delete", self.name, "--wait", "--yes", "--timeout", "30m")

    @property
    def update(self) -> Object:
        found: Object = (self.platform.cluster(self.name).get("status") or {}).get("update") or {}
        return found

    def step(self, name: str) -> Object:
        return next((s for s in self.update.get("steps") or () if s["name"] == name), {})

    def is_through(self) -> bool:
        """Whether it has come to its end; an update that has stopped ends the test with its reason."""
        update = self.update
        assert "stopped" not in update, update["stopped"]
        return self.step("Finished").get("state") == "Done"

    def findings(self) -> dict[str, Object]:
        """What was found before the update, by check."""
        return {f["check"]: f for f in (self.update.get("preflight") or {}).get("findings") or ()}

    def machines(self, pool: str = "") -> dict[str, Object]:
        """Machines that stay, of a pool or of the control plane, by name."""
        wanted = {"kaas.internal/pool": pool} if pool else {CONTROL_PLANE_LABEL: ""}
        wanted |= {CLUSTER_NAME_LABEL: self.name}
        found = [m for m in self.platform.items(f"{CAPI}/machines") if wanted.items() <= labels(m).items()]
        return {m["metadata"]["name"]: m for m in found if not is_deleting(m)}

    def versions(self, pool: str = "") -> set[str]:
        return {m["spec"]["version"] for m in self.machines(pool).values()}

    def explained(self) -> Object:
        """What `kaas explain` says, as data."""
        found: Object = json.loads(self.platform.kaas("explain", self.name, "-o", "json").stdout)
        return found

    def told(self) -> str:
        """What it says to a person, on one line."""
        return " ".join(self.platform.kaas("explain", self.name).stdout.split())

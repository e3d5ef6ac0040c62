"""A Cluster that is updated, as tests look at it: its steps, its machines, and what is explained of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from kaas.api.constants import ANNOTATION_UPDATE_RETRY, LABEL_POOL
from kaas.api.maintenance import WEEKDAYS
from kaas.kube.lean import ON_DELETE, strategy_of
from kaas.kube.objects import annotation, is_deleting, labels
from kaas.kube.resources import CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL, DEFER_UPGRADE
from tests.e2e.platform import Object, Platform

OPEN = {"recurrence": "FREQ=DAILY", "start": "00:00", "durationMinutes": 24 * 60, "timeZone": "UTC"}
"""A window that never closes."""
CAPI = "apis/cluster.x-k8s.io/v1beta2/namespaces/default"
LONG_AGO = "2026-01-01T00:00:00Z"


def later() -> Object:
    """A window that does not open today."""
    day = datetime.now(UTC) + timedelta(days=3)
    return {**OPEN, "recurrence": f"FREQ=WEEKLY;BYDAY={WEEKDAYS[day.weekday()]}"}


def release(version: str, image: str, name: str = "", since: str = LONG_AGO) -> Object:
    """A Release that the channel Rapid has had for long. name: where it is not its version."""
    spec = {"version": version, "image": image, "channels": {"rapid": since}}
    meta = {"name": name or version}
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "Release", "metadata": meta, "spec": spec}


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

    def within(self, window: Object) -> Updated:
        """The same Cluster with another maintenance window."""
        return replace(self, spec={**self.spec, "maintenance": {"windows": [window]}})

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
        wanted = {LABEL_POOL: pool} if pool else {CONTROL_PLANE_LABEL: ""}
        wanted |= {CLUSTER_NAME_LABEL: self.name}
        found = [m for m in self.platform.items(f"{CAPI}/machines") if wanted.items() <= labels(m).items()]
        return {m["metadata"]["name"]: m for m in found if not is_deleting(m)}

    def versions(self, pool: str = "") -> set[str]:
        return {m["spec"]["version"] for m in self.machines(pool).values()}

    def deployments(self) -> dict[str, Object]:
        """MachineDeployments by pool."""
        found = self.platform.items(f"{CAPI}/machinedeployments?labelSelector={CLUSTER_NAME_LABEL}={self.name}")
        return {labels(d)[LABEL_POOL]: d for d in found}

    def topology(self) -> dict[str, Object]:
        """Pools as Cluster API is told of them, by name."""
        spec = self.platform.get(f"{CAPI}/clusters/{self.name}")["spec"]
        return {pool["name"]: pool for pool in spec["topology"]["workers"]["machineDeployments"]}

    def kept(self) -> list[str]:
        """Pools that have an image of their own in the topology."""
        told = {n: pool.get("variables", {}).get("overrides", ()) for n, pool in self.topology().items()}
        return [name for name, overrides in told.items() if any(v["name"] == "images" for v in overrides)]

    def holds_nothing(self) -> None:
        """Raise AssertionError when status, topology or a MachineDeployment says that anything is held."""
        assert not {"hold", "waiting", "stopped"} & self.update.keys()
        assert self.kept() == []
        for pool in self.topology().values():
            assert strategy_of(pool) != ON_DELETE
            assert annotation(pool, DEFER_UPGRADE) is None
        assert ON_DELETE not in {strategy_of(d) for d in self.deployments().values()}

    def explained(self) -> Object:
        """What `kaas explain` says, as data."""
        found: Object = json.loads(self.platform.kaas("explain", self.name, "-o", "json").stdout)
        return found

    def told(self) -> str:
        """What it says to a person, on one line."""
        return " ".join(self.platform.kaas("explain", self.name).stdout.split())

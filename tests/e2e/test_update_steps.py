"""One update step by step: its window closes in the middle of a pool, the controller is killed, and it goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kaas.api.maintenance import WEEKDAYS
from kaas.kube.lean import ON_DELETE, strategy_of
from kaas.kube.objects import is_deleting
from tests.e2e.platform import Object, Platform, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

OLD, NEW = "v1.36.1", "v1.36.3"
NAME, POOL, MACHINES = "stepped", "cpu", 3
CAPI = "apis/cluster.x-k8s.io/v1beta2/namespaces/default"
LONG_AGO = "2026-01-01T00:00:00Z"
OPEN = {"recurrence": "FREQ=DAILY", "start": "00:00", "durationMinutes": 24 * 60, "timeZone": "UTC"}


def _closed() -> Object:
    """A window that does not open today."""
    day = datetime.now(UTC) + timedelta(days=3)
    recurrence = f"FREQ=WEEKLY;BYDAY={WEEKDAYS[day.weekday()]}"
    return {"recurrence": recurrence, "start": "22:00", "durationMinutes": 240, "timeZone": "UTC"}


def _release() -> Object:
    spec = {"version": NEW, "image": f"ubuntu-2404-kube-{NEW}", "channels": {"rapid": LONG_AGO}}
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "Release", "metadata": {"name": NEW}, "spec": spec}


def _cluster(version: str, window: Object) -> Object:
    spec = {
        "version": version,
        "site": "lab",
        "controlPlane": {"replicas": 1, "flavor": "m1.small"},
        "nodePools": [{"name": POOL, "flavor": "m1.small", "replicas": MACHINES}],
        "updates": {"channel": "Rapid"},
        "maintenance": {"windows": [window]},
    }
    meta = {"name": NAME, "namespace": "default"}
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "Cluster", "metadata": meta, "spec": spec}


def test_a_window_that_closes_in_the_middle_and_a_controller_that_is_killed(openstack: Platform) -> None:
    openstack.apply(_release(), _cluster(OLD, _closed()))
    until("Ready", lambda: openstack.phase(NAME) == "Ready")
    openstack.apply(_cluster("1.36", OPEN))
    until("it has begun", lambda: _update(openstack).get("target") == NEW)
    until("the control plane is well with it", lambda: _step(openstack, "ControlPlane").get("state") == "Done")
    until("the pool has begun", lambda: len(_machines(openstack, NEW)) == 1)

    openstack.stop_controller(hard=True)
    openstack.apply(_cluster("1.36", _closed()))
    openstack.start_controller()
    until("it is held", lambda: _is_held(openstack))
    until("its machines are all there", lambda: len(_machines(openstack)) == MACHINES and _ready(openstack) == MACHINES)
    begun, left = _machines(openstack, NEW), _machines(openstack, OLD)
    assert begun
    assert left, "the pool was through before it was held"
    assert _update(openstack)["hold"]["until"]
    assert _update(openstack)["waiting"] == [POOL]

    openstack.stop_controller(hard=True)
    openstack.start_controller()
    until("it is held still", lambda: _is_held(openstack))
    assert (_machines(openstack, NEW), _machines(openstack, OLD)) == (begun, left)

    openstack.apply(_cluster("1.36", OPEN))
    until("it is through", lambda: _step(openstack, "Finished").get("state") == "Done")
    update = _update(openstack)
    states = {s["name"]: s["state"] for s in update["steps"]}
    assert states.pop("AddOns") == "Skipped"
    assert set(states.values()) == {"Done"}
    times = [datetime.fromisoformat(s[t]) for s in update["steps"] for t in ("started", "finished") if t in s]
    assert times == sorted(times)
    assert "waiting" not in update
    assert len(_machines(openstack, NEW)) == MACHINES
    assert set(begun) <= set(_machines(openstack, NEW))
    assert strategy_of(_deployment(openstack)) != ON_DELETE
    assert update["availability"]["probes"] > 0
    print(f"longest gap of its API: {update['availability']['longestGapMilliseconds']} ms")
    until("Ready", lambda: openstack.phase(NAME) == "Ready")
    openstack.kaas("delete", NAME, "--wait", "--yes", "--timeout", "30m")


def _update(platform: Platform) -> Object:
    found: Object = (platform.cluster(NAME).get("status") or {}).get("update") or {}
    return found


def _step(platform: Platform, name: str) -> Object:
    """A step; one that has failed ends the test with its reason."""
    update = _update(platform)
    assert "stopped" not in update, update["stopped"]
    return next((s for s in update.get("steps") or () if s["name"] == name), {})


def _is_held(platform: Platform) -> bool:
    step = _step(platform, f"Pool/{POOL}")
    held = (step.get("state"), step.get("reason")) == ("Held", "OutsideMaintenance")
    return held and strategy_of(_deployment(platform)) == ON_DELETE


def _deployment(platform: Platform) -> Object:
    (found,) = _of(platform, "machinedeployments")
    return found


def _ready(platform: Platform) -> int:
    return int(_deployment(platform)["status"].get("readyReplicas") or 0)


def _machines(platform: Platform, version: str | None = None) -> list[str]:
    """Names of the pool's machines that stay, of one version or of all."""
    found = [m for m in _of(platform, "machines") if "cluster.x-k8s.io/deployment-name" in m["metadata"]["labels"]]
    stay = (m for m in found if not is_deleting(m))
    return sorted(m["metadata"]["name"] for m in stay if version in (None, m["spec"]["version"]))


def _of(platform: Platform, plural: str) -> list[Object]:
    items = platform.items(f"{CAPI}/{plural}")
    return [o for o in items if o["metadata"]["labels"].get("cluster.x-k8s.io/cluster-name") == NAME]

"""A Cluster that follows a channel: it waits for its maintenance window, says so, and goes when the window opens."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from kaas.api.maintenance import WEEKDAYS
from tests.e2e.platform import Object, Platform, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

OLD, NEW = "v1.36.1", "v1.36.3"
NAME = "follower"
LONG_AGO = "2026-01-01T00:00:00Z"


def _release() -> Object:
    spec = {"version": NEW, "image": f"ubuntu-2404-kube-{NEW}", "channels": {"rapid": LONG_AGO}}
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "Release", "metadata": {"name": NEW}, "spec": spec}


def _window(recurrence: str, start: str, minutes: int) -> Object:
    return {"recurrence": recurrence, "start": start, "durationMinutes": minutes, "timeZone": "UTC"}


def _cluster(version: str, window: Object) -> Object:
    spec = {
        "version": version,
        "site": "lab",
        "controlPlane": {"replicas": 1, "flavor": "m1.small"},
        "nodePools": [{"name": "cpu", "flavor": "m1.small", "replicas": 1}],
        "updates": {"channel": "Rapid"},
        "maintenance": {"windows": [window]},
    }
    meta = {"name": NAME, "namespace": "default"}
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "Cluster", "metadata": meta, "spec": spec}


def test_a_cluster_goes_to_the_newest_of_its_channel_when_its_window_opens(openstack: Platform) -> None:
    later = (datetime.now(UTC) + timedelta(days=3)).replace(hour=22, minute=0, second=0, microsecond=0)
    closed = _window(f"FREQ=WEEKLY;BYDAY={WEEKDAYS[later.weekday()]}", "22:00", 240)
    openstack.apply(_release(), _cluster(OLD, closed))
    until("Ready", lambda: openstack.phase(NAME) == "Ready")
    until("pinned, and told so", lambda: _update(openstack).get("reason") == "Pinned")

    openstack.apply(_cluster("1.36", closed))
    until("it waits", lambda: _update(openstack).get("reason") == "OutsideMaintenance")
    told = _update(openstack)
    assert (told["version"], told["change"], datetime.fromisoformat(told["nextTime"])) == (NEW, "Patch", later)
    assert "target" not in told
    (event,) = _events(openstack, "Update")
    assert (event["version"], datetime.fromisoformat(event["at"])) == (NEW, later)

    openstack.apply(_cluster("1.36", _window("FREQ=DAILY", "00:00", 24 * 60)))
    until("it goes", lambda: _update(openstack).get("target") == NEW)
    until("it has arrived", lambda: _has_arrived(openstack))
    assert _events(openstack, "Update") == []
    openstack.kaas("delete", NAME, "--wait", "--yes", "--timeout", "30m")


def _update(platform: Platform) -> Object:
    found: Object = (platform.cluster(NAME).get("status") or {}).get("update") or {}
    return found


def _has_arrived(platform: Platform) -> bool:
    status = platform.cluster(NAME)["status"]
    return (status["phase"], status["version"], status["update"].get("reason")) == ("Ready", NEW, "UpToDate")


def _events(platform: Platform, kind: str) -> list[Object]:
    found = json.loads(platform.kaas("next", NAME, "-o", "json").stdout)
    return [event for event in found if event["kind"] == kind]

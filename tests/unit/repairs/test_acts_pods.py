"""Which Pods a drain evicts, which it waits for, what they are told; which are device plugins; what labels can say."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kaas.repairs.acts.eviction import DISRUPTION, Fate, Notice, fate, listed
from kaas.repairs.acts.plugin import is_plugin
from kaas.repairs.acts.quarantine import label_value

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def pod(kind: str | None = "ReplicaSet", phase: str = "Running", owner: str = "o", **meta: Any) -> dict[str, Any]:
    owners = [{"kind": kind, "name": owner, "controller": True}] if kind else []
    return {
        "metadata": {"name": "p", "namespace": "n", "ownerReferences": owners, **meta},
        "status": {"phase": phase},
    }


@pytest.mark.parametrize(
    ("it", "becomes"),
    [
        (pod(), Fate.EVICTED),
        (pod("StatefulSet"), Fate.EVICTED),
        (pod("ReplicaSet", "Pending"), Fate.EVICTED),
        (pod("DaemonSet"), Fate.STAYS),
        (pod("Node"), Fate.STAYS),
        (pod(None, annotations={"kubernetes.io/config.mirror": "x"}), Fate.STAYS),
        (pod("Job", "Succeeded"), Fate.STAYS),
        (pod(None, "Failed"), Fate.STAYS),
        (pod("Job"), Fate.WARNED),
        (pod("PyTorchJob"), Fate.WARNED),
        (pod(None), Fate.AWAITED),
        (pod(annotations={"kaas.internal/do-not-disrupt": "true"}), Fate.AWAITED),
        (pod("Job", annotations={"karpenter.sh/do-not-disrupt": "true"}), Fate.AWAITED),
        (pod(annotations={"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}), Fate.AWAITED),
        (pod(annotations={"kaas.internal/do-not-disrupt": "false"}), Fate.EVICTED),
        (pod("DaemonSet", annotations={"kaas.internal/do-not-disrupt": "true"}), Fate.STAYS),
        (pod(None, deletionTimestamp="2026-01-01T11:00:00Z"), Fate.ENDING),
    ],
)
def test_fates(it: dict[str, Any], becomes: Fate) -> None:
    assert fate(it, NOW, silent=False) is becomes


@pytest.mark.parametrize(("ends", "becomes"), [("12:00:00", Fate.STAYS), ("12:00:01", Fate.ENDING)])
def test_on_a_silent_node_a_pod_past_its_grace_period_is_gone(ends: str, becomes: Fate) -> None:
    assert fate(pod(deletionTimestamp=f"2026-01-01T{ends}Z"), NOW, silent=True) is becomes


def test_a_notice_is_given_once_a_drain() -> None:
    notice = Notice("GPU lost", NOW + timedelta(seconds=600), timedelta(seconds=120))
    assert notice.given(pod()) is None
    told = pod(annotations={DISRUPTION: notice.text(NOW, awaited=False)})
    assert notice.given(told) == NOW + timedelta(seconds=120)
    said = json.loads(told["metadata"]["annotations"][DISRUPTION])
    assert said == {"when": "2026-01-01T12:02:00Z", "why": "GPU lost", "deadline": "2026-01-01T12:10:00Z"}
    waits = pod(annotations={DISRUPTION: notice.text(NOW, awaited=True)})
    assert notice.given(waits) == notice.deadline
    later = Notice("again", NOW + timedelta(hours=1), timedelta(seconds=120))
    assert later.given(told) is None


@pytest.mark.parametrize("text", ["", "x", "7", "{}", '{"when": 1, "deadline": "2026-01-01T12:10:00Z"}'])
def test_what_others_wrote_is_no_notice(text: str) -> None:
    notice = Notice("x", NOW + timedelta(seconds=600), timedelta(0))
    assert notice.given(pod(annotations={DISRUPTION: text})) is None


def test_long_lists_are_cut() -> None:
    assert listed(["b", "a"]) == "a, b"
    assert listed(f"p{n}" for n in range(8)) == "p0, p1, p2, p3, p4 and 3 more"


@pytest.mark.parametrize(
    ("it", "is_one"),
    [
        (pod("DaemonSet", labels={"app": "nvidia-device-plugin-daemonset"}), True),
        (pod("DaemonSet", labels={"app.kubernetes.io/name": "nvidia-device-plugin"}), True),
        (pod("DaemonSet", labels={"name": "nvidia-device-plugin-ds"}), True),
        (pod("DaemonSet", labels={"name": "amdgpu-dp-ds"}), True),
        (pod("DaemonSet", owner="nvidia-gpu-device-plugin-small-cos"), True),
        (pod("DaemonSet", owner="gpu-operator-device-plugin"), True),
        (pod("DaemonSet", owner="sriov-device-plugin"), False),
        (pod("DaemonSet", owner="nvidia-mig-manager", labels={"app": "nvidia-mig-manager"}), False),
        (pod("ReplicaSet", labels={"app": "nvidia-device-plugin-daemonset"}), False),
        (pod(None, labels={"name": "nvidia-device-plugin-ds"}), False),
    ],
)
def test_which_pods_are_device_plugins(it: dict[str, Any], is_one: bool) -> None:
    assert is_plugin(it) is is_one


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("XID79", "XID79"),
        ("GPU lost: 3 of 8", "GPU-lost-3-of-8"),
        ("", "unknown"),
        ("é", "unknown"),
        ("a" * 80, "a" * 63),
    ],
)
def test_label_values(text: str, value: str) -> None:
    assert label_value(text) == value

"""NVIDIA's device plugin as a DaemonSet whose Pods are played: what is restarted when a GPU is missing."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from .api import Api, Object

NAME: Final = "nvidia-device-plugin-daemonset"
LABELS: Final = {"name": "nvidia-device-plugin-ds"}  # as NVIDIA's static manifest has them
GPU_LABEL: Final = "nvidia.com/gpu.present"
PATH: Final = "/apis/apps/v1/namespaces/kube-system/daemonsets"


async def install(api: Api) -> None:
    """Put it into a cluster, unless it is there. Raises ApiError."""
    await api.create(PATH, manifest())


def manifest() -> Object:
    """The DaemonSet."""
    template: dict[str, Any] = {
        "metadata": {"labels": dict(LABELS)},
        "spec": {
            "nodeSelector": {GPU_LABEL: "true"},
            "tolerations": [{"operator": "Exists"}],
            "priorityClassName": "system-node-critical",
            "containers": [{"name": "nvidia-device-plugin-ctr", "image": "nvcr.io/nvidia/k8s-device-plugin:v0.17.1"}],
        },
    }
    spec = {
        "selector": {"matchLabels": dict(LABELS)},
        "updateStrategy": {"type": "RollingUpdate"},
        "template": template,
    }
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": NAME}, "spec": spec}


def is_plugin(pod: Object) -> bool:
    """Whether this is a Pod of the plugin."""
    found = pod["metadata"].get("labels") or {}
    return all(found.get(name) == value for name, value in LABELS.items())


def is_running(pod: Object) -> bool:
    """Whether it runs and is not about to end."""
    return pod.get("status", {}).get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]


def made(pod: Object) -> float:
    """When it was made, in seconds (UTC)."""
    stamp: str = pod["metadata"]["creationTimestamp"]
    return dt.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()

"""What the OpenStack cloud controller manager does with a new Node, played: identity, zone and the end of its taint.

And the label by which NVIDIA's feature discovery would mark a Node with GPUs.
"""

from __future__ import annotations

import asyncio
from typing import Any

from .api import CONFLICT, Api, ApiError
from .deviceplugin import GPU_LABEL
from .nodeobject import UNINITIALIZED
from .nova import Server

ATTEMPTS = 5
MOMENT_SECONDS = 1.0


async def initialise(api: Api, node: str, server: Server, region: str) -> bool:
    """Complete a Node that waits for its cloud; False when it does not wait. Raises ApiError."""
    for attempt in range(ATTEMPTS):
        found = await api.get(f"/api/v1/nodes/{node}")
        if not is_waiting(found):
            return False
        try:
            await api.put(f"/api/v1/nodes/{node}", completed(found, server, region))
            return True
        except ApiError as error:
            if error.status != CONFLICT or attempt == ATTEMPTS - 1:
                raise
        await asyncio.sleep(MOMENT_SECONDS)
    return False


def is_waiting(node: dict[str, Any]) -> bool:
    """Whether a kubelet with `cloud-provider=external` registered this Node and no cloud has seen it yet."""
    return any(t["key"] == UNINITIALIZED for t in node["spec"].get("taints", []))


def completed(node: dict[str, Any], server: Server, region: str) -> dict[str, Any]:
    """The Node as the cloud completes it. A provider ID that the kubelet set stays."""
    labels = {
        "node.kubernetes.io/instance-type": server.flavor.name,
        "beta.kubernetes.io/instance-type": server.flavor.name,
        "topology.kubernetes.io/region": region,
        "topology.kubernetes.io/zone": server.zone,
    }
    if server.flavor.gpus:
        labels[GPU_LABEL] = "true"
    taints = [t for t in node["spec"].get("taints", []) if t["key"] != UNINITIALIZED]
    spec = {**node["spec"], "taints": taints}
    spec.setdefault("providerID", f"openstack:///{server.id}")  # as OCCM without --regional, and CAPO without a region
    metadata = {**node["metadata"], "labels": {**node["metadata"].get("labels", {}), **labels}}
    return {**node, "metadata": metadata, "spec": spec}

"""The way to workload clusters, for the features of one controller: each cluster has one client."""

from __future__ import annotations

from typing import Any

from kaas.kube.client import KubeClient
from kaas.kube.workloads import ClusterKey, Workloads


class Connections:
    """Opened by the feature that watches the Nodes of workload clusters, and used by those that come after it."""

    def __init__(self) -> None:
        self._workloads: Workloads[Any] | None = None

    def share(self, workloads: Workloads[Any]) -> None:
        """Let others use them."""
        self._workloads = workloads

    async def client(self, cluster: ClusterKey) -> KubeClient:
        """Client for a cluster's API server, not to be closed; KubeError when there is no way to it now."""
        if self._workloads is None:
            raise RuntimeError("no feature has opened connections to workload clusters")
        return await self._workloads.client(cluster)

"""The node life cycle of the cloud controller manager, played: a Node goes when it is not Ready and its server is gone.

Cluster API deletes the Node of a Machine only when it knows it: one that registers while its Machine goes stays behind.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from .api import NOT_FOUND, Api, ApiError, open_kubeconfig

LOG = logging.getLogger(__name__)
PERIOD_SECONDS = 5.0  # k8s.io/cloud-provider, NodeMonitorPeriod
NODES = "/api/v1/nodes"


async def follow(administrators: Iterable[Path], servers: Collection[tuple[str, str]]) -> None:
    """Look once at clusters, by kubeconfigs of their administrators; one that cannot be asked is left for later.

    servers: ID and name of all that the cloud has.
    """
    for administrator in administrators:
        try:
            async with open_kubeconfig(administrator) as api:
                for node in await remove_orphans(api, servers):
                    LOG.info("%s: the Node goes, its server is gone", node)
        except (ApiError, OSError) as error:  # without its kubeconfig the machine has just gone
            LOG.debug("node life cycle: %s", error)


async def remove_orphans(api: Api, servers: Collection[tuple[str, str]]) -> list[str]:
    """Delete Nodes whose server is gone; their names. servers: ID and name of all there are. Raises ApiError."""
    removed = []
    for name in orphans((await api.get(NODES))["items"], servers):
        try:
            await api.delete(f"{NODES}/{name}")
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
        removed.append(name)
    return removed


def orphans(nodes: Iterable[dict[str, Any]], servers: Collection[tuple[str, str]]) -> list[str]:
    """Names of Nodes that are not Ready and have no server: by their provider ID, else by their name. Pure."""
    ids, names = {key for key, _ in servers}, {name for _, name in servers}
    return [n["metadata"]["name"] for n in nodes if not _is_ready(n) and not _has_server(n, ids, names)]


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions") or ()
    return any((c["type"], c["status"]) == ("Ready", "True") for c in conditions)


def _has_server(node: dict[str, Any], ids: Collection[str], names: Collection[str]) -> bool:
    provider_id = node["spec"].get("providerID")
    return provider_id.rpartition("/")[2] in ids if provider_id else node["metadata"]["name"] in names

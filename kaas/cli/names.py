"""Names of Clusters, Rollouts and Addons, asked for quickly."""

from __future__ import annotations

from kaas.cli.session import run, session
from kaas.cli.settings import Settings
from kaas.kube import resources
from kaas.kube.client import Limits
from kaas.kube.resources import Resource

SECONDS = 2.0  # nobody waits longer for a Tab


def of_clusters(settings: Settings) -> list[str]:
    """Names of the namespace's Clusters. Raises KubeError."""
    return run(_names(settings))


async def _names(settings: Settings) -> list[str]:
    async with session(settings, Limits(connect=SECONDS, request=SECONDS, attempts=1)) as connected:
        return sorted(c["metadata"]["name"] for c in await connected.clusters())


def of_rollouts(settings: Settings) -> list[str]:
    """Names of all Rollouts. Raises KubeError."""
    return run(_every(settings, resources.ROLLOUT))


def of_addons(settings: Settings) -> list[str]:
    """Names of all Addons. Raises KubeError."""
    return run(_every(settings, resources.ADDON))


async def _every(settings: Settings, resource: Resource) -> list[str]:
    async with session(settings, Limits(connect=SECONDS, request=SECONDS, attempts=1)) as connected:
        return sorted(found["metadata"]["name"] for found in await connected.list(resource))

"""How long machines may take, where more than one feature counts on it."""

from __future__ import annotations

from typing import Final

from kaas.api.cluster import NodePool
from kaas.api.site import Site

SERVER_STARTUP: Final = 1800
BOX_STARTUP: Final = 3600
"""Seconds until a machine has joined: firmware and eight GPUs take their time to start."""
DRAIN: Final = 600
"""Seconds that the node of a machine is drained where its pool does not say: what the ClusterClass says."""


def startup(site: Site, flavor: str, otherwise: int = SERVER_STARTUP) -> int:
    """Seconds until a machine of a flavor has joined: as the Site says, else as long as is said here."""
    said = next((f.startup_timeout_seconds for f in site.spec.flavors if f.name == flavor), None)
    return otherwise if said is None else said


def joins(site: Site, flavor: str) -> int:
    """The same, where a whole computer, or a machine with GPUs, is given the time of one."""
    slow = any(f.name == flavor and (f.bare_metal or f.gpu is not None) for f in site.spec.flavors)
    return startup(site, flavor, BOX_STARTUP if slow else SERVER_STARTUP)


def drain(pool: NodePool, *, gpus: bool) -> int:
    """Seconds that a node of a pool is drained, as its spec says; 0: as long as it takes. gpus: whether it has any."""
    own = pool.update.drain_timeout_seconds
    if own is not None:
        return own
    return pool.gpu.drain_timeout_seconds if gpus else DRAIN

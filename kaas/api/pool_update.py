"""How the machines of a pool are replaced by an update: what a node pool says of it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from kaas.api.model import Model


class Strategy(StrEnum):
    """In which way the machines of a pool are replaced."""

    SURGE = "Surge"
    NO_SURGE = "NoSurge"
    BLUE_GREEN = "BlueGreen"
    MANUAL = "Manual"


class PoolUpdate(Model):
    """How the machines of a pool are replaced."""

    strategy: Strategy | None = None
    """Surge: a new machine comes before an old one goes. NoSurge: an old one goes first. BlueGreen: all new ones come
    beside the old ones, which go after a soak. Manual: only when a person says so. Left out: NoSurge for pools with
    GPUs, which have no spare, Surge for others."""
    order: int = Field(default=0, ge=-100, le=100)
    """Pools with a lower number are updated first; those with the same in the order of the spec."""

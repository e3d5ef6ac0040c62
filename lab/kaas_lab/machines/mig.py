"""Layouts of MIG: what a machine's GPUs are made into, what its device plugin offers, and their labels. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from .nodeobject import GPU

MODEL: Final = "NVIDIA-A100-SXM4-40GB"
MODEL_MEMORY: Final = 40960  # MiB

# The names that MIG manager, GPU feature discovery and the device plugin of NVIDIA's GPU operator go by.
CONFIG: Final = "nvidia.com/mig.config"
STATE: Final = "nvidia.com/mig.config.state"
STRATEGY: Final = "nvidia.com/mig.strategy"
SINGLE, MIXED, NONE = "single", "mixed", "none"
SLICE: Final = "nvidia.com/mig-"

Slices = Mapping[str, int]
"""Slices of one GPU by profile."""

LAYOUTS: Final[Mapping[str, Slices | None]] = MappingProxyType(
    {
        "all-disabled": None,
        "all-enabled": {},
        "all-1g.5gb": {"1g.5gb": 7},
        "all-1g.5gb.me": {"1g.5gb+me": 1},
        "all-1g.10gb": {"1g.10gb": 4},
        "all-2g.10gb": {"2g.10gb": 3},
        "all-3g.20gb": {"3g.20gb": 2},
        "all-4g.20gb": {"4g.20gb": 1},
        "all-7g.40gb": {"7g.40gb": 1},
        "all-balanced": {"1g.5gb": 2, "2g.10gb": 1, "3g.20gb": 1},
    }
)
"""By the name of the layout; None: GPUs are left whole. Source: NVIDIA/mig-parted,
deployments/systemd/config-default.yaml, rows for A100-40GB (device-filter 0x20B010DE)."""

MEMORY: Final[Mapping[str, int]] = MappingProxyType(
    {
        "1g.5gb": 4864,
        "1g.5gb+me": 4864,
        "1g.10gb": 9856,
        "2g.10gb": 9856,
        "3g.20gb": 19968,
        "4g.20gb": 19968,
        "7g.40gb": 40192,
    }
)
"""MiB of a slice. Source: NVIDIA MIG user guide, profiles of A100-SXM4-40GB."""


def offered(slices: Slices | None, strategy: str, gpus: int) -> dict[str, int]:
    """Devices by resource. A plugin with strategy `single` has none when slices differ, for it does not start."""
    if slices is None or strategy == NONE:
        return {GPU: gpus}
    if strategy == MIXED:
        return {f"{SLICE}{_plain(profile)}": number * gpus for profile, number in slices.items()}
    return {GPU: sum(slices.values()) * gpus} if len(slices) == 1 else {}


def labels(slices: Slices | None, strategy: str, gpus: int) -> dict[str, str]:
    """What GPU feature discovery says of such GPUs."""
    whole = _described("gpu", MODEL, gpus, MODEL_MEMORY)
    found = {"nvidia.com/mig.capable": "true", STRATEGY: strategy, **whole}
    if slices is None or strategy == NONE:
        return found
    each = [(p, _product(p), number * gpus, MEMORY[p]) for p, number in slices.items()]
    if strategy == MIXED:
        of_slices = [_described(f"mig-{_plain(p)}", product, *rest) for p, product, *rest in each]
        return found | {k: v for one in of_slices for k, v in one.items()}
    if len(each) != 1:
        return found | _described("gpu", f"{MODEL}-MIG-INVALID", 0, 0)
    return found | _described("gpu", *each[0][1:])


def _described(resource: str, product: str, count: int, memory: int) -> dict[str, str]:
    start = f"nvidia.com/{resource}"
    return {f"{start}.product": product, f"{start}.count": str(count), f"{start}.memory": str(memory)}


def _product(profile: str) -> str:
    return f"{MODEL}-MIG-{_plain(profile)}"


def _plain(profile: str) -> str:
    """A profile as names of resources and labels have it."""
    return profile.replace("+", ".")

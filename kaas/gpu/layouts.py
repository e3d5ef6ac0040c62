"""What a Node says of the layout of its GPUs, and what it should offer in it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from kaas.gpu.geometry import DISABLED, slices_of

# Labels of NVIDIA's GPU operator: of its MIG manager, and of GPU feature discovery.
CONFIG: Final = "nvidia.com/mig.config"
STATE: Final = "nvidia.com/mig.config.state"
STRATEGY: Final = "nvidia.com/mig.strategy"
PRODUCT: Final = "nvidia.com/gpu.product"

SUCCESS: Final = "success"
FAILED: Final = "failed"
CHANGING: Final = frozenset({"pending", "rebooting"})
"""States of MIG manager in which devices come and go. Source: NVIDIA/mig-parted, deployments/container."""

GPU: Final = "nvidia.com/gpu"
SLICE: Final = "nvidia.com/mig-"
"""Begins the names of slices with the strategy `mixed`; with `single` they are called as GPUs are."""
_SHARED: Final = ".shared"  # the device plugin's name for what several Pods may have at once

Devices = Mapping[str, int]
"""GPUs, or slices of them, by resource."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a Node says. name: what its GPUs are to be made into, "" when nobody asks for anything.

    state: how far that is, "" before it is begun. strategy: how slices are called, model: name of the product; each ""
    before GPU feature discovery has been there.
    """

    name: str = ""
    state: str = ""
    strategy: str = ""
    model: str = ""

    @property
    def in_place(self) -> bool:
        """Whether the GPUs are as they are to be, as far as MIG manager knows: devices come a little later."""
        return not self.name or self.state == SUCCESS

    @property
    def progress(self) -> str:
        """How far it is, for people."""
        return self.state or "not begun"


NO_LAYOUT: Final = Layout()


def layout_of(labels: Mapping[str, str]) -> Layout:
    """The layout from a Node's labels; one that many Nodes have is kept once."""
    return _kept(*(str(labels.get(key) or "") for key in (CONFIG, STATE, STRATEGY, PRODUCT)))


@lru_cache(maxsize=1024)
def _kept(*said: str) -> Layout:
    return Layout(*said)


def expected(layout: Layout, gpus: int, model: str = "") -> Devices | None:
    """What a Node with so many GPUs offers in its layout; None when it is not known.

    That is so without a layout, in one that is not NVIDIA's own, and before it is known how slices are called. model:
    of the GPUs, where the Node does not say it.
    """
    if layout.name == DISABLED:
        return {GPU: gpus}
    slices = slices_of(layout.name, layout.model or model)
    if slices is None:
        return None
    if layout.strategy == "mixed":
        return {f"{SLICE}{profile.replace('+', '.')}": number * gpus for profile, number in slices.items()}
    if layout.strategy == "single" and len(slices) == 1:
        return {GPU: sum(slices.values()) * gpus}
    return None


def short(wanted: Devices, offered: Devices) -> dict[str, int]:
    """How many are there of each resource of which there are too few. Those that are shared count by their number."""
    found = {name: offered.get(name, 0) + offered.get(f"{name}{_SHARED}", 0) for name in wanted}
    return {name: number for name, number in found.items() if number < wanted[name]}

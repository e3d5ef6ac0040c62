"""How many GPUs a Node lacks, MIG slices included. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from kaas.gpu.layouts import SUCCESS, Devices, expected, short
from kaas.repairs.facts import NodeView

SLICES: Final = 7
"""Compute slices of a GPU. Source: NVIDIA MIG user guide, A100 to B200."""

_MIG: Final = "/mig-"
_PROFILE: Final = re.compile(r"/mig-(?:\d+c\.)?(\d+)g\.")


def complete(node: NodeView, gpus: int) -> bool:
    """Whether every GPU is there and can be had; for the many nodes that are well, so it does as little as it can."""
    if (wanted := _laid_out(node, gpus)) is not None:
        return not short(wanted, node.allocatable)
    capacity = node.capacity
    if not capacity:
        return gpus == 0
    allocatable = node.allocatable
    whole, sliced = 0, False
    for name, number in capacity.items():
        if allocatable.get(name, 0) < number:
            return False
        if _MIG in name:
            sliced = sliced or number > 0
        else:
            whole += number
    return sliced or whole >= gpus


def lacking(node: NodeView, gpus: int) -> tuple[int, str]:
    """GPUs that cannot be had, a part of one counted as one, and the numbers for a person; 0 and "" when none.

    gpus: how many the pool's machines have. In a layout that NVIDIA's MIG manager has made, and whose geometry is
    known, each of its slices has to be had, and nothing else counts: for five minutes a kubelet goes on counting
    devices that were there before. In others it is not known how many slices there should be, and with strategy
    `single` or time-slicing there are more devices than GPUs: so a node with slices lacks only what is not
    allocatable, and any other also what it has less of than GPUs.
    """
    if (wanted := _laid_out(node, gpus)) is not None:
        return _lacking_slices(node, wanted, gpus)
    few = {n: c - node.allocatable.get(n, 0) for n, c in sorted(node.capacity.items())}
    missing = {n: s for n, s in few.items() if s > 0}
    if missing:
        told = ", ".join(f"{node.allocatable.get(n, 0)} of {node.capacity[n]} {n}" for n in missing)
        return min(_gpus(missing), gpus) if gpus else _gpus(missing), f"only {told} can be had"
    if complete(node, gpus):
        return 0, ""
    whole = sum(c for n, c in node.capacity.items() if _MIG not in n)
    return gpus - whole, f"the node has {whole} of {gpus} GPUs"


def _laid_out(node: NodeView, gpus: int) -> Devices | None:
    """What it should offer in its layout, None where that is not known."""
    return expected(node.layout, gpus) if gpus and node.layout.state == SUCCESS else None


def _lacking_slices(node: NodeView, wanted: Devices, gpus: int) -> tuple[int, str]:
    found = short(wanted, node.allocatable)
    if not found:
        return 0, ""
    told = ", ".join(f"{number} of {wanted[name]} {name}" for name, number in sorted(found.items()))
    lost = max(-(-(wanted[name] - number) * gpus // wanted[name]) for name, number in found.items())
    return lost, f"only {told} of layout {node.layout.name} can be had"


def _gpus(missing: Mapping[str, int]) -> int:
    slices = sum(_slices(name) * number for name, number in missing.items() if _MIG in name)
    return sum(n for name, n in missing.items() if _MIG not in name) - (-slices // SLICES)


def _slices(name: str) -> int:
    found = _PROFILE.search(name)
    return int(found[1]) if found else 1

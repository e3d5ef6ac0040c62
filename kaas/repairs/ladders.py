"""The ladders that ship: what is done to the nodes of a pool for which no NodeRepairTemplate says otherwise. Pure."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from kaas.api.repair import Action, Limits, Memory, RepairPolicy, Step


class PoolKind(StrEnum):
    """What a pool's machines are, as far as repairs differ by it."""

    VM = "vm"
    GPU_VM = "gpu-vm"
    BARE_METAL = "bare-metal"
    CONTROL_PLANE = "control-plane"
    DEV = "dev"


_POOL_LIMITS: Final = Limits(max_in_flight=1, max_unhealthy="40%")
"""One node at a time. EKS stops above 20 % and five nodes; pools here are smaller, so two of five may be sick."""


def vm() -> RepairPolicy:
    """Virtual machines: a reboot keeps the node, so it comes first; whatever is left a new machine cures.

    No Rebuild: a new machine comes up with a fresh token to join, on a host that is well, and as fast.
    """
    return RepairPolicy(
        steps=(
            Step(action=Action.DRAIN, timeout_seconds=600),
            Step(action=Action.SOFT_REBOOT, timeout_seconds=300),
            Step(action=Action.HARD_REBOOT, timeout_seconds=300, retries=1, backoff_seconds=60),
            Step(action=Action.REPLACE, timeout_seconds=1800),
        ),
        limits=_POOL_LIMITS,
    )


def gpu_vm() -> RepairPolicy:
    """Virtual machines with GPUs: jobs get longer to end, drivers to come up, and a sick GPU ends with a person.

    After Replace comes Quarantine: a GPU that its vendor has to see would only be handed to the next machine.
    """
    return RepairPolicy(
        steps=(
            Step(action=Action.RESTART_DEVICE_PLUGIN, timeout_seconds=180, retries=1, backoff_seconds=60),
            Step(action=Action.DRAIN, timeout_seconds=1800),
            Step(action=Action.SOFT_REBOOT, timeout_seconds=600),
            Step(action=Action.HARD_REBOOT, timeout_seconds=600, retries=1, backoff_seconds=60),
            Step(action=Action.REPLACE, timeout_seconds=2700),
            Step(action=Action.QUARANTINE, timeout_seconds=300),
        ),
        limits=_POOL_LIMITS,
        settle_seconds=60,
    )


def bare_metal() -> RepairPolicy:
    """Whole computers, DGX above all: never replaced, one at a time, and a person has the last word.

    Times are those of a DGX: ten minutes to boot, an hour to be written anew. PowerCycle comes before Rebuild: it costs
    no data, and what a GPU needs after it fell off the bus is power that was off.
    """
    return RepairPolicy(
        steps=(
            Step(action=Action.RESTART_DEVICE_PLUGIN, timeout_seconds=300, retries=1, backoff_seconds=60),
            Step(action=Action.DRAIN, timeout_seconds=3600),
            Step(action=Action.SOFT_REBOOT, timeout_seconds=1800),
            Step(action=Action.POWER_CYCLE, timeout_seconds=1800, retries=1, backoff_seconds=300),
            Step(action=Action.REBUILD, timeout_seconds=5400),
            Step(action=Action.QUARANTINE, timeout_seconds=300),
        ),
        limits=Limits(max_in_flight=1, max_unhealthy="40%"),
        memory=Memory(max_repairs=2),
        settle_seconds=120,
    )


def control_plane() -> RepairPolicy:
    """Nodes of the control plane: one at a time, and never more than one that is sick; etcd's quorum is checked apart.

    A short Drain: what runs there beside the control plane is placed elsewhere at once.
    """
    return RepairPolicy(
        steps=(
            Step(action=Action.DRAIN, timeout_seconds=300),
            Step(action=Action.SOFT_REBOOT, timeout_seconds=300),
            Step(action=Action.HARD_REBOOT, timeout_seconds=300, retries=1, backoff_seconds=60),
            Step(action=Action.REPLACE, timeout_seconds=1800),
        ),
        limits=_POOL_LIMITS,
        settle_seconds=60,
    )


def dev() -> RepairPolicy:
    """Machines of Cluster API's in-memory provider: they have no power to cycle, so they are replaced."""
    return RepairPolicy(steps=(Step(action=Action.REPLACE, timeout_seconds=600),), limits=_POOL_LIMITS)


LADDERS: Final = MappingProxyType(
    {
        PoolKind.VM: vm(),
        PoolKind.GPU_VM: gpu_vm(),
        PoolKind.BARE_METAL: bare_metal(),
        PoolKind.CONTROL_PLANE: control_plane(),
        PoolKind.DEV: dev(),
    }
)


def kind_of(provider: str, *, control_plane: bool = False, metal: bool = False, gpus: int = 0) -> PoolKind:
    """What a pool is. provider: of its Site. metal, gpus: of its flavor. A control plane is one whatever it runs on."""
    if provider == "dev":
        return PoolKind.DEV
    if control_plane:
        return PoolKind.CONTROL_PLANE
    if metal:
        return PoolKind.BARE_METAL
    return PoolKind.GPU_VM if gpus else PoolKind.VM


def policy_for(kind: PoolKind) -> RepairPolicy:
    """The shipped policy of such a pool."""
    return LADDERS[kind]

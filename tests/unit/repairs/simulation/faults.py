"""What may be wrong with a simulated node, and what it shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kaas.api.repair import Action


@dataclass(frozen=True)
class Kind:
    """A fault. tolerance: seconds. cure: the mildest action that takes it away. quiet: the Node is not Ready by it."""

    signal: str
    entry: Action
    tolerance: float
    cure: Action
    quiet: bool = False
    cloud: bool = False
    asked: bool = False


@dataclass
class Fault:
    """A fault that a node has. until: when it goes by itself, None for never."""

    kind: Kind
    since: datetime
    until: datetime | None = None


SILENT = "KubeletSilent"

KUBELET = Kind(SILENT, Action.SOFT_REBOOT, 300, Action.SOFT_REBOOT, quiet=True)
KERNEL = Kind(SILENT, Action.SOFT_REBOOT, 300, Action.HARD_REBOOT, quiet=True)
DISK = Kind(SILENT, Action.SOFT_REBOOT, 300, Action.REPLACE, quiet=True)
NETWORK = Kind(SILENT, Action.SOFT_REBOOT, 300, Action.QUARANTINE, quiet=True)  # no repair helps
PLUGIN = Kind("GpuMissing", Action.RESTART_DEVICE_PLUGIN, 120, Action.RESTART_DEVICE_PLUGIN)
XID_79 = Kind("Xid79", Action.POWER_CYCLE, 0, Action.POWER_CYCLE)
XID_48 = Kind("Xid48", Action.SOFT_REBOOT, 0, Action.SOFT_REBOOT)
BROKEN_GPU = Kind("Xid48", Action.SOFT_REBOOT, 0, Action.QUARANTINE)
SERVER = Kind("ServerError", Action.HARD_REBOOT, 120, Action.HARD_REBOOT, quiet=True, cloud=True)
PRESSURE = Kind("DiskPressure", Action.SOFT_REBOOT, 600, Action.SOFT_REBOOT)
IMAGE = Kind("NeverJoined", Action.REPLACE, 600, Action.QUARANTINE, quiet=True)

KINDS = (KUBELET, KERNEL, DISK, NETWORK, PLUGIN, XID_79, XID_48, BROKEN_GPU, SERVER, PRESSURE)


def requested(action: Action) -> Kind:
    """A person asks, for whatever mends when it is for Wait. That stays written until the repair is over."""
    return Kind("Requested", action, 0, Action.QUARANTINE, asked=True)

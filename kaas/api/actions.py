"""The words of repairs: what is done to a node, and what may be done. Apart, for the command line needs no models."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """A step of a ladder, from the mildest to the hardest."""

    WAIT = "Wait"
    RESTART_DEVICE_PLUGIN = "RestartDevicePlugin"
    DRAIN = "Drain"
    SOFT_REBOOT = "SoftReboot"
    HARD_REBOOT = "HardReboot"
    REBUILD = "Rebuild"
    POWER_CYCLE = "PowerCycle"
    REPLACE = "Replace"
    QUARANTINE = "Quarantine"


class Mode(StrEnum):
    """What may be done. DryRun: decisions are shown, nothing is done. Off: nor are they; a repair that goes on ends."""

    AUTOMATIC = "Automatic"
    DRY_RUN = "DryRun"
    OFF = "Off"

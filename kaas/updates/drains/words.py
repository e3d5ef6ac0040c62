"""Names that a drain with notice is spoken of with: annotations, Events, reasons. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from kaas.api.constants import GROUP

# On a Pod of a node that is to be drained; a job reads them through the downward API.
DRAIN_AT: Final = f"{GROUP}/drain-at"
"""When its node is drained at the latest (RFC 3339); left out when the pool sets no time-out."""
DRAIN_REASON: Final = f"{GROUP}/drain-reason"
"""Why, for people. As long as it is there, the Pod has been told."""
CHECKPOINT: Final = f"{GROUP}/checkpoint"
"""Set to `true` by who made the Pod: it is waited for until it has written down where it is."""
CHECKPOINTED: Final = f"{GROUP}/checkpointed"
"""When it last did (RFC 3339); counts when that is not before the notice."""
DO_NOT_DISRUPT: Final = f"{GROUP}/do-not-disrupt"
"""Set to `true` by who made the Pod: it is waited for until it ends, whoever made it."""

# On a Machine.
NOTICED: Final = f"{GROUP}/drain-notice"
"""When the Pods of its node were told (RFC 3339): the time-out counts from then."""
DRAIN_NOW: Final = f"{GROUP}/drain-now"
"""A person has it drained at once, whatever it waits for. Value: why."""

# On a MachineDeployment.
WHOLE: Final = f"{GROUP}/gpus"
"""What the boxes of its pool had to offer when the last one went, as JSON: a list of resource to number, with the label
`nvidia.com/mig.config` of those that had it."""

AHEAD: Final = "DrainAhead"
"""Reason of the Event at a Pod and its owner."""


class Reason(StrEnum):
    """Why a machine that is to go is drained, or waits."""

    # It is drained now.
    DRAIN_NOW = "DrainNow"
    CLUSTER_DELETED = "ClusterDeleted"
    POOL_REMOVED = "PoolRemoved"
    NOTICE_OFF = "NoticeOff"
    REPAIR = "Repair"
    NO_NODE = "NoNode"
    NODE_NOT_READY = "NodeNotReady"
    OUT_OF_SIGHT = "OutOfSight"
    PODS_DONE = "PodsDone"
    TIMED_OUT = "TimedOut"
    SOAKED = "Soaked"

    # It waits.
    NOT_SEEN = "NotSeen"
    OTHERS_MISSING = "OthersMissing"
    NEW_MACHINES_MISSING = "NewMachinesMissing"
    LAYOUT_MISSING = "LayoutMissing"
    """One of those that it waits for is Ready, and its GPUs are not laid out yet."""
    LAYOUT_FAILED = "LayoutFailed"
    """One of those that it waits for has GPUs that could not be laid out: it does not come back by itself."""
    SOAKING = "Soaking"
    PODS_RUNNING = "PodsRunning"

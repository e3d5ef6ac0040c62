"""Why nothing is done now: every reason that a decision or a breaker may carry, and what it means. Pure."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Reason(StrEnum):
    """One CamelCase word for programs; `MEANINGS` says it to people."""

    TOLERATED = "Tolerated"
    SETTLING = "Settling"
    BACK_OFF = "BackOff"
    QUARANTINED = "Quarantined"
    LADDER_ENDED = "LadderEnded"
    NOT_ON_LADDER = "NotOnLadder"
    BLIND_TO_CLUSTER = "BlindToCluster"
    BLIND_TO_HEARTBEATS = "BlindToHeartbeats"
    BLIND_TO_CLOUD = "BlindToCloud"
    INCIDENT_OF_ZONE = "IncidentOfZone"
    INCIDENT_OF_HOST = "IncidentOfHost"
    UPDATE_UNDER_WAY = "UpdateUnderWay"
    CONTROL_PLANE_NOT_HEALTHY = "ControlPlaneNotHealthy"
    ONE_MASTER_AT_A_TIME = "OneMasterAtATime"
    QUORUM_AT_RISK = "QuorumAtRisk"
    LAST_HEALTHY_MASTER = "LastHealthyMaster"
    ONLY_MASTER = "OnlyMaster"
    CLUSTER_AWAY = "ClusterAway"
    MACHINE_SKIPPED = "MachineSkipped"
    MACHINE_DELETING = "MachineDeleting"
    MACHINE_OUTDATED = "MachineOutdated"
    PAUSED = "Paused"
    DRY_RUN = "DryRun"
    BUDGET_SPENT = "BudgetSpent"
    TOO_MANY_SICK = "TooManySick"
    REPLACEMENTS_DO_NOT_HELP = "ReplacementsDoNotHelp"
    FACTS_MISSING = "FactsMissing"


MEANINGS: Final = MappingProxyType(
    {
        Reason.TOLERATED: "Something is wrong, and has not yet lasted as long as its signal tolerates.",
        Reason.SETTLING: "Nothing is wrong any more; it has to stay so for `settleSeconds` before the node is healed.",
        Reason.BACK_OFF: "The step failed or did not help in time; it is tried again after `backoffSeconds`.",
        Reason.QUARANTINED: "The node is kept for a person, who releases it with `kaas repair release`.",
        Reason.LADDER_ENDED: "Every step of the ladder that can help was tried; a person has to look at the node.",
        Reason.NOT_ON_LADDER: "A person asks for a step that the pool's ladder does not have.",
        Reason.BLIND_TO_CLUSTER: "The workload cluster's API cannot be seen: what is known of its nodes is old.",
        Reason.BLIND_TO_HEARTBEATS: "Heartbeats of many nodes stopped together: more likely a network than the nodes.",
        Reason.BLIND_TO_CLOUD: "The cloud's API cannot be seen: no step that needs it begins.",
        Reason.INCIDENT_OF_ZONE: "Most nodes of a zone failed together: they are left alone until it is back.",
        Reason.INCIDENT_OF_HOST: "Most nodes of a hypervisor failed together: they are left alone until it is back.",
        Reason.UPDATE_UNDER_WAY: "The pool is being updated, which takes nodes out by itself.",
        Reason.CONTROL_PLANE_NOT_HEALTHY: "The control plane is not healthy, and is healed before any worker.",
        Reason.ONE_MASTER_AT_A_TIME: "Another node of the control plane is under repair.",
        Reason.QUORUM_AT_RISK: "Without this node too few members would be left for etcd's quorum.",
        Reason.LAST_HEALTHY_MASTER: "It is the last node of the control plane that works.",
        Reason.ONLY_MASTER: "It is the only node of the control plane: a harder step than a reboot loses the cluster.",
        Reason.CLUSTER_AWAY: "The Cluster is paused, hibernated or being deleted.",
        Reason.MACHINE_SKIPPED: "The Machine says that it is not to be touched.",
        Reason.MACHINE_DELETING: "The Machine is being deleted already.",
        Reason.MACHINE_OUTDATED: "An update replaces the Machine soon.",
        Reason.PAUSED: "A person has paused repairs of the pool or the Site.",
        Reason.DRY_RUN: "The mode is DryRun: it is shown what would be done.",
        Reason.BUDGET_SPENT: "As many nodes as `maxInFlight` allows are under repair.",
        Reason.TOO_MANY_SICK: "More nodes than `maxUnhealthy` are sick: then it is not the nodes.",
        Reason.REPLACEMENTS_DO_NOT_HELP: "New nodes of the pool are sick too: another one would not help.",
        Reason.FACTS_MISSING: "The pool, Cluster or Site of the node is not known yet.",
    }
)

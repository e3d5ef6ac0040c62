"""What the control plane allows: one of its nodes at a time, never below etcd's quorum, and before any worker. Pure."""

from __future__ import annotations

from kaas.api.repair import Action
from kaas.repairs.actions import DISRUPTIVE, REBOOTS
from kaas.repairs.facts import ClusterFacts, Patient
from kaas.repairs.reasons import Reason

Objection = tuple[Reason, str]
"""Why a step may not begin, and the message with the way out."""


def objection(patient: Patient, cluster: ClusterFacts, action: Action, busy: str) -> Objection | None:
    """What the control plane has against a step. busy: another of its nodes that is under repair, "" for none.

    A quarantine takes no member of etcd away, so the quorum does not hold it back.
    """
    if not patient.machine.control_plane:
        return _worker(cluster)
    if action not in DISRUPTIVE:
        return None
    if busy:
        return Reason.ONE_MASTER_AT_A_TIME, f"{busy} of the same control plane is under repair; it is next after that"
    return None if action is Action.QUARANTINE else _master(patient, cluster, action)


def _worker(cluster: ClusterFacts) -> Objection | None:
    if not cluster.control_plane:
        return None
    return (
        Reason.CONTROL_PLANE_NOT_HEALTHY,
        f"the control plane of {cluster.key[1]} is healed first: {cluster.control_plane}",
    )


def _master(patient: Patient, cluster: ClusterFacts, action: Action) -> Objection | None:
    """Etcd works with a majority of its members: 1 of 1, 2 of 3, 3 of 5 (etcd FAQ, failure tolerance)."""
    others = cluster.healthy_masters
    if _works(patient) and others <= 0:
        return (
            Reason.LAST_HEALTHY_MASTER,
            "it is the last node of the control plane that works; set more controlPlane.replicas, or repair it by hand",
        )
    if cluster.masters <= 1:
        return _only_master(action)
    quorum = cluster.masters // 2 + 1
    if others >= quorum:
        return None
    return (
        Reason.QUORUM_AT_RISK,
        f"without it {others} of {cluster.masters} members of etcd work and {quorum} are needed; heal another "
        "master first",
    )


def _only_master(action: Action) -> Objection | None:
    """Of a control plane of one node that does not work anyway: what keeps its disk can only help."""
    if action in REBOOTS or action is Action.DRAIN:
        return None
    return (
        Reason.ONLY_MASTER,
        f"{action} of the only master would lose etcd's data and with it the cluster; save its disk and do it by hand",
    )


def _works(patient: Patient) -> bool:
    """Whether a sick master may still serve: what is not known of its etcd counts as healthy when its Node is Ready."""
    etcd = patient.machine.etcd_healthy
    return patient.ready if etcd is None else etcd

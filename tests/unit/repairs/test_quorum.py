"""What the control plane allows."""

from __future__ import annotations

import pytest

from kaas.api.repair import Action
from kaas.repairs.decisions import Act, Hold, Wait
from kaas.repairs.facts import Patient
from tests.unit.repairs import builders as b

MASTER: dict[str, object] = {"control_plane": True, "pool": (*b.CLUSTER, "")}
POLICY = b.policy(Action.RESTART_DEVICE_PLUGIN, Action.SOFT_REBOOT, Action.REPLACE, Action.QUARANTINE)


def master(entry: Action = Action.SOFT_REBOOT, **more: object) -> Patient:
    return b.patient(b.finding(entry), **{"name": "master", **MASTER, **more})  # type: ignore[arg-type]


def reason(sick: Patient, masters: int, others: int) -> str:
    decision = b.decide(sick, policy=POLICY, masters=masters, healthy_masters=others)
    return decision.reason if isinstance(decision, Hold) else type(decision).__name__


@pytest.mark.parametrize(
    ("masters", "others", "etcd", "expected"),
    [
        (3, 2, True, "Act"),
        (3, 2, False, "Act"),
        (3, 1, True, "QuorumAtRisk"),
        (3, 1, False, "QuorumAtRisk"),
        (3, 0, True, "LastHealthyMaster"),
        (3, 0, False, "QuorumAtRisk"),
        (5, 4, True, "Act"),
        (5, 3, True, "Act"),
        (5, 2, True, "QuorumAtRisk"),
        (2, 1, True, "QuorumAtRisk"),
        (4, 3, True, "Act"),
        (1, 0, True, "LastHealthyMaster"),
        (1, 0, False, "Act"),
    ],
)
def test_quorum(masters: int, others: int, etcd: bool, expected: str) -> None:
    assert reason(master(etcd_healthy=etcd), masters, others) == expected


@pytest.mark.parametrize(("ready", "expected"), [(True, "LastHealthyMaster"), (False, "Act")])
def test_what_is_not_known_of_etcd_follows_the_node(ready: bool, expected: str) -> None:
    assert reason(master(etcd_healthy=None, ready=ready), 1, 0) == expected


def test_the_only_master_is_never_replaced() -> None:
    assert reason(master(Action.REPLACE, etcd_healthy=False), 1, 0) == "OnlyMaster"


def test_a_person_does_not_pass_it() -> None:
    request = b.patient(b.asked(Action.SOFT_REBOOT), name="master", **MASTER)
    assert reason(request, 1, 0) == "LastHealthyMaster"


@pytest.mark.parametrize("action", [Action.RESTART_DEVICE_PLUGIN, Action.QUARANTINE])
def test_what_takes_no_member_away_needs_no_quorum(action: Action) -> None:
    assert reason(master(action, etcd_healthy=True), 3, 0) == "Act"


def test_one_at_a_time() -> None:
    flying = master(name="first", progress=b.progress(Action.SOFT_REBOOT, started=9))
    found = b.decisions([master(name="second"), flying], masters=5, healthy_masters=3)
    assert isinstance(found["first"], Wait)
    assert isinstance(found["second"], Hold)
    assert (found["second"].reason, "first" in found["second"].message) == ("OneMasterAtATime", True)
    both = b.decisions([master(name="one"), master(name="two")], masters=5, healthy_masters=3)
    assert [isinstance(d, Act) for d in both.values()] == [True, False]


def test_masters_go_on_while_the_control_plane_is_not_healthy_and_workers_wait() -> None:
    found = b.decisions([master(), b.patient()], masters=3, healthy_masters=2, control_plane="etcd is degraded")
    assert isinstance(found["master"], Act)
    assert isinstance(found["m-1"], Hold)
    assert found["m-1"].reason == "ControlPlaneNotHealthy"

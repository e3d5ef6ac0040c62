"""Faults: put in force, found by machines, healed."""

from __future__ import annotations

from pathlib import Path

import pytest
from kaas_lab.machines import faults
from kaas_lab.machines.faults import Fault, NodeFaults, UnknownFault

XID = Fault("condition", "gpu-1", condition="GPUHealthy", status="False", reason="XID79", message="fell off the bus")


def test_none_at_first(tmp_path: Path) -> None:
    assert faults.load(tmp_path) == []


def test_the_same_kind_on_the_same_target_replaces(tmp_path: Path) -> None:
    faults.break_machine(tmp_path, Fault("gpu", "gpu-1", missing=1))
    faults.break_machine(tmp_path, Fault("gpu", "gpu-1", missing=2))
    faults.break_machine(tmp_path, Fault("gpu", "gpu-2", missing=3))
    assert {(f.target, f.missing) for f in faults.load(tmp_path)} == {("gpu-1", 2), ("gpu-2", 3)}


def test_faults_of_a_node() -> None:
    found = [XID, Fault("gpu", "server-id", missing=2), Fault("kubelet", "another")]
    assert faults.of_node(found, "gpu-1", "server-id") == NodeFaults(False, (XID,), 2)
    assert faults.of_node(found, "another").kubelet_dead


def test_a_healed_condition_is_reported_the_other_way(tmp_path: Path) -> None:
    faults.break_machine(tmp_path, XID)
    assert faults.heal_machine(tmp_path, "condition", "gpu-1") == [XID]
    (after,) = faults.load(tmp_path)
    assert (after.condition, after.status, after.healed) == ("GPUHealthy", "True", True)
    assert faults.in_force(tmp_path) == []


def test_a_kubelets_own_condition_heals_by_itself(tmp_path: Path) -> None:
    faults.break_machine(tmp_path, Fault("condition", "a", condition="DiskPressure"))
    faults.heal_machine(tmp_path, "condition", "a", "DiskPressure")
    assert faults.load(tmp_path) == []


def test_healing_what_is_well(tmp_path: Path) -> None:
    with pytest.raises(UnknownFault, match="gpu-1"):
        faults.heal_machine(tmp_path, "gpu", "gpu-1")


def test_healing_all(tmp_path: Path) -> None:
    for fault in (XID, Fault("kubelet", "a"), Fault("api", "team-a", mode="refuse")):
        faults.break_machine(tmp_path, fault)
    assert len(faults.heal_all(tmp_path)) == 3
    assert faults.in_force(tmp_path) == []


def test_a_file_half_written_is_none(tmp_path: Path) -> None:
    faults.directory(tmp_path).mkdir()
    (faults.directory(tmp_path) / "x.json").write_text('{"kind": "gpu"')
    assert faults.load(tmp_path) == []


@pytest.mark.parametrize(
    ("target", "blocked"),
    [("team-a", True), ("team-a-gpu", True), ("team-a-*", True), ("team", True), ("eam-a", False), ("team-b", False)],
)
def test_who_may_not_join(target: str, blocked: bool) -> None:
    assert faults.blocks_join([Fault("join", target)], "team-a-gpu-x1-y2") is blocked


def test_broken_clusters() -> None:
    found = [Fault("api", "a", mode="hang"), Fault("api", "b", mode="refuse"), Fault("kubelet", "c")]
    assert faults.broken_clusters(found, "hang") == {"a"}
    assert faults.broken_clusters(found, "refuse") == {"b"}

"""Faults: put in force, found by machines, healed."""

from __future__ import annotations

from pathlib import Path

import pytest
from kaas_lab.machines import faults
from kaas_lab.machines.faults import Fault, MigFault, NodeFaults, UnknownFault, Until
from kaas_lab.machines.nova import Restart

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


def test_layouts_go_wrong_by_node_and_by_pool() -> None:
    found = [Fault("mig", "team-a-dgx", layout="slow", seconds=9), Fault("mig", "node-7", layout="fails")]
    assert faults.of_mig(found, "team-a-dgx-x1-y2") == MigFault("slow", 9)
    assert faults.of_mig(found, "node-7", "team-a-dgx-x1-y2") == MigFault("fails")
    assert faults.of_mig(found, "team-b-dgx-x1") == MigFault()


def test_broken_clusters() -> None:
    found = [Fault("api", "a", mode="hang"), Fault("api", "b", mode="refuse"), Fault("kubelet", "c")]
    assert faults.broken_clusters(found, "hang") == {"a"}
    assert faults.broken_clusters(found, "refuse") == {"b"}


@pytest.mark.parametrize(
    ("restart", "left"),
    [
        (Restart.NONE, {"plugin", "reboot", "hard-reboot", "power-cycle", "rebuild", "heal"}),
        (Restart.SOFT, {"hard-reboot", "power-cycle", "rebuild", "heal"}),
        (Restart.HARD, {"power-cycle", "rebuild", "heal"}),
        (Restart.POWER_CYCLE, {"rebuild", "heal"}),
        (Restart.REBUILD, {"heal"}),
    ],
)
def test_what_a_restart_ends(tmp_path: Path, restart: Restart, left: set[str]) -> None:
    untils: tuple[Until, ...] = ("plugin", "reboot", "hard-reboot", "power-cycle", "rebuild", "heal")
    for until in untils:
        for target in ("a", "another"):
            faults.break_machine(tmp_path, Fault("condition", target, condition=f"X{until}", until=until))
    faults.end_by(tmp_path, restart, "a", "server-id")
    assert {f.until for f in faults.in_force(tmp_path) if f.target == "a"} == left
    assert {f.until for f in faults.in_force(tmp_path) if f.target == "another"} == set(untils)


def test_an_xid_is_a_condition_and_a_gpu_less(tmp_path: Path) -> None:
    faults.break_machine(tmp_path, faults.xid("a", 79, until="power-cycle"))
    found = faults.of_node(faults.load(tmp_path), "a")
    (condition,) = found.conditions
    assert (condition.condition, condition.status, condition.reason) == ("GPUUnhealthy", "True", "NvidiaXID79")
    assert condition.message == "NVRM: Xid (PCI:0000:07:00): 79, GPU has fallen off the bus."
    assert found.missing_gpus == 1
    faults.end_by(tmp_path, Restart.POWER_CYCLE, "a")
    found = faults.of_node(faults.load(tmp_path), "a")
    assert [(c.status, c.reason) for c in found.conditions] == [("False", "Healed")]
    assert found.missing_gpus == 0


def test_an_applications_xid_takes_no_gpu() -> None:
    assert (faults.xid("a", 31).missing, faults.xid("a", 31, 2).missing) == (0, 2)


def test_a_restart_of_the_device_plugin(tmp_path: Path) -> None:
    faults.break_machine(tmp_path, Fault("gpu", "a", missing=2, until="plugin"))
    faults.break_machine(tmp_path, Fault("kubelet", "a", until="reboot"))
    since = faults.of_node(faults.load(tmp_path), "a").plugin
    assert since is not None
    faults.end_by_plugin(tmp_path, "a")
    assert [f.kind for f in faults.in_force(tmp_path)] == ["kubelet"]
    assert faults.of_node(faults.load(tmp_path), "a").plugin is None

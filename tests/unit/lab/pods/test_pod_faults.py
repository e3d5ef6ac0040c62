"""What is made to go wrong with Pods on purpose: from the command line to who asks."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from kaas_lab import cli, lab, pods, processes
from kaas_lab.pods.faults import Fault, Faults, Kind
from typer.testing import CliRunner, Result


@pytest.fixture
def state(tmp_path: Path) -> Path:
    pods.directory(tmp_path).mkdir()
    return tmp_path


def run(state: Path, *words: str) -> Result:
    return CliRunner().invoke(cli.app, [*words, "--state", str(state)])


def test_a_fault_holds_for_what_its_pattern_names(tmp_path: Path) -> None:
    faults = Faults(tmp_path)
    faults.add(Fault(Kind.SNAPSHOT_SLOW, "team-a/*", 3.0))
    assert faults.find(Kind.SNAPSHOT_SLOW, "team-a/data") == Fault(Kind.SNAPSHOT_SLOW, "team-a/*", 3.0)
    assert not faults.has(Kind.SNAPSHOT_SLOW, "team-b/data")
    assert not faults.has(Kind.SNAPSHOT_FAILS, "team-a/data")


def test_a_fault_takes_the_place_of_one_alike(tmp_path: Path) -> None:
    faults = Faults(tmp_path)
    for seconds in (1.0, 2.0):
        faults.add(Fault(Kind.PROVISION_SLOW, "*", seconds))
    assert faults.all() == [Fault(Kind.PROVISION_SLOW, "*", 2.0)]


def test_faults_are_healed_by_kind_and_target_or_all(tmp_path: Path) -> None:
    faults = Faults(tmp_path)
    one, two, three = (Fault(Kind.NODE_AWAY, "a"), Fault(Kind.NODE_AWAY, "b"), Fault(Kind.UNPULLABLE, "a"))
    for fault in (one, two, three):
        faults.add(fault)
    assert faults.heal(Kind.NODE_AWAY, "a") == [one]
    assert faults.heal() == [two, three]
    assert faults.all() == []


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_is_broken_and_healed_by_a_command(state: Path, kind: Kind) -> None:
    assert run(state, "break", "pods", kind.value, "x").output == f"broken: {kind} of x\n"
    assert Faults(pods.directory(state)).has(kind, "x")
    assert run(state, "heal", "pods", kind.value, "x").output == f"healed: {kind} of x\n"
    assert not Faults(pods.directory(state)).has(kind, "x")


def test_a_directory_without_pods_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "break", "pods", "node-away", "node-1")
    assert done.exit_code == 2
    assert "with pods" in " ".join(done.output.split())


def test_the_processes_of_one_pod_are_killed(state: Path) -> None:
    log = state / "log"
    pod = processes.spawn(state, "pod/team-a/p/main", ["sleep", "100"], log=log)
    other = processes.spawn(state, "pod/team-a/p2/main", ["sleep", "100"], log=log)
    try:
        _wait_for_marks(state, 2)
        assert run(state, "break", "pods", "kill", "team-a/p").output == "killed: 1 processes of team-a/p\n"
        assert pod.wait(30) == -9
        assert other.poll() is None
        assert run(state, "break", "pods", "kill", "team-a/p").exit_code == 2
    finally:
        other.kill()
        other.wait()


def _wait_for_marks(state: Path, count: int) -> None:
    """A process that was just forked has its parent's environment still."""
    end = time.monotonic() + 30
    while len(processes.find(state)) < count:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_lab_with_pods_alone_builds_nothing_of_cluster_api() -> None:
    assert lab.built_parts(("pods",)) == ("pods",)
    assert lab.built_parts(("openstack", "pods")) == ("management", "openstack", "pods")


@pytest.mark.parametrize("count", [0, 11])
def test_a_lab_has_one_to_ten_nodes(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 10"):
        pods.nodes(count)

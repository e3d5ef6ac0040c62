"""`kaas lab break machine …` and `kaas lab heal machine …`."""

from __future__ import annotations

from pathlib import Path

import pytest
from kaas_lab.machines import commands, faults
from kaas_lab.machines.faults import Fault
from typer import Typer
from typer.testing import CliRunner, Result

CASES = {
    ("kubelet", "a"): Fault("kubelet", "a"),
    ("join", "team-a-gpu"): Fault("join", "team-a-gpu"),
    ("gpu", "a", "--missing", "2"): Fault("gpu", "a", missing=2),
    ("kubelet", "a", "--until", "hard-reboot"): Fault("kubelet", "a", until="hard-reboot"),
    ("gpu", "a", "--until", "plugin"): Fault("gpu", "a", missing=1, until="plugin"),
    ("xid", "a", "79", "--until", "power-cycle"): Fault(
        "xid",
        "a",
        condition="GPUUnhealthy",
        reason="NvidiaXID79",
        message="NVRM: Xid (PCI:0000:07:00): 79, GPU has fallen off the bus.",
        missing=1,
        until="power-cycle",
    ),
    ("mig", "team-a-dgx", "slow", "--seconds", "60"): Fault("mig", "team-a-dgx", layout="slow", seconds=60),
    ("api", "team-a", "refuse"): Fault("api", "team-a", mode="refuse"),
    ("condition", "a", "GPUHealthy=False", "--reason", "XID79", "--message", "m"): Fault(
        "condition", "a", condition="GPUHealthy", status="False", reason="XID79", message="m"
    ),
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    where = tmp_path / "sites" / "lab"
    where.mkdir(parents=True)
    return where


def run(app: Typer, site: Path, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--state", str(site.parents[1])])


@pytest.mark.parametrize("words", CASES)
def test_breaking_and_healing(site: Path, words: tuple[str, ...]) -> None:
    assert run(commands.app_break, site, *words).exit_code == 0
    assert faults.in_force(site) == [CASES[words]]
    healed = run(commands.app_heal, site, *words[:2])
    assert healed.exit_code == 0
    assert healed.output == f"healed: {words[0]} of {words[1]}\n"
    assert faults.in_force(site) == []


def test_healing_all(site: Path) -> None:
    for words in CASES:
        run(commands.app_break, site, *words)
    kinds = {words[0] for words in CASES}  # of one kind on one target, the last is in force
    assert run(commands.app_heal, site, "all").output.count("healed: ") == len(kinds)
    assert faults.in_force(site) == []


def test_healing_what_is_well(site: Path) -> None:
    found = run(commands.app_heal, site, "gpu", "a")
    assert found.exit_code == 1
    assert "no fault of kind gpu on 'a'" in found.output


@pytest.mark.parametrize("condition", ["GPUHealthy", "GPUHealthy=Maybe", "=True"])
def test_a_condition_that_is_none(site: Path, condition: str) -> None:
    assert run(commands.app_break, site, "condition", "a", condition).exit_code == 2
    assert faults.load(site) == []


def test_no_such_site(site: Path) -> None:
    assert run(commands.app_break, site, "kubelet", "a", "--site", "moon").exit_code == 2

"""What is said of a node: one state for each decision, and times of transitions that stay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kaas.api.repair import Action
from kaas.repairs.decisions import Act, Decision, Finish, Hold, Wait, Watch
from kaas.repairs.facts import Patient, Progress
from kaas.repairs.reasons import Reason
from kaas.repairs.told import told, words
from tests.unit.repairs.sick import NOW, machine, seconds

KEY = ("team", "m-1")
STARTED = Progress(began=NOW, cause="NodeSilent", step=0, action=Action.DRAIN, started=NOW, number=1)
LATER = NOW + seconds(30)


@pytest.mark.parametrize(
    ("decision", "progress", "state", "phase"),
    [
        (None, None, "Watching", "Pending"),
        (Watch(KEY, Reason.TOLERATED, "", LATER), None, "Watching", "Pending"),
        (Hold(KEY, Reason.PAUSED, "", LATER, 0, Action.DRAIN), None, "Held", "Held"),
        (Hold(KEY, Reason.QUARANTINED, "", LATER, 0, Action.DRAIN), STARTED, "Quarantined", "Quarantined"),
        (Hold(KEY, Reason.DRY_RUN, "", LATER, 0, Action.DRAIN), None, "DryRun", "DryRun"),
        (Act(KEY, 0, Action.DRAIN, 1, "NodeSilent", ""), None, "Repairing", "Repairing"),
        (Wait(KEY, "", LATER), STARTED, "Repairing", "Repairing"),
        (Wait(KEY, "", LATER), replace(STARTED, acted=NOW), "Waiting", "Repairing"),
        (Finish(KEY, healed=True, message=""), STARTED, "Healed", "Succeeded"),
    ],
)
def test_states(decision: Decision | None, progress: Progress | None, state: str, phase: str) -> None:
    patient = Patient(machine(), progress=progress)
    assert words(decision, patient).state == state
    assert told(decision, patient, {}, NOW)["phase"] == phase


def test_a_condition_keeps_its_time_until_it_turns() -> None:
    patient, hold = Patient(machine()), Hold(KEY, Reason.PAUSED, "moving", LATER, 0, Action.DRAIN)
    first = told(hold, patient, {}, NOW)
    second = told(replace(hold, message="still moving"), patient, first, LATER)
    assert [c["lastTransitionTime"] for c in second["conditions"]] == ["2026-01-03T00:00:00Z"] * 2
    third = told(Wait(KEY, "", LATER), patient, second, LATER)
    assert [(c["status"], c["lastTransitionTime"]) for c in third["conditions"]] == [
        ("True", "2026-01-03T00:00:30Z"),
        ("False", "2026-01-03T00:00:30Z"),
    ]

"""`kaas plan`: exit codes and what is printed."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from kaas.cli.exits import ExitCode
from kaas.cli.plan import for_programs, show, steps, verdict
from kaas.clusters.gates import Gate
from kaas.clusters.plan import Step
from kaas.clusters.plan import plan as planned
from tests.unit.clusters.builders import cluster, full_cloud, settled, snapshot

KEY = ("tenants", "team")
NOTHING: list[Step] = []
TO_DO = planned(snapshot())
BLOCKED = planned(snapshot(cluster(controlPlane={"flavor": "huge"})))
QUOTA = planned(snapshot(cloud=full_cloud(free={"cores": 1})))


@pytest.mark.parametrize(
    ("plans", "code"),
    [
        ([], ExitCode.DONE),
        ([NOTHING], ExitCode.DONE),
        ([NOTHING, TO_DO], ExitCode.TO_DO),
        ([TO_DO, BLOCKED], ExitCode.BLOCKED),
        ([planned(settled())], ExitCode.DONE),
    ],
)
def test_verdict(plans: list[list[Step]], code: ExitCode) -> None:
    assert verdict({(KEY[0], f"{n}"): steps for n, steps in enumerate(plans)}) is code


def test_a_later_gate_does_not_block() -> None:
    """The class of a first Cluster is waited for after it was made."""
    assert TO_DO[-2].gates
    assert verdict({KEY: TO_DO}) is ExitCode.TO_DO


def printed(*steps: Step) -> str:
    out = io.StringIO()
    show(Console(file=out, width=1000, no_color=True), {KEY: steps})
    return out.getvalue()


def test_people_get_steps_objects_and_gates() -> None:
    text = printed(*TO_DO)
    assert "tenants/team\n  1. identity" in text
    assert "+ ClusterClass.cluster.x-k8s.io kaas-system/kaas-openstack-" in text
    assert "waits: ClassNotReady" in text


def test_people_get_the_time_of_the_next_look() -> None:
    assert "(looked at again every 15 s)" in printed(*QUOTA)
    assert "(looked at again when it changes)" in printed(*BLOCKED)


@pytest.mark.parametrize(("asked", "said"), [("v1.36.3", True), ("v1.36.1", False)])
def test_another_version_is_an_update(asked: str, *, said: bool) -> None:
    found = settled()
    status = {**(found.cluster.status.to_json() if found.cluster.status else {}), "version": "v1.36.1"}
    changed = replace(found, cluster=cluster(version=asked, status=status))
    updates = [step.reason for step in steps(changed) if step.id == "update"]
    assert len(updates) == said
    assert all("the version is v1.36.1, and spec.version asks for v1.36.3" in words for words in updates)


def test_people_get_nothing_to_do() -> None:
    assert printed() == "tenants/team  nothing to do\n"


def test_programs_get_data() -> None:
    found = for_programs(KEY, [Step("one", "why", gates=(Gate("Missing", "no image", 15.0),))])
    assert json.loads(json.dumps(found)) == {
        "namespace": "tenants",
        "name": "team",
        "steps": [
            {
                "id": "one",
                "reason": "why",
                "apply": [],
                "delete": [],
                "release": None,
                "gates": [{"reason": "Missing", "message": "no image", "lookAgainSeconds": 15.0}],
            }
        ],
    }

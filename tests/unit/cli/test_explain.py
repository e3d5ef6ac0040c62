"""`kaas explain`: what is gathered, and how it is said to people and to programs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from kaas.api.cluster import Cluster
from kaas.api.constants import ANNOTATION_MAINTENANCE, ANNOTATION_UPDATES_PAUSED
from kaas.api.release import Release
from kaas.cli.explain_view import Asked, explained, shown, to_json
from kaas.updates.explain.facts import State
from tests.unit.cli.running import kaas
from tests.unit.updates.subjects import NOW, cluster, release, site

LOOKED_AT = {"update": {"version": "v1.36.3", "reason": "OutsideMaintenance"}}
RELEASES = [release("v1.36.1"), release("v1.36.3")]


def asked(of: Cluster | None = None, releases: Sequence[Release] = tuple(RELEASES), **more: Any) -> Asked:
    found = {"site": site(), "namespace": None, "rollouts": [], **more}
    return Asked(of or cluster(status=LOOKED_AT), found["site"], found["namespace"], releases, found["rollouts"])


def printed(about: Asked, width: int = 400) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, no_color=True).print(shown(about.cluster, explained(about, NOW)))
    return out.getvalue().splitlines()


def text(about: Asked) -> list[str]:
    return [" ".join(line.split()) for line in printed(about)]


def test_a_line_is_as_long_as_its_words_when_it_is_read_by_a_program() -> None:
    assert max(map(len, printed(asked(), width=10_000))) < 400


def test_the_answer_the_reasons_what_comes_and_what_can_be_done() -> None:
    assert text(asked()) == [
        "… tenants/team v1.36.1 → v1.36.3 waits",
        "OutsideMaintenance: v1.36.3 is begun 2027-01-05 22:00 UTC: then the next maintenance window opens",
        "why",
        "Patch v1.36.3 is in Regular since 2026-12-01, v1.36.1 runs",
        "MaintenanceClosed the maintenance window opens 2027-01-05 22:00 UTC (spec.maintenance of the Cluster)",
        "next",
        "2027-01-05 22:00 UTC v1.36.3 is begun, when nothing else is in its way then",
        "you can",
        "change spec.maintenance.windows of the Cluster",
        "kaas next team -n tenants",
        "to have it at once, outside of any window, set spec.version to v1.36.3: that update begins when its checks "
        "let it, and the Cluster is pinned",
    ]


def test_a_command_that_can_be_typed_as_it_stands() -> None:
    of = cluster(status=LOOKED_AT, annotations={ANNOTATION_UPDATES_PAUSED: "launch [today]"})
    lines = text(asked(of))
    assert lines[0] == "✘ tenants/team v1.36.1 → v1.36.3 is not updated until a person acts"
    assert "updates are paused (launch [today])" in lines[1]
    assert f"kubectl annotate clusters.kaas.internal team -n tenants {ANNOTATION_UPDATES_PAUSED}-" in lines


def test_what_its_namespace_says_counts() -> None:
    meta = {"name": "tenants", "annotations": {ANNOTATION_MAINTENANCE: "windows: ["}}
    found = explained(asked(namespace={"apiVersion": "v1", "kind": "Namespace", "metadata": meta}), NOW)
    assert (found.state, found.reason) == (State.BLOCKED, "MaintenanceInvalid")


def test_a_site_that_is_missing() -> None:
    found = explained(asked(site=None), NOW)
    assert (found.state, found.reason) == (State.BLOCKED, "SiteMissing")
    assert "there is no Site north" in found.answer


def test_for_programs() -> None:
    about = asked()
    found = to_json(about.cluster, explained(about, NOW))
    assert {k: v for k, v in found.items() if isinstance(v, str)} == {
        "namespace": "tenants",
        "cluster": "team",
        "state": "Waits",
        "reason": "OutsideMaintenance",
        "decided": "OutsideMaintenance",
        "running": "v1.36.1",
        "version": "v1.36.3",
        "answer": "v1.36.3 is begun 2027-01-05 22:00 UTC: then the next maintenance window opens",
    }
    assert found["coming"] == [
        {"at": "2027-01-05T22:00:00Z", "message": "v1.36.3 is begun, when nothing else is in its way then"}
    ]
    assert found["because"][0] == {"reason": "Patch", "message": "v1.36.3 is in Regular since 2026-12-01, v1.36.1 runs"}
    assert found["ways"][0] == {
        "message": "change spec.maintenance.windows of the Cluster",
        "command": "kaas next team -n tenants",
    }
    assert "command" not in found["ways"][1]


def test_it_takes_one_name() -> None:
    assert kaas("explain").exit_code == 2
    assert "why a Cluster has not been updated" in kaas("explain", "--help").stdout

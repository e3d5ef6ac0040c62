"""`kaas repair`: how names and commands are told apart, what is shown of sick nodes, and what is refused."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
import typer
from rich.console import Console, RenderableType
from typer.core import TyperGroup

from kaas.api.repair import Action, Limits, Mode
from kaas.cli import repair_ask, repair_nodes, repair_pause, repair_show, repair_view
from kaas.cli.controller import fleet_settings
from kaas.cli.exits import CliError, ExitCode
from kaas.cli.repair import app
from kaas.repairs.settings import FleetSettings
from tests.unit.cli.running import kaas

Object = dict[str, Any]
NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
CLUSTER_LABEL = "cluster.x-k8s.io/cluster-name"


def machine(name: str, *, node: str | None = None, server: str = "", history: str | None = None) -> Object:
    annotations = {"annotations": {"kaas.internal/repair-history": history}} if history else {}
    labels = {CLUSTER_LABEL: "team", "kaas.internal/pool": "cpu"}
    spec = {"providerID": f"openstack:///{server}", "failureDomain": "az-1"} if server else {}
    status = {"nodeRef": {"name": node}} if node else {}
    meta = {"name": name, "namespace": "tenants", "labels": labels, **annotations}
    return {"apiVersion": "v1", "kind": "Machine", "metadata": meta, "spec": spec, "status": status}


SICK = {
    "machine": "cpu-1",
    "node": "node-1",
    "pool": "cpu",
    "signals": ["NodeSilent"],
    "since": "2026-07-01T11:50:00Z",
    "state": "Held",
    "reason": "UpdateUnderWay",
    "message": "the pool is being updated",
    "step": "HardReboot",
    "nextTime": "2026-07-01T12:01:00Z",
}
BREAKER = {
    "scope": "site/north",
    "reason": "TooManyUnhealthy",
    "message": "7 of 20 nodes are sick",
    "since": "2026-07-01T11:00:00Z",
}
TRIED = {
    "action": "SoftReboot",
    "cause": "NodeSilent",
    "began": "2026-07-01T11:51:00Z",
    "ended": "2026-07-01T11:56:00Z",
    "outcome": "TimedOut",
    "message": "still silent",
}
STEPS = [{"action": a} for a in ("Drain", "SoftReboot", "HardReboot", "Replace")]


def cluster(*nodes: Object, breakers: tuple[Object, ...] = (), paused: str | None = None) -> Object:
    annotations = {"annotations": {"kaas.internal/repair-paused": paused}} if paused is not None else {}
    repair = {"unhealthy": 1, "inFlight": 0, "quarantined": 0, "nodes": list(nodes), "breakers": list(breakers)}
    meta = {"name": "team", "namespace": "tenants", **annotations}
    return {"kind": "Cluster", "metadata": meta, "spec": {"site": "north"}, "status": {"repair": repair}}


def repair(name: str, **status: Any) -> Object:
    meta = {"name": name, "namespace": "tenants", "labels": {CLUSTER_LABEL: "team"}}
    return {"kind": "NodeRepair", "metadata": meta, "spec": {"mode": "Automatic", "steps": STEPS}, "status": status}


def text(shown: RenderableType) -> str:
    out = io.StringIO()
    Console(file=out, width=1000, no_color=True).print(shown)
    return out.getvalue()


# --- names and commands -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        (["worker-1"], ["node", "worker-1"]),
        (["-n", "x", "worker-1"], ["node", "-n", "x", "worker-1"]),
        (["worker-1", "--step", "Drain"], ["node", "worker-1", "--step", "Drain"]),
        (["status"], ["status"]),
        (["-n", "x", "status", "-A"], ["status", "-n", "x", "-A"]),
        (["-n", "status", "worker-1"], ["node", "-n", "status", "worker-1"]),
        (["-v", "status"], ["status", "-v"]),
        (["node", "status"], ["node", "status"]),
    ],
)
def test_a_name_stands_where_a_command_may(
    arguments: list[str], first: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def parse_args(_: object, __: object, words: list[str]) -> list[str]:
        seen.append(words)
        return words

    monkeypatch.setattr(TyperGroup, "parse_args", parse_args)
    group = typer.main.get_command(app)
    group.parse_args(typer.Context(group), list(arguments))
    assert seen == [first]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["repair", "a", "--step", "Reboot"], "HardReboot"),
        (["repair", "pause"], "a Cluster, --site SITE or --all"),
        (["repair", "pause", "team", "--all"], "name exactly one"),
        (["repair", "resume", "--site", "a", "--all"], "name exactly one"),
        (["repair", "confirm", "--site", "a", "az-1"], "zone/NAME"),
        (["repair", "confirm", "zone/az-1"], "--site"),
        (["controller", "--repair-max-in-flight", "-1"], "--repair-max-in-flight"),
        (["controller", "--repair-max-unhealthy", "101%"], "as 20 or 30%"),
        (["controller", "--repair-ticket-url", "tickets"], "https://"),
        (["controller", "--repair-mode", "off"], "Automatic"),
    ],
)
def test_what_is_wrong_is_said_with_the_way_out(arguments: list[str], words: str) -> None:
    result = kaas(*arguments)
    assert result.exit_code == ExitCode.WRONG_INPUT
    assert words in " ".join(result.stderr.replace("│", "").split())


def test_options_of_the_controller() -> None:
    assert fleet_settings(Mode.AUTOMATIC, "20", "30%", None) == FleetSettings()
    found = fleet_settings(Mode.DRY_RUN, "10%", "4", "https://tickets.example")
    assert found.limits == Limits(max_in_flight="10%", max_unhealthy=4)


# --- the machine that is meant ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cpu-1", "node-1", "5e0c"])
def test_a_machine_goes_by_several_names(name: str) -> None:
    meant = machine("cpu-1", node="node-1", server="5e0c")
    assert repair_nodes.matching([machine("cpu-2", node="node-2"), meant], name) == [meant]


def test_its_own_name_comes_before_that_of_anothers_node() -> None:
    meant = machine("a")
    assert repair_nodes.matching([machine("b", node="a"), meant], "a") == [meant]


def test_errors_name_the_way_out() -> None:
    several = [machine("a", node="n"), machine("b", node="n")]
    assert "a (Cluster team), b (Cluster team); name one" in str(repair_nodes.ambiguous("n", several))
    assert "`-n tenants`" in str(repair_nodes.unknown("n", "default", [machine("a")]))
    error = repair_nodes.unknown("n", "default", [])
    assert "kaas status CLUSTER" in str(error)
    assert error.code == ExitCode.NOT_FOUND


def test_a_step_that_the_ladder_does_not_have() -> None:
    template = {"spec": {"template": {"spec": {"steps": STEPS}}}}
    repair_ask.has_step(machine("a"), template, Action.DRAIN)
    with pytest.raises(CliError, match="choose one of Drain, SoftReboot, HardReboot, Replace"):
        repair_ask.has_step(machine("a"), template, Action.POWER_CYCLE)


def test_zone_of_an_incident() -> None:
    site = {"metadata": {"name": "north"}, "spec": {"zones": [{"name": "az-1"}]}}
    repair_pause.check_zone(site, "zone/az-1")
    repair_pause.check_zone(site, "host/az-2")
    repair_pause.check_zone({"metadata": {"name": "north"}, "spec": {}}, "zone/nova")
    with pytest.raises(CliError, match="no zone 'az-2'; it has az-1"):
        repair_pause.check_zone(site, "zone/az-2")


def test_only_what_is_remembered_is_cleared() -> None:
    told = machine("a")
    told["metadata"]["annotations"] = {"kaas.internal/repair-replaced": "[]"}
    assert repair_pause.remembered([told, machine("b")]) == [told]


# --- what is shown ------------------------------------------------------------------------------------------------


def test_table_says_what_is_wrong_and_what_holds_it_back() -> None:
    site = {"kind": "Site", "metadata": {"name": "north", "annotations": {"kaas.internal/repair-paused": "hall 2"}}}
    known = repair("cpu-1", tried=[TRIED])
    shown = repair_view.fleet([cluster(SICK, breakers=(BREAKER,), paused="")], [site], [known])
    lines = text(repair_show.fleet(shown, NOW, namespaces=True)).splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "NAMESPACE NODE CLUSTER POOL WRONG SINCE STATE STEP TRIED NEXT LOOK WHY",
        "tenants node-1 team cpu NodeSilent 10m Held HardReboot SoftReboot in 1m the pool is being updated",
        "open site/north for 1h TooManyUnhealthy: 7 of 20 nodes are sick",
        "paused Site north: hall 2",
        "paused Cluster tenants/team: nobody said why",
    ]


def test_a_node_that_the_status_has_no_room_for_is_shown_too() -> None:
    finding = {"signal": "XID", "since": "2026-07-01T11:59:00Z", "message": "XID 79"}
    more = repair(
        "cpu-2", phase="Repairing", node="node-2", pool="cpu", began="2026-07-01T11:59:30Z", findings=[finding]
    )
    fresh = repair("cpu-3")
    found = repair_view.fleet([cluster(SICK)], [], [repair("cpu-1"), more, fresh]).nodes
    assert [(n.machine, n.state, list(n.signals)) for n in found] == [
        ("cpu-1", "Held", ["NodeSilent"]),
        ("cpu-2", "Repairing", ["XID"]),
        ("cpu-3", "Watching", []),
    ]
    assert found[2].message == "the controller has not looked at it yet"


def test_nodes_of_other_clusters_are_not_shown() -> None:
    assert repair_view.fleet([], [], [repair("cpu-1")]).nodes == []


def test_the_same_breaker_is_told_once() -> None:
    shown = repair_view.fleet([cluster(breakers=(BREAKER,)), cluster(breakers=(BREAKER,))], [], [])
    assert [b.scope for b in shown.breakers] == ["site/north"]


HISTORY = (
    '[{"action":"HardReboot","cause":"NodeSilent","began":"2026-06-30T08:00:00Z",'
    '"ended":"2026-06-30T08:01:30Z","outcome":"Succeeded"}]'
)


def test_story_of_a_node() -> None:
    finding = {"signal": "NodeSilent", "since": "2026-07-01T11:50:00Z", "message": "no heartbeat for 600 s"}
    known = repair("cpu-1", phase="Held", findings=[finding], tried=[TRIED])
    told = machine("cpu-1", node="node-1", server="5e0c", history=HISTORY)
    shown = repair_view.story(told, cluster(SICK, breakers=(BREAKER,)), None, known, None)
    lines = text(repair_show.story(shown, NOW)).splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "✘ node-1 Held",
        "Machine tenants/cpu-1 Cluster team cpu az-1 server 5e0c",
        "the pool is being updated (looked at again in 1m)",
        "wrong",
        "NodeSilent for 10m no heartbeat for 600 s",
        "ladder",
        "Drain → SoftReboot → HardReboot (next) → Replace",
        "tried",
        "✘ 2026-07-01T11:51:00Z SoftReboot for NodeSilent: TimedOut after 300 s still silent",
        "history",
        "✔ 2026-06-30T08:00:00Z HardReboot for NodeSilent: Succeeded after 90 s",
        "open site/north for 1h TooManyUnhealthy: 7 of 20 nodes are sick",
    ]


def test_story_of_a_node_that_is_well() -> None:
    template = {"spec": {"template": {"spec": {"mode": "DryRun", "steps": STEPS}}}}
    shown = repair_view.story(machine("cpu-1", history="not JSON"), cluster(), None, None, template)
    assert text(repair_show.story(shown, NOW)).splitlines() == [
        "✔ cpu-1  nothing is known to be wrong with it",
        "  Machine tenants/cpu-1  Cluster team  cpu",
        "  repairs of its pool are in mode DryRun",
        "ladder",
        "  Drain → SoftReboot → HardReboot → Replace",
    ]


def test_step_under_way_is_marked() -> None:
    known = repair("cpu-1", phase="Repairing", action="SoftReboot", started="2026-07-01T11:59:00Z")
    shown = repair_view.story(machine("cpu-1"), cluster(), None, known, None)
    assert "SoftReboot (now)" in text(repair_show.story(shown, NOW))


def test_programs_get_the_same_facts() -> None:
    shown = repair_view.fleet([cluster(SICK, paused="why")], [], [repair("cpu-1", tried=[TRIED])]).to_json()
    assert shown["nodes"][0]["nextTime"] == "2026-07-01T12:01:00Z"
    assert shown["nodes"][0]["tried"][0] == TRIED
    assert shown["paused"] == [{"what": "Cluster tenants/team", "said": "why"}]

"""What is done with machines, given what Nova says."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kaas_lab.machines import decisions
from kaas_lab.machines.decisions import Action
from kaas_lab.machines.disk import Record
from kaas_lab.machines.nova import Restart, Server

NOW = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def server(
    status: str = "ACTIVE", installed: str = "i1", booted: str = "i1", ip: str = "10.6.0.5", *, powered: bool = False
) -> Server:
    return Server("s", "name", status, installed=installed, booted=booted, fixed_ip=ip, powered=powered, host="cpu-0")


def machine(installed: str = "i1", booted: str = "i1", *, running: bool = True) -> Record:
    return Record("s", "name", "127.0.0.2", installed, booted, running=running)


@pytest.mark.parametrize(
    ("seen", "have", "expected"),
    [
        (server(), None, Action.INSTALL),
        (server("BUILD"), None, None),
        (server(ip=""), None, None),
        (server(installed=""), None, None),
        (server("ERROR"), None, None),
        (server(), machine(), None),
        (server(booted="r1"), machine(), Action.REBOOT),
        (server("REBOOT", booted="r1"), machine(), None),
        (server("HARD_REBOOT", booted="r1"), machine(), None),
        (server("SHUTOFF"), machine(), Action.HALT),
        (server("SUSPENDED"), machine(), Action.HALT),
        (server("ERROR"), machine(), Action.HALT),
        (server("ERROR", powered=True), machine(), None),
        (server("SHUTOFF"), machine(running=False), None),
        (server(booted="s1"), machine(running=False), Action.BOOT),
        (server("REBUILD", installed="b1", booted="b1"), machine(), None),
        (server(installed="b1", booted="b1"), machine(), Action.INSTALL),
        (None, machine(), Action.DESTROY),
        (None, machine(running=False), Action.DESTROY),
    ],
)
def test_one_machine(seen: Server | None, have: Record | None, expected: Action | None) -> None:
    servers = {"s": seen} if seen else {}
    records = {"s": have} if have else {}
    assert decisions.decide(servers, records) == ({"s": expected} if expected else {})


def obey(action: Action, seen: Server | None, have: Record | None) -> Record | None:
    """What a machine is after the agent has done as decided."""
    if action is Action.DESTROY:
        return None
    assert seen is not None
    if action is Action.HALT:
        return machine(have.installed if have else "", have.booted if have else "", running=False)
    return machine(seen.installed, seen.booted)


STATUSES = ("ACTIVE", "BUILD", "SHUTOFF", "REBOOT", "REBUILD", "ERROR", "PAUSED", "VERIFY_RESIZE")
SERVERS = st.none() | st.builds(
    server, st.sampled_from(STATUSES), st.sampled_from(("i1", "b1")), st.sampled_from("xyz")
)
RECORDS = st.none() | st.builds(
    lambda i, b, r: machine(i, b, running=r), st.sampled_from(("i1", "b1")), st.sampled_from("xyz"), st.booleans()
)


@given(SERVERS, RECORDS)
def test_a_decision_is_final(seen: Server | None, have: Record | None) -> None:
    """Once obeyed there is nothing more to do until the cloud changes."""
    servers = {"s": seen} if seen else {}
    first = decisions.decide(servers, {"s": have} if have else {})
    for action in first.values():
        after = obey(action, seen, have)
        assert decisions.decide(servers, {"s": after} if after else {}) == {}


def test_the_first_poll_asks_for_everything() -> None:
    assert decisions.since(None) is None
    assert decisions.since(NOW) == "2026-01-01T11:59:55Z"


def raw(updated: str, status: str = "ACTIVE") -> dict[str, object]:
    return {"id": "s", "updated": updated, "status": status, "OS-EXT-STS:task_state": None}


def test_a_server_is_looked_at_when_it_differs_or_is_young() -> None:
    old = raw("2026-01-01T11:00:00Z")
    seen = decisions.fingerprint(old)
    assert decisions.needs_look(old, None, NOW)
    assert not decisions.needs_look(old, seen, NOW)
    assert decisions.needs_look(raw("2026-01-01T11:00:00Z", "SHUTOFF"), seen, NOW)
    young = raw("2026-01-01T11:59:59Z")
    assert decisions.needs_look(young, decisions.fingerprint(young), NOW)


@pytest.mark.parametrize(("status", "gone"), [("DELETED", True), ("SOFT_DELETED", True), ("ACTIVE", False)])
def test_deleted_servers(status: str, gone: bool) -> None:
    assert decisions.is_gone(raw("2026-01-01T11:00:00Z", status)) is gone


def test_a_host_without_power() -> None:
    seen = {"s": server("ACTIVE", powered=True)}
    assert decisions.decide(seen, {"s": machine()}, {"cpu-0"}) == {"s": Action.HALT}
    assert decisions.decide(seen, {"s": machine(running=False)}, {"cpu-0"}) == {}
    assert decisions.decide(seen, {"s": machine(running=False)}, {"cpu-1"}) == {"s": Action.BOOT}


def test_the_hardest_restart_since_the_last_boot_counts() -> None:
    boots = (("r3", Restart.SOFT), ("r2", Restart.HARD), ("r1", Restart.POWER_CYCLE), ("c", Restart.NONE))
    seen = Server("s", "name", "ACTIVE", booted="r3", boots=boots)
    assert decisions.restarted(seen, machine(booted="r1")) is Restart.HARD
    assert decisions.restarted(seen, machine(booted="r3")) is Restart.NONE
    assert decisions.restarted(seen, None) is Restart.NONE

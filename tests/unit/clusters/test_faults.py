"""What Nova says of servers in ERROR: quoted as the cause, asked once a server, never at rest."""

from __future__ import annotations

import asyncio

import pytest

from kaas.api.site import Site
from kaas.clusters import faults
from kaas.clusters.causes import failed_servers, of_machine, of_machines
from kaas.clusters.faults import Faults
from kaas.clusters.reconciler import RESYNC_SECONDS, UNANSWERED_SECONDS, look_again
from kaas.clusters.snapshot import Live
from tests.unit.clusters.builders import (
    NAME,
    VERSIONS,
    Object,
    capi_object,
    condition,
    machine,
    raw_cluster,
    raw_release,
    raw_site,
    site,
    snapshot,
)
from tests.unit.clusters.fake_world import World

KEY = ("tenants", NAME)
NO_HOST = "No valid host was found. There are not enough hosts available."


def server(name: str, state: str = "ERROR", instance: str | None = None) -> Object:
    """As CAPO has it: without Nova's words."""
    said = condition("InstanceReady", "False", "InstanceStateError", "instance state ERROR is unexpected")
    status = {"instanceState": state, "instanceID": instance or f"id-of-{name}"}
    return capi_object("OpenStackServer", name, conditions=[said], status=status)


class Nova:
    """Answers what it is told to; None is a cloud that is away."""

    def __init__(self, answer: str | None = NO_HOST) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.hangs = False

    async def server_fault(self, site: Site, server: str) -> str | None:
        self.asked.append(server)
        if self.hangs:
            await asyncio.Event().wait()
        return self.answer


def test_novas_words_are_the_cause() -> None:
    live = Live(servers=[server("m")])
    found = of_machine(machine("m", condition("InfrastructureReady", "False")), live, {"id-of-m": NO_HOST})
    assert str(found) == f"OpenStackServer m: Nova: {NO_HOST}"


def test_without_novas_words_those_of_capo_count() -> None:
    live = Live(servers=[server("m")])
    assert str(of_machine(machine("m"), live)) == "OpenStackServer m: instance state ERROR is unexpected"


def test_words_about_another_machines_server_are_not_quoted() -> None:
    live = Live(servers=[server("m", "ACTIVE"), server("other")])
    said = list(of_machines([machine("m"), machine("other")], live, {"id-of-m": "old", "id-of-other": NO_HOST}))
    assert [c.message for c in said] == ["instance state ERROR is unexpected", f"Nova: {NO_HOST}"]


def test_servers_in_error_are_found() -> None:
    no_id = capi_object("OpenStackServer", "new", status={"instanceState": "ERROR"})
    live = Live(servers=[server("a"), server("b", "ACTIVE"), server("c"), no_id, capi_object("OpenStackServer", "d")])
    assert failed_servers(live) == {"id-of-a", "id-of-c"}
    assert failed_servers(live, of=machine("c")) == {"id-of-c"}


async def test_each_server_is_asked_about_once() -> None:
    nova = Nova()
    known = Faults(nova)
    for _ in range(3):
        assert await known.of(KEY, site(), ["a", "b"]) == {"a": NO_HOST, "b": NO_HOST}
    assert sorted(nova.asked) == ["a", "b"]


async def test_a_server_that_fails_again_is_asked_about_again() -> None:
    nova = Nova()
    known = Faults(nova)
    await known.of(KEY, site(), ["a"])
    assert await known.of(KEY, site(), []) == {}
    nova.answer = "another reason"
    assert await known.of(KEY, site(), ["a"]) == {"a": "another reason"}


async def test_a_cloud_that_is_away_is_asked_again() -> None:
    nova = Nova(None)
    known = Faults(nova)
    assert await known.of(KEY, site(), ["a"]) == {}
    nova.answer = NO_HOST
    assert await known.of(KEY, site(), ["a"]) == {"a": NO_HOST}


async def test_a_cloud_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "PATIENCE", 0.01)
    nova = Nova()
    nova.hangs = True
    known = Faults(nova)
    assert await known.of(KEY, site(), ["a"]) == {}
    assert await known.of(KEY, site(), ["a"]) == {}
    assert nova.asked == ["a"], "the first question is still under way"
    known.forget(KEY)


async def test_an_error_of_ours_is_raised_and_asked_again() -> None:
    class Broken(Nova):
        async def server_fault(self, site: Site, server: str) -> str | None:
            await super().server_fault(site, server)
            raise LookupError(server)

    nova = Broken()
    known = Faults(nova)
    for _ in range(2):
        with pytest.raises(LookupError):
            await known.of(KEY, site(), ["a"])
    assert nova.asked == ["a", "a"]


def test_an_unanswered_question_is_asked_again_in_time() -> None:
    found = snapshot(live=Live(servers=[server("m")]))
    assert look_again(found, [], None) == UNANSWERED_SECONDS
    told = snapshot(live=Live(servers=[server("m")]), faults={"id-of-m": NO_HOST})
    assert look_again(told, [], None) == RESYNC_SECONDS


async def test_the_condition_quotes_nova() -> None:
    world = World(raw_site(), *(raw_release(v) for v in VERSIONS), raw_cluster())
    await world.settle()
    world.clouds.faults["id-of-m"] = NO_HOST
    world.api.put(machine("m") | {"apiVersion": "cluster.x-k8s.io/v1beta2"})
    world.api.put(server("m") | {"apiVersion": "infrastructure.cluster.x-k8s.io/v1alpha1"})
    assert world.capi is not None
    conditions = [c for c in world.capi["status"]["conditions"] if c["type"] != "WorkersAvailable"]
    conditions.append(condition("WorkersAvailable", "False", "NotAvailable", "1 machine is missing"))
    world.api.change(world.capi, status={**world.capi["status"], "conditions": conditions})
    for _ in range(2):
        world.watch()
        await world.reconciler.reconcile(KEY)
    assert world.status("WorkersReady")["message"] == f"OpenStackServer m: Nova: {NO_HOST}"
    assert world.clouds.asked == ["id-of-m"]

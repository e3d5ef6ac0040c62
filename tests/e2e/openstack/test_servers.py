"""What is asked of Nova about servers, and done to them, against a real Nova."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from kaas_lab.openstack import faults
from kaas_lab.openstack.site import Site
from openstack.connection import Connection

from kaas.openstack.clouds import CloudDirectory, Limits
from kaas.openstack.credentials import Credentials
from kaas.openstack.errors import CloudError, Kind
from kaas.openstack.facts import ServerFacts
from tests.e2e.openstack.tenancy import USER_DATA, Servers, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def credentials(site: Site) -> Credentials:
    return Credentials(yaml.safe_load(site.clouds_file.read_text())["clouds"]["kaas"], region=site.region)


@pytest.fixture
async def clouds() -> AsyncIterator[CloudDirectory]:
    directory = CloudDirectory(Limits(fresh=3600))
    yield directory
    directory.close()


async def test_a_listing_until_something_is_done(
    clouds: CloudDirectory, credentials: Credentials, servers: Servers
) -> None:
    one = servers.active()
    found = await clouds.servers(credentials)
    assert set(found) == {one.id}
    facts = found[one.id]
    assert (facts.name, facts.status, facts.power, facts.task) == ("node", "ACTIVE", "running", "")
    assert (facts.host_status, facts.locked, facts.image) == ("UP", False, one.image.id)
    other = servers.active()
    assert set(await clouds.servers(credentials)) == {one.id}
    await clouds.reboot(credentials, one.id, hard=True)
    assert set(await clouds.servers(credentials)) == {one.id, other.id}


async def test_servers_of_one_host_know_it(clouds: CloudDirectory, credentials: Credentials, servers: Servers) -> None:
    made = [servers.active(availability_zone=zone).id for zone in ("az-1", "az-1", "az-2")]
    found = await clouds.servers(credentials)
    first, second, third = (found[server].host for server in made)
    assert first == second != third
    assert first


async def settled(clouds: CloudDirectory, credentials: Credentials, server: str, status: str) -> ServerFacts:
    """The server once it has that status and nothing is done to it."""
    while True:
        found = await clouds.server(credentials, server)
        assert found is not None
        if found.status == status and not found.task:
            return found


async def test_what_is_done_is_an_action(
    clouds: CloudDirectory, credentials: Credentials, servers: Servers, admin: Connection
) -> None:
    """Each with the request id that we were told, at about the time at which we asked."""
    server = servers.active().id
    steps: list[tuple[str, Callable[[], Awaitable[str]], str]] = [
        ("reboot", lambda: clouds.reboot(credentials, server, hard=False), "ACTIVE"),
        ("reboot", lambda: clouds.reboot(credentials, server, hard=True), "ACTIVE"),
        ("stop", lambda: clouds.stop(credentials, server), "SHUTOFF"),
        ("start", lambda: clouds.start(credentials, server), "ACTIVE"),
        ("rebuild", lambda: clouds.rebuild(credentials, server), "ACTIVE"),
    ]
    for name, do, status in steps:
        asked = datetime.now(UTC)
        request = await do()
        begun = (await clouds.server_actions(credentials, server))[-1]
        assert (begun.action, begun.request_id, begun.message) == (name, request, "")
        assert abs(begun.started - asked) < timedelta(seconds=30)
        await settled(clouds, credentials, server, status)
    assert USER_DATA.encode() == base64.b64decode(admin.compute.get_server(server).user_data)


async def test_novas_words(clouds: CloudDirectory, credentials: Credentials, servers: Servers) -> None:
    server = servers.active()
    servers.tenant.compute.lock_server(server)
    assert (await settled(clouds, credentials, server.id, "ACTIVE")).locked
    with pytest.raises(CloudError, match=f"Nova: Instance {server.id} is locked") as locked:
        await clouds.reboot(credentials, server.id, hard=True)
    assert locked.value.problem.kind is not Kind.FAILED
    servers.tenant.compute.unlock_server(server)
    servers.tenant.compute.stop_server(server)
    servers.wait(server, "SHUTOFF")
    with pytest.raises(CloudError, match="Cannot 'reboot' instance") as off:
        await clouds.reboot(credentials, server.id, hard=False)
    assert off.value.problem.kind is Kind.CONFLICT
    with pytest.raises(CloudError) as gone:
        await clouds.stop(credentials, "00000000-0000-4000-8000-000000000000")
    assert gone.value.problem.kind is Kind.REFUSED


async def test_a_fault_is_told_in_novas_words(
    site: Site, clouds: CloudDirectory, credentials: Credentials, servers: Servers
) -> None:
    server = servers.active().id
    faults.break_servers(site.layout, site.name, faults.Action.REBOOT, "no power")
    await clouds.reboot(credentials, server, hard=True)
    assert "no power" in (await settled(clouds, credentials, server, "ERROR")).fault


@pytest.mark.parametrize(("action", "hard"), [("soft-reboot", False), ("hard-reboot", True)])
async def test_a_reboot_of_one_kind_fails(
    site: Site, clouds: CloudDirectory, credentials: Credentials, servers: Servers, action: str, *, hard: bool
) -> None:
    """The server stays ACTIVE; the other kind works."""
    server = servers.active().id
    faults.break_servers(site.layout, site.name, faults.Action(action))
    notes = site.state / "restarts" / server
    await clouds.reboot(credentials, server, hard=hard)
    await settled(clouds, credentials, server, "ACTIVE")
    assert not notes.exists()
    request = await clouds.reboot(credentials, server, hard=not hard)
    eventually(notes.exists)
    assert notes.read_text() == f"{request} {'SOFT' if hard else 'HARD'}\n"


async def test_a_host_without_power(
    site: Site, clouds: CloudDirectory, credentials: Credentials, servers: Servers
) -> None:
    server = servers.active(availability_zone="az-2").id
    faults.break_host(site.layout, site.name, "cpu-1")
    assert (await settled(clouds, credentials, server, "ACTIVE")).host_status == "DOWN"
    assert faults.heal(site.layout, site.name) == {"host": {"cpu-1": 1}}
    assert (await settled(clouds, credentials, server, "ACTIVE")).host_status == "UP"

"""The agent against a cloud that changes, stutters and forgets. No machine gets beyond cloud-init here."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from kaas_lab.layout import Layout
from kaas_lab.machines import faults
from kaas_lab.machines.agent import Agent, Settings
from kaas_lab.machines.disk import Disk, Record
from kaas_lab.machines.faults import Fault
from kaas_lab.machines.nova import Boots, Cloud, CloudError, Image, Port, Restart, Server, parse_server

from tests.unit.lab.machines.api_stub import until


class FakeCloud:
    """A cloud as `nova.Cloud` shows it."""

    region = "RegionOne"

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.actions: dict[str, tuple[str, Boots]] = {}
        self.away: set[str] = set()
        self.refused: Counter[str] = Counter()

    def put(
        self,
        key: str,
        status: str = "ACTIVE",
        installed: str = "i1",
        booted: str = "i1",
        restart: Restart = Restart.NONE,
        host: str = "cpu-0",
    ) -> None:
        address = [{"addr": "10.6.0.5", "OS-EXT-IPS:type": "fixed"}]
        updated = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.actions[key] = (installed, ((booted, restart),))
        self.rows[key] = {
            "id": key,
            "name": f"name-{key}",
            "status": status,
            "updated": updated,
            "addresses": {"net": address},
            "OS-EXT-SRV-ATTR:host": host,
        }

    def _check(self, what: str) -> None:
        if what in self.away:
            self.refused[what] += 1
            raise CloudError(f"{what} does not answer")

    def changed_servers(self, since: str | None) -> list[dict[str, Any]]:
        self._check("servers")
        return [r for r in self.rows.values() if since or r["status"] != "DELETED"]

    def server(self, raw: dict[str, Any]) -> Server:
        self._check(raw["id"])
        return parse_server(raw, *self.actions[raw["id"]])

    def ports(self, server: str) -> list[Port]:
        return [Port(f"port-{server}", "net", "subnet", "10.6.0.5")]

    def image(self, server: Server) -> Image:
        self._check("image")
        return Image("ubuntu-2404-kube-v1.36.1", "v1.36.1")

    def floating_ips(self) -> list[dict[str, Any]]:
        return []

    def balancing(self, kind: str) -> list[dict[str, Any]]:
        return []


@asynccontextmanager
async def following(cloud: FakeCloud, state: Path) -> AsyncIterator[Path]:
    """An agent at work; yields the directory of its site."""
    settings = Settings(Layout(state), "lab", 0, boot_seconds=0)
    task = asyncio.create_task(Agent(settings, cast("Cloud", cloud)).run())
    try:
        yield settings.state
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def record(site: Path, key: str) -> Record | None:
    return Disk(site / "machines" / key).load()


def failed(site: Path, key: str) -> bool:
    found = record(site, key)
    return bool(found and found.failure)


async def test_a_server_boots_and_says_on_its_console_why_it_does_not_join(tmp_path: Path) -> None:
    cloud = FakeCloud()
    cloud.put("s1")
    async with following(cloud, tmp_path) as site:
        await until(lambda: failed(site, "s1"))
        assert "FAILED cloud-init: the server has no user data" in (site / "consoles/s1.log").read_text()
        found = record(site, "s1")
    assert found is not None
    assert (found.address, found.version, found.running) == ("127.66.0.1", "v1.36.1", True)


async def test_a_server_goes_off_and_away(tmp_path: Path) -> None:
    cloud = FakeCloud()
    cloud.put("s1")
    async with following(cloud, tmp_path) as site:
        await until(lambda: failed(site, "s1"))
        cloud.put("s1", "SHUTOFF")
        await until(lambda: (found := record(site, "s1")) and not found.running)
        cloud.put("s1", "DELETED")
        await until(lambda: not (site / "machines/s1").exists())


async def test_a_rebuild_gets_a_second_chance_and_keeps_its_address(tmp_path: Path) -> None:
    cloud = FakeCloud()
    cloud.put("s1")
    async with following(cloud, tmp_path) as site:
        await until(lambda: failed(site, "s1"))
        cloud.put("s1", installed="b1", booted="b1")
        await until(lambda: (found := record(site, "s1")) and found.installed == "b1" and found.failure)
        found = record(site, "s1")
    assert found is not None
    assert found.address == "127.66.0.1"


async def test_no_two_machines_ever_have_the_same_address(tmp_path: Path) -> None:
    cloud = FakeCloud()
    cloud.put("s1")
    async with following(cloud, tmp_path) as site:
        await until(lambda: failed(site, "s1"))
        cloud.put("s1", "DELETED")
        await until(lambda: not (site / "machines/s1").exists())
        cloud.put("s2")
        await until(lambda: record(site, "s2"))
        found = record(site, "s2")
    assert found is not None
    assert found.address == "127.66.0.2"


async def test_a_cloud_that_stutters_only_delays(tmp_path: Path) -> None:
    cloud = FakeCloud()
    cloud.put("s1")
    cloud.put("s2")
    cloud.away = {"servers"}
    async with following(cloud, tmp_path) as site:
        cloud.away = {"s1"}
        await until(lambda: failed(site, "s2"))
        assert record(site, "s1") is None
        cloud.away = {"image"}
        cloud.put("s2", installed="b1", booted="b1")
        await until(lambda: cloud.refused["image"] > 1)
        kept = record(site, "s2")
        assert kept is not None
        assert kept.installed == "i1"
        cloud.away = set()
        await until(lambda: failed(site, "s1"))
        await until(lambda: (found := record(site, "s2")) and found.installed == "b1")


async def test_a_new_agent_knows_the_machines_of_the_old_one(tmp_path: Path) -> None:
    cloud = FakeCloud()
    cloud.put("s1")
    cloud.put("s2")
    async with following(cloud, tmp_path) as site:
        await until(lambda: failed(site, "s1") and failed(site, "s2"))
    del cloud.rows["s2"]
    cloud.put("s1", "SHUTOFF")
    async with following(cloud, tmp_path) as site:
        await until(lambda: (found := record(site, "s1")) and not found.running)
        await until(lambda: not (site / "machines/s2").exists())


async def test_who_cannot_be_asked_about_is_not_taken_for_gone(tmp_path: Path) -> None:
    cloud = FakeCloud()
    cloud.put("s1")
    async with following(cloud, tmp_path) as site:
        await until(lambda: failed(site, "s1"))
    cloud.away = {"s1"}
    async with following(cloud, tmp_path) as site:
        await until(lambda: cloud.refused["s1"] > 1)
        assert record(site, "s1") is not None


async def test_a_restart_ends_the_faults_that_it_heals(tmp_path: Path) -> None:
    cloud = FakeCloud()
    cloud.put("s1")
    async with following(cloud, tmp_path) as site:
        await until(lambda: failed(site, "s1"))
        faults.break_machine(site, Fault("kubelet", "name-s1", until="reboot"))
        faults.break_machine(site, Fault("gpu", "s1", missing=1, until="power-cycle"))
        cloud.put("s1", booted="r1", restart=Restart.HARD)
        await until(lambda: (found := record(site, "s1")) and found.booted == "r1")
        await until(lambda: [f.kind for f in faults.in_force(site)] == ["gpu"])
        cloud.put("s1", booted="r2", restart=Restart.POWER_CYCLE)
        await until(lambda: not faults.in_force(site))


async def test_a_host_without_power(tmp_path: Path) -> None:
    cloud = FakeCloud()
    cloud.put("s1", host="cpu-0")
    cloud.put("s2", host="cpu-1")
    async with following(cloud, tmp_path) as site:
        await until(lambda: failed(site, "s1") and failed(site, "s2"))
        (site / "faults.json").write_text(json.dumps({"host": {"cpu-0": 1}}))
        await until(lambda: (found := record(site, "s1")) and not found.running)
        other = record(site, "s2")
        assert other is not None
        assert other.running
        (site / "faults.json").unlink()
        await until(lambda: (found := record(site, "s1")) and found.running)

"""A snapshot is copied to other directories, ports and networks."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from kaas_lab.layout import Layout
from kaas_lab.openstack import snapshots
from kaas_lab.openstack.site import SERVICES, Host, Site, describe

TABLES = {
    "nova_api": ["CREATE TABLE cell_mappings (database_connection TEXT)"],
    "glance": ["CREATE TABLE image_locations (value TEXT)"],
    "keystone": ["CREATE TABLE service (id TEXT, type TEXT)", "CREATE TABLE endpoint (service_id TEXT, url TEXT)"],
    "neutron": [
        "CREATE TABLE subnets (cidr TEXT, gateway_ip TEXT)",
        "CREATE TABLE ipallocationpools (first_ip TEXT, last_ip TEXT)",
        "CREATE TABLE ipamallocationpools (first_ip TEXT, last_ip TEXT)",
    ],
}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAAS_LAB_CACHE", str(tmp_path / "cache"))


def site(tmp_path: Path, base_port: int = 21000, index: int = 0) -> Site:
    return Site(Layout(tmp_path / f"lab-{base_port}", base_port), "lab", index)


def fill(of: Site) -> None:
    """A site as it is after its first start, as far as a snapshot looks at it."""
    (of.state / "db").mkdir(parents=True)
    (of.state / "glance/images").mkdir(parents=True)
    (of.state / "glance/images/one").write_text("image")
    (of.state / "db/nova.made").touch()
    for service in SERVICES:
        for name in service.databases:
            execute(of, name, *TABLES.get(name, ["CREATE TABLE other (x)"]))
    net = of.floating_network
    insert(of, "nova_api", "cell_mappings", f"sqlite:///{of.state}/db/nova.sqlite")
    insert(of, "glance", "image_locations", f"file://{of.state}/glance/images/one")
    insert(of, "neutron", "subnets", f"{net}.0.0/16", f"{net}.0.1")
    insert(of, "neutron", "subnets", "10.0.0.0/24", "10.0.0.1")
    insert(of, "neutron", "ipallocationpools", f"{net}.1.0", f"{net}.255.254")
    insert(of, "neutron", "ipamallocationpools", f"{net}.1.0", f"{net}.255.254")
    for service in SERVICES:
        insert(of, "keystone", "service", f"{service.name}-id", service.type)
        insert(of, "keystone", "endpoint", f"{service.name}-id", of.url(service))


def execute(of: Site, database: str, *statements: str) -> None:
    with closing(sqlite3.connect(of.database(database))) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


def insert(of: Site, database: str, table: str, *values: str) -> None:
    with closing(sqlite3.connect(of.database(database))) as db:
        marks = ", ".join("?" * len(values))
        db.execute(f"INSERT INTO {table} VALUES ({marks})", values)  # noqa: S608 - the names are ours
        db.commit()


def rows(of: Site, database: str, table: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(of.database(database))) as db:
        return db.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - the names are ours


def test_there_is_none_at_first(tmp_path: Path) -> None:
    assert not snapshots.restore(site(tmp_path))


def test_a_copy_has_paths_ports_and_networks_of_its_own(tmp_path: Path) -> None:
    first, second = site(tmp_path, 21000), site(tmp_path, 24000)
    fill(first)
    snapshots.save(first)
    second.state.mkdir(parents=True)
    assert snapshots.restore(second)
    net = second.floating_network
    assert net != first.floating_network
    assert rows(second, "nova_api", "cell_mappings") == [(f"sqlite:///{second.state}/db/nova.sqlite",)]
    assert rows(second, "glance", "image_locations") == [(f"file://{second.state}/glance/images/one",)]
    assert rows(second, "neutron", "subnets") == [
        (f"{net}.0.0/16", f"{net}.0.1"),
        ("10.0.0.0/24", "10.0.0.1"),
    ]
    for table in ("ipallocationpools", "ipamallocationpools"):
        assert rows(second, "neutron", table) == [(f"{net}.1.0", f"{net}.255.254")]
    urls = {row[1] for row in rows(second, "keystone", "endpoint")}
    assert urls == {second.url(service) for service in SERVICES}
    assert (second.state / "glance/images/one").read_text() == "image"
    assert (second.state / "db/nova.made").exists()


def test_every_copy_signs_its_tokens_with_keys_of_its_own(tmp_path: Path) -> None:
    first = site(tmp_path)
    fill(first)
    snapshots.save(first)
    keys = set()
    for port in (24000, 25000):
        copy = site(tmp_path, port)
        copy.state.mkdir(parents=True)
        snapshots.restore(copy)
        found = [(copy.state / "keystone/fernet" / name) for name in ("0", "1")]
        assert {key.stat().st_mode & 0o777 for key in found} == {0o600}
        keys |= {key.read_text() for key in found}
    assert len(keys) == 4


def test_region_and_hosts_have_snapshots_of_their_own(tmp_path: Path) -> None:
    layout = Layout(tmp_path, 21000)
    paths = {
        snapshots.snapshot_path(Site(layout, "a", 0)),
        snapshots.snapshot_path(Site(layout, "a", 1)),
        snapshots.snapshot_path(Site(layout, "a", 0, (Host("cpu-0", "az-1"),))),
    }
    assert len(paths) == 3
    assert snapshots.snapshot_path(Site(Layout(tmp_path, 22000), "b", 0)) in paths


def test_who_comes_second_leaves_the_first_snapshot_alone(tmp_path: Path) -> None:
    first = site(tmp_path)
    fill(first)
    snapshots.save(first)
    kept = snapshots.snapshot_path(first)
    before = (kept / "snapshot.json").read_text()
    second = site(tmp_path, 24000)
    fill(second)
    snapshots.save(second)
    assert (kept / "snapshot.json").read_text() == before == json.dumps(describe(first), indent=1)


def test_a_snapshot_that_fails_leaves_nothing(tmp_path: Path) -> None:
    broken = site(tmp_path)
    fill(broken)
    (broken.state / "glance/images/one").unlink()
    (broken.state / "glance/images").rmdir()
    with pytest.raises(FileNotFoundError):
        snapshots.save(broken)
    assert list((tmp_path / "cache").iterdir()) == []

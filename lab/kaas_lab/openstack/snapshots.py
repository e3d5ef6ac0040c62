"""Snapshots: a cloud as it is after its first start, kept in the cache, so that later clouds need not be seeded.

A snapshot belongs to everything that went into it: the environment, the sources, the region and the hosts. What it does
not depend on is put right when it is copied: directories, ports, the external network, the keys that sign tokens.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path

from kaas_lab.layout import cache
from kaas_lab.openstack.environment import HERE, environment_path
from kaas_lab.openstack.site import SERVICES, Site, describe

SOURCES = ("configuration.py", "seeds.py", "site.py", "snapshots.py")  # what decides on the contents of a snapshot
COPIED = ("glance/images",)
KEY_REPOSITORIES = ("fernet", "receipts", "credential")
KEYS_IN_REPOSITORY = ("0", "1")  # Keystone: the staged and the primary key
# Columns that hold addresses of the external network.
EXTERNAL_ADDRESSES = (
    ("subnets", "cidr"),
    ("subnets", "gateway_ip"),
    ("ipallocationpools", "first_ip"),
    ("ipallocationpools", "last_ip"),
    ("ipamallocationpools", "first_ip"),
    ("ipamallocationpools", "last_ip"),
)
# Columns that hold paths of the site's directory.
PATHS = (("nova_api", "cell_mappings", "database_connection"), ("glance", "image_locations", "value"))


def snapshot_path(site: Site) -> Path:
    """Where the snapshot that fits this site is, whether or not it exists."""
    digest = hashlib.sha256(environment_path().name.encode())
    for source in (*(HERE / name for name in SOURCES), *sorted((HERE / "services").rglob("*.py"))):
        digest.update(source.read_bytes())
    digest.update(json.dumps([site.region, [asdict(host) for host in site.hosts]]).encode())
    return cache() / f"openstack-snapshot-{digest.hexdigest()[:12]}"


def save(site: Site) -> None:
    """Keep the site, which runs and is at rest, as the snapshot for its like. Does nothing when there is one."""
    target = snapshot_path(site)
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        _copy_out(site, part)
        os.rename(part, target)
    except OSError:
        if not target.exists():  # else another lab was first, and its snapshot is as good
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _copy_out(site: Site, part: Path) -> None:
    (part / "db").mkdir()
    for service in SERVICES:
        for name in service.databases:
            with _database(site.database(name)) as source:
                source.execute("VACUUM INTO ?", (str(part / "db" / f"{name}.sqlite"),))
    for made in (site.state / "db").glob("*.made"):
        (part / "db" / made.name).touch()
    for directory in COPIED:
        shutil.copytree(site.state / directory, part / directory)
    (part / "snapshot.json").write_text(json.dumps(describe(site), indent=1))


@contextmanager
def _database(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file, timeout=30)) as connection:
        yield connection
        connection.commit()


def restore(site: Site) -> bool:
    """Fill the site's empty directory from a snapshot; False when there is none that fits."""
    source = snapshot_path(site)
    if not source.exists():
        return False
    shutil.copytree(source, site.state, dirs_exist_ok=True)
    origin = json.loads((source / "snapshot.json").read_text())
    _rebase_paths(site, origin["state"])
    _rebase_endpoints(site)
    _rebase_external_network(site, origin["floating_network"])
    _make_keys(site)
    return True


def _rebase_paths(site: Site, old: str) -> None:
    for name, table, column in PATHS:
        with _database(site.database(name)) as db:
            db.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (old, str(site.state)))  # noqa: S608 - names are ours


def _rebase_endpoints(site: Site) -> None:
    with _database(site.database("keystone")) as db:
        for service in SERVICES:
            db.execute(
                "UPDATE endpoint SET url = ? WHERE service_id IN (SELECT id FROM service WHERE type = ?)",
                (site.url(service), service.type),
            )


def _rebase_external_network(site: Site, old: str) -> None:
    with _database(site.database("neutron")) as db:
        for table, column in EXTERNAL_ADDRESSES:
            db.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} LIKE ?",  # noqa: S608 - names are ours
                (site.floating_network, len(old) + 1, f"{old}.%"),
            )


def _make_keys(site: Site) -> None:
    """Keys of its own, so that no cloud takes the tokens of another."""
    for repository in KEY_REPOSITORIES:
        directory = site.state / "keystone" / repository
        directory.mkdir(parents=True, mode=0o700)
        for name in KEYS_IN_REPOSITORY:
            key = directory / name
            key.write_bytes(base64.urlsafe_b64encode(secrets.token_bytes(32)))
            key.chmod(0o600)

"""Starting without an OpenStack: what is refused, and what is said when a service ends."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from kaas_lab.layout import Layout
from kaas_lab.openstack import cloud, faults
from kaas_lab.openstack.environment import SERVICES_PATH
from kaas_lab.openstack.site import SERVICES, Host, Site, describe, load, service_named
from kaas_lab.processes import ProcessFailed, spawn


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(Layout(tmp_path, 21000), "lab", 0)
    (made.state / "run").mkdir(parents=True)
    (made.state / "site.json").write_text(json.dumps(describe(made)))
    return made


@pytest.fixture
def inside(site: Site, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The services' side of the faults file; this module of theirs needs nothing of OpenStack."""
    monkeypatch.syspath_prepend(SERVICES_PATH)
    module = importlib.import_module("kaas_cloud.faults")
    module.watch(site.faults_file)
    return module


def test_a_service_that_ends_ends_the_waiting_with_its_log(site: Site) -> None:
    nova = service_named("nova")
    argv = [sys.executable, "-c", "print('no such table'); raise SystemExit(3)"]
    process = spawn(site.layout.state, site.process_name(nova), argv, log=site.log(nova))
    with pytest.raises(ProcessFailed, match=r"(?s)lab-nova ended with exit code 3.*no such table"):
        cloud.await_ready(site, {nova: process})


def test_a_site_keeps_its_settings(site: Site, tmp_path: Path) -> None:
    (site.state / "seeded").touch()
    other = Site(Layout(tmp_path, 22000), "lab", 0, (Host("cpu-0", "az-1"),))
    with pytest.raises(ValueError, match=r"made with another base_port.*hosts"):
        cloud._check_unchanged(other)


def test_an_interrupted_start_is_made_anew(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAAS_LAB_CACHE", str(tmp_path / "cache"))
    environment = tmp_path / "environment"
    (environment / "etc/nova").mkdir(parents=True)
    (environment / "etc/nova/api-paste.ini").write_text("")
    left = site.state / "db/nova.sqlite"
    left.parent.mkdir()
    left.write_text("half a database")
    assert cloud._prepare(site, environment, print)
    assert not left.exists()
    assert load(site.layout, "lab") == site


def test_a_site_that_is_down_says_so(site: Site) -> None:
    found = cloud.status(site.layout, "lab")
    assert {name: one["state"] for name, one in found.items()} == dict.fromkeys((s.name for s in SERVICES), "down")


def test_the_services_read_what_is_broken(site: Site, inside: Any) -> None:
    assert inside.server_fault("create") is None
    faults.break_servers(site.layout, "lab", faults.Action.CREATE, "full")
    assert inside.server_fault("create") == "full"
    faults.break_servers(site.layout, "lab", faults.Action.CREATE, "still full")
    assert inside.server_fault("create") == "still full"
    faults.break_load_balancers(site.layout, "lab")
    assert inside.server_fault(faults.LOAD_BALANCERS)
    assert faults.in_force(site.layout, "lab") == {
        "servers": {"create": "still full", "load-balancers": "broken on purpose"}
    }
    faults.heal(site.layout, "lab")
    assert inside.server_fault("create") is None
    assert faults.in_force(site.layout, "lab") == {}


def test_hosts_without_power(site: Site, inside: Any) -> None:
    assert faults.dark_hosts(site.state) == frozenset()
    site.faults_file.write_text('{"host": {"cpu-0": 1}}')
    assert faults.dark_hosts(site.state) == {"cpu-0"}
    assert (inside.host_is_down("cpu-0"), inside.host_is_down("cpu-1")) == (True, False)
    with pytest.raises(ValueError, match="no compute host 'moon': use one of cpu-0"):
        faults.break_host(site.layout, "lab", "moon")


def test_a_service_refuses_and_then_answers(site: Site, inside: Any) -> None:
    said: list[str] = []
    app = inside.Faulty(lambda _environ, _start: [b"fine"], "glance")
    faults.break_service(site.layout, "lab", "glance", faults.How.REFUSE)
    assert b"broken on purpose" in b"".join(app({}, lambda status, _headers: said.append(status)))
    assert said == ["503 Broken"]
    faults.heal(site.layout, "lab")
    assert list(app({}, lambda *_: None)) == [b"fine"]


def test_a_service_that_there_is_not_cannot_break(site: Site) -> None:
    with pytest.raises(ValueError, match="no OpenStack service 'heat'"):
        faults.break_service(site.layout, "lab", "heat", faults.How.DOWN)
    assert faults.in_force(site.layout, "lab") == {}

"""What is rendered for a site, and what is where."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path

import pytest
from kaas_lab.layout import Layout
from kaas_lab.openstack import configuration, environment
from kaas_lab.openstack.site import SERVICES, Host, Site, describe, load, service_named, spread_hosts

ENVIRONMENT = Path("/environment")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(Layout(tmp_path, 21000), "lab", 1)


def rendered(site: Site) -> dict[str, configparser.ConfigParser]:
    files = {}
    for name, sections in configuration.Configuration(site, ENVIRONMENT).files().items():
        files[name] = configparser.ConfigParser(interpolation=None, default_section="-")
        files[name].read_string(configuration.ini(sections))
    return files


def test_a_list_is_an_option_given_several_times() -> None:
    assert configuration.ini({"a": {"x": [1, 2], "y": "z"}, "b": {}}) == "[a]\nx = 1\nx = 2\ny = z\n\n[b]\n"


def test_every_service_has_a_file(site: Site) -> None:
    assert {name.split("/")[0] for name in rendered(site)} == {service.name for service in SERVICES}


def test_no_address_but_the_sites_own_loopback(site: Site) -> None:
    ports = {str(site.port(service)) for service in SERVICES}
    for sections in configuration.Configuration(site, ENVIRONMENT).files().values():
        for host, port in re.findall(r"http://([^:/\s]+):(\d+)", configuration.ini(sections)):
            assert (host, port in ports) == ("127.0.0.1", True)


def test_databases_are_the_sites_own(site: Site) -> None:
    nova = rendered(site)["nova/nova.conf"]
    assert nova["database"]["connection"] == f"sqlite:///{site.state}/db/nova.sqlite"
    assert nova["api_database"]["connection"] == f"sqlite:///{site.state}/db/nova_api.sqlite"


def test_two_sites_share_no_port_no_region_and_no_network(tmp_path: Path) -> None:
    first, second = (Site(Layout(tmp_path, 21000), f"s{n}", n) for n in (0, 1))
    assert not {first.port(s) for s in SERVICES} & {second.port(s) for s in SERVICES}
    assert (first.region, second.region) == ("RegionOne", "RegionTwo")
    assert first.floating_network != second.floating_network


def test_clouds_yaml_names_the_region_and_the_users(site: Site) -> None:
    configuration.write(site, fake_environment(site.state / "environment"))
    clouds = json.loads(site.clouds_file.read_text())["clouds"]
    assert set(clouds) == {"admin", "kaas"}
    assert clouds["kaas"]["region_name"] == "RegionTwo"
    assert clouds["kaas"]["auth"]["auth_url"] == f"http://127.0.0.1:{site.port(service_named('keystone'))}/v3"


def fake_environment(path: Path) -> Path:
    (path / "etc/nova").mkdir(parents=True)
    (path / "etc/nova/api-paste.ini").write_text("")
    return path


def test_a_site_is_found_again_as_it_was(tmp_path: Path) -> None:
    site = Site(Layout(tmp_path, 23000), "lab", 1, (Host("gpu-9", "az-3", 8),))
    site.state.mkdir(parents=True)
    (site.state / "site.json").write_text(json.dumps(describe(site)))
    assert load(Layout(tmp_path), "lab") == site


def test_a_site_that_never_was_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="bring it up first"):
        load(Layout(tmp_path), "elsewhere")


def test_an_unknown_service_is_answered_with_the_known() -> None:
    with pytest.raises(ValueError, match=r"no OpenStack service 'swift'.*keystone"):
        service_named("swift")


def test_hosts_are_dealt_to_the_zones() -> None:
    assert [(host.name, host.zone, host.gpus) for host in spread_hosts()] == [
        ("cpu-0", "az-1", 0),
        ("cpu-1", "az-2", 0),
        ("cpu-2", "az-3", 0),
        ("gpu-0", "az-1", 8),
        ("gpu-1", "az-2", 8),
    ]


def test_the_lock_has_hashes_and_no_address() -> None:
    lock = environment.LOCK.read_text()
    pinned = re.findall(r"^([A-Za-z0-9_.-]+)==", lock, re.MULTILINE)
    assert {"keystone", "nova", "neutron", "glance", "cinder", "octavia", "openstack-placement"} <= set(pinned)
    assert lock.count("--hash=sha256:") >= len(pinned)
    assert not re.search(r"https?://|--index|--find-links|--extra", lock)


def test_the_environment_depends_on_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = environment.environment_path()
    other = tmp_path / "requirements.lock"
    other.write_text(environment.LOCK.read_text() + "\n")
    monkeypatch.setattr(environment, "LOCK", other)
    assert environment.environment_path() != before

"""Nova's and Glance's answers as machines see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kaas_lab.machines import cloudprovider, nova
from kaas_lab.machines.nodeobject import UNINITIALIZED
from kaas_lab.machines.nova import Flavor, Image, Restart

RAW: dict[str, Any] = {
    "id": "s1",
    "name": "team-a-gpu-1",
    "status": "ACTIVE",
    "tenant_id": "p1",
    "OS-EXT-SRV-ATTR:user_data": "eA==",
    "OS-EXT-SRV-ATTR:hostname": "team-a-gpu-1",
    "OS-EXT-AZ:availability_zone": "az-2",
    "image": {"id": "i1"},
    "os-extended-volumes:volumes_attached": [],
    "addresses": {
        "net": [
            {"addr": "127.64.1.9", "OS-EXT-IPS:type": "floating"},
            {"addr": "10.6.0.5", "OS-EXT-IPS:type": "fixed"},
        ]
    },
    "flavor": {
        "original_name": "g1.a100x8",
        "vcpus": 128,
        "ram": 1048576,
        "disk": 1000,
        "extra_specs": {"pci_passthrough:alias": "a100:8"},
    },
}


def test_a_server() -> None:
    found = nova.parse_server(RAW, "req-1", (("req-2", Restart.SOFT), ("req-1", Restart.NONE)))
    assert (found.fixed_ip, found.zone, found.image, found.volume) == ("10.6.0.5", "az-2", "i1", "")
    assert (found.installed, found.booted) == ("req-1", "req-2")
    assert found.flavor == Flavor("g1.a100x8", 128, 1048576, 1000, 8)
    assert "eA==" not in repr(found)


def test_how_a_server_was_booted(tmp_path: Path) -> None:
    """The newest first; a reboot that the hypervisor did not do is none."""
    notes = tmp_path / "s1"
    assert nova.noted_reboots(notes) == {}
    notes.write_text("r1 SOFT\nr3 HARD\n")
    assert not nova.has_crashed(notes)
    notes.write_text(f"{notes.read_text()}r4 CRASHED\n")
    assert nova.has_crashed(notes)
    named = ("r4", "reboot"), ("r3", "reboot"), ("b", "rebuild"), ("x", "lock"), ("on", "start"), ("r1", "reboot")
    actions = [{"request_id": request, "action": action} for request, action in (*named, ("c", "create"))]
    assert nova.parse_boots(actions, nova.noted_reboots(notes)) == (
        ("r3", Restart.HARD),
        ("b", Restart.REBUILD),
        ("on", Restart.POWER_CYCLE),
        ("r1", Restart.SOFT),
        ("c", Restart.NONE),
    )


def test_a_server_from_a_volume() -> None:
    raw = {**RAW, "image": "", "os-extended-volumes:volumes_attached": [{"id": "v1"}]}
    found = nova.parse_server(raw, "", ())
    assert (found.image, found.volume) == ("", "v1")


def test_a_server_that_is_being_built() -> None:
    assert nova.parse_server({"id": "s", "name": "n", "status": "BUILD"}, "", ()).fixed_ip == ""


@pytest.mark.parametrize(("alias", "gpus"), [("", 0), ("a100:1", 1), ("a100", 1), ("a100:8", 8), ("a100:4,h100:2", 6)])
def test_gpus_of_a_flavor(alias: str, gpus: int) -> None:
    assert nova.parse_flavor({"extra_specs": {"pci_passthrough:alias": alias}}).gpus == gpus


@pytest.mark.parametrize(
    ("raw", "version"),
    [
        ({"name": "any", "kube_version": "v1.36.1"}, "v1.36.1"),
        ({"name": "ubuntu-2404-kube-v1.36.2"}, "v1.36.2"),
        ({"name": "ubuntu-2404"}, ""),
        ({"name": "ubuntu-vanilla"}, ""),
        ({}, ""),
    ],
)
def test_the_version_of_an_image(raw: dict[str, Any], version: str) -> None:
    assert nova.parse_image(raw) == Image(raw.get("name", ""), version)


def node(**spec: Any) -> dict[str, Any]:
    taints = [{"key": "x", "effect": "NoSchedule"}, {"key": UNINITIALIZED, "effect": "NoSchedule"}]
    return {"metadata": {"name": "n", "labels": {"a": "b"}}, "spec": {"taints": taints, **spec}}


def test_the_cloud_completes_a_node() -> None:
    server = nova.parse_server(RAW, "", ())
    found = cloudprovider.completed(node(), server, "RegionOne")
    assert found["spec"] == {"taints": [{"key": "x", "effect": "NoSchedule"}], "providerID": "openstack:///s1"}
    assert found["metadata"]["labels"] == {
        "a": "b",
        "node.kubernetes.io/instance-type": "g1.a100x8",
        "beta.kubernetes.io/instance-type": "g1.a100x8",
        "topology.kubernetes.io/region": "RegionOne",
        "topology.kubernetes.io/zone": "az-2",
        "nvidia.com/gpu.present": "true",
    }
    assert not cloudprovider.is_waiting(found)


def test_a_provider_id_of_the_kubelet_stays() -> None:
    server = nova.parse_server(RAW, "", ())
    assert cloudprovider.completed(node(providerID="openstack:///x"), server, "r")["spec"]["providerID"] == (
        "openstack:///x"
    )

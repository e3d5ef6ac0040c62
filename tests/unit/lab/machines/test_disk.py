"""A machine's disk, and the flags and members that go with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kaas_lab.machines import controlplane, etcdmembers, kubeadm
from kaas_lab.machines.cloudinit import File
from kaas_lab.machines.controlplane import Place
from kaas_lab.machines.disk import Disk, Record
from kaas_lab.machines.etcdmembers import Member

RECORD = Record("s", "name", "127.66.0.1", "i1")
PLACE = Place("cp-1", "127.66.0.1", "10.6.0.5", 6443)
CLUSTER = kubeadm.ClusterConfiguration("v1.36.1", "127.64.1.7:6443", pods="192.168.0.0/16", services="10.128.0.0/12")


def test_a_record_is_found_again(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    assert disk.load() is None
    disk.save(RECORD)
    assert disk.load() == RECORD
    changed = disk.update(RECORD, joined=True)
    assert disk.load() == changed


def test_a_record_of_another_version_of_the_lab(tmp_path: Path) -> None:
    Disk(tmp_path).save(RECORD)
    path = tmp_path / "machine.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "forgotten": 1}))
    assert Disk(tmp_path).load() == RECORD


def test_formatting_empties_the_disk(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.write(File("/etc/a", b"x", 0o600))
    disk.format(RECORD)
    assert not disk.path("/etc/a").exists()
    assert disk.load() == RECORD


def test_files_are_written_and_appended_to(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.write(File("/etc/a/b", b"one", 0o640))
    disk.write(File("/etc/a/b", b" two", 0o640, append=True))
    assert disk.path("/etc/a/b").read_bytes() == b"one two"
    assert disk.path("/etc/a/b").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("value", "mapped"), [("/etc/kubernetes/audit.yaml", True), ("/registry", False), ("true", False), ("", False)]
)
def test_paths_in_flags_are_the_machines_own(tmp_path: Path, value: str, mapped: bool) -> None:
    disk = Disk(tmp_path)
    assert disk.mapped(value) == (str(disk.path(value)) if mapped else value)


def test_extra_arguments_replace_and_repeat(tmp_path: Path) -> None:
    extra = (("b", "x"), ("b", "/etc/y"), ("c", "z"))
    disk = Disk(tmp_path)
    assert controlplane.flags(disk, {"a": "1", "b": "2"}, extra) == [
        "--a=1",
        "--b=x",
        f"--b={disk.path('/etc/y')}",
        "--c=z",
    ]


def test_where_a_component_listens_is_not_the_users_to_say(tmp_path: Path) -> None:
    cluster = kubeadm.ClusterConfiguration(
        "v1.36.1",
        "",
        api_server=(("bind-address", "10.0.0.9"), ("event-ttl", "30m")),
        etcd=(("listen-client-urls", "x"),),
    )
    api_server = controlplane.api_server_arguments(Disk(tmp_path), cluster, PLACE)
    assert "--bind-address=127.66.0.1" in api_server
    assert "--event-ttl=30m" in api_server
    assert "--listen-client-urls=https://127.66.0.1:2379" in controlplane.etcd_arguments(
        Disk(tmp_path), cluster, PLACE, ""
    )


def test_the_first_and_a_later_member_of_etcd(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    first = controlplane.etcd_arguments(disk, CLUSTER, PLACE, "")
    assert "--initial-cluster=cp-1=https://127.66.0.1:2380" in first
    assert "--initial-cluster-state=new" in first
    later = controlplane.etcd_arguments(disk, CLUSTER, PLACE, "a=https://127.66.0.2:2380,cp-1=https://127.66.0.1:2380")
    assert "--initial-cluster-state=existing" in later


def test_names_in_the_certificate() -> None:
    names = controlplane.server_names(CLUSTER, PLACE)
    assert {"10.128.0.1", "cp-1", "10.6.0.5", "127.66.0.1", "127.64.1.7", "kubernetes.default.svc"} <= set(names)


def test_initial_cluster_names_the_new_member() -> None:
    members = [
        Member("1", "a", ("https://127.66.0.2:2380",), ()),
        Member("2", "", ("https://127.66.0.1:2380",), (), learner=True),
        Member("3", "", ("https://127.66.0.9:2380",), ()),
    ]
    assert etcdmembers.initial_cluster(members, "cp-1", "https://127.66.0.1:2380") == (
        "a=https://127.66.0.2:2380,cp-1=https://127.66.0.1:2380"
    )

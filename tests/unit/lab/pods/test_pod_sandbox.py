"""A container's mounts: at their own paths in a namespace, or put in place of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from kaas_lab.pods import sandbox
from kaas_lab.pods.limits import Limits
from kaas_lab.pods.sandbox import Mount, Program, isolated, replaced

needs_namespaces = pytest.mark.skipif(not sandbox.is_possible(), reason="this machine allows no mount namespaces")


def run(program: Program, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(isolated(program, directory).argv, capture_output=True, text=True, check=False)


def shell(script: str, *mounts: Mount) -> Program:
    return Program(("sh", "-c", script), {}, mounts)


@needs_namespaces
def test_a_mount_is_at_its_path_for_the_container_alone(tmp_path: Path) -> None:
    (volume := tmp_path / "volume").mkdir()
    done = run(shell("echo here > /lab-test/data/file", Mount(volume, "/lab-test/data")), tmp_path / "container")
    assert (done.returncode, done.stderr) == (0, "")
    assert (volume / "file").read_text() == "here\n"
    assert not Path("/lab-test").exists()


@needs_namespaces
def test_a_read_only_mount_takes_no_write(tmp_path: Path) -> None:
    (volume := tmp_path / "volume").mkdir()
    done = run(shell("touch /data/file", Mount(volume, "/data", read_only=True)), tmp_path / "container")
    assert done.returncode != 0
    assert "Read-only file system" in done.stderr


@needs_namespaces
def test_a_file_below_dev_is_the_containers_own(tmp_path: Path) -> None:
    (message := tmp_path / "message").touch()
    done = run(
        shell("echo end > /dev/termination-log; head -c1 /dev/zero | wc -c", Mount(message, "/dev/termination-log")),
        tmp_path / "container",
    )
    assert (done.stdout.strip(), message.read_text()) == ("1", "end\n")
    assert not Path("/dev/termination-log").exists()


@needs_namespaces
def test_a_mount_lies_on_another_whatever_their_order(tmp_path: Path) -> None:
    (outer := tmp_path / "outer").mkdir()
    (inner := tmp_path / "inner").mkdir()
    (inner / "file").touch()
    program = shell("ls /data/inner", Mount(inner, "/data/inner"), Mount(outer, "/data"))
    assert run(program, tmp_path / "container").stdout == "file\n"


@needs_namespaces
def test_a_path_behind_a_link_of_this_machine(tmp_path: Path) -> None:
    (volume := tmp_path / "volume").mkdir()
    (volume / "token").write_text("t")
    place = "/var/run/secrets/lab.test"
    assert run(shell(f"cat {place}/token", Mount(volume, place)), tmp_path / "container").stdout == "t"
    assert not Path(place).exists()


@needs_namespaces
def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = run(Program(("/no/such/program",), {}, ()), tmp_path / "container")
    assert done.returncode == 128
    assert "No such file or directory" in done.stderr


def test_paths_are_put_in_place_where_they_are_paths() -> None:
    program = Program(
        ("load", "s3://bucket/data/x", "/data/sub", "--to=/data", "/database", "cat /data/a >/data-2/b", "/x/data"),
        {"CACHE": "/data/cache:/other/data"},
        (Mount(Path("/v/1"), "/data"), Mount(Path("/v/2"), "/data/sub")),
        directory="/data",
    )
    got = replaced(program)
    assert got.argv == (
        "load",
        "s3://bucket/data/x",
        "/v/2",
        "--to=/v/1",
        "/database",
        "cat /v/1/a >/data-2/b",
        "/x/data",
    )
    assert got.environment == {"CACHE": "/v/1/cache:/other/data"}
    assert got.directory == "/v/1"


def test_what_was_put_in_place_is_not_looked_at_again() -> None:
    program = Program(("/data",), {}, (Mount(Path("/v/in"), "/data"), Mount(Path("/w"), "/v")))
    assert replaced(program).argv == ("/v/in",)


@needs_namespaces
def test_a_container_sees_its_limit_of_memory_and_is_killed_at_it(tmp_path: Path) -> None:
    limits = Limits(f"test-{tmp_path.name}", {"limits": {"memory": "64Mi", "cpu": "500m"}})
    groups, mounts = limits.apply()
    if not groups:
        pytest.skip("this machine allows no control groups")
    try:
        files = "/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes"
        script = f"cat {files} 2>/dev/null; exec python3 -c 'bytearray(1 << 30)'"
        done = run(Program(("sh", "-c", script), {}, tuple(mounts), groups=tuple(groups)), tmp_path / "container")
        assert (done.stdout.strip(), done.returncode) == (str(64 << 20), -9)
        assert limits.was_out_of_memory()
    finally:
        limits.remove()
    assert not any(group.parent.exists() for group in groups)

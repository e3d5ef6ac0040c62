"""`kaas load` as a process, from a real server into a real directory."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from aiohttp import web

from kaas.loader.report import Progress, Reason, Result
from tests.contract.loader.buckets import BUCKET, ODD, content
from tests.contract.loader.conftest import GCS, S3
from tests.unit.web_server import serving


def kaas(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`kaas load` and how it ended."""
    command = [sys.executable, "-m", "kaas", "load", *map(str, arguments)]
    environ = os.environ | environment
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, env=environ)


def s3_load(s3: S3, path: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return kaas(f"s3://{BUCKET}/{path}", *arguments, "--endpoint", s3.url, "--region", "us-east-1")


def put(s3: S3, objects: dict[str, bytes]) -> None:
    for key, data in objects.items():
        s3.client.put_object(Bucket=BUCKET, Key=key, Body=data, ChecksumAlgorithm="CRC64NVME")


def files(folder: Path) -> dict[str, bytes]:
    """What is in a directory, but for the journal."""
    found = (p for p in folder.rglob("*") if p.is_file() and ".kaas-load" not in p.parts)
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


def result_of(text: str) -> Result:
    found = Result.parse(text.splitlines()[-1])
    assert found is not None
    return found


def test_a_bucket_is_loaded_and_then_there(s3: S3, tmp_path: Path) -> None:
    objects = {f"d/{key}": content(key) for key in ODD} | {"d/empty": b"", "d/dir/": b"", "other": b"x"}
    objects["d/large"] = os.urandom(20_000_000)
    put(s3, objects)
    first = s3_load(s3, "d/", tmp_path / "data")
    assert (first.returncode, first.stderr) == (0, "")
    assert f"loaded {len(ODD) + 2} files" in first.stdout
    wanted = {key.removeprefix("d/"): data for key, data in objects.items() if key.startswith("d/")}
    assert files(tmp_path / "data") == {key: data for key, data in wanted.items() if not key.endswith("/")}
    assert (tmp_path / "data" / "dir").is_dir()
    again = s3_load(s3, "d/", tmp_path / "data")
    assert f"{len(ODD) + 2} were there already" in again.stdout
    assert "loaded 0 files" in again.stdout


def test_one_object(s3: S3, tmp_path: Path) -> None:
    put(s3, {"d/x": b"data", "d/x.y": b"other"})
    assert s3_load(s3, "d/x", tmp_path).returncode == 0
    assert files(tmp_path) == {"x": b"data"}


def test_patterns_and_deletion(s3: S3, tmp_path: Path) -> None:
    put(s3, {"a.bin": b"a", "b.txt": b"b", "d/c.bin": b"c", "d/secret.bin": b"s"})
    s3_load(s3, "", tmp_path, "--include", "*.bin", "--exclude", "secret.*")
    assert set(files(tmp_path)) == {"a.bin", "d/c.bin"}
    (tmp_path / "mine").write_text("of somebody else")
    s3.client.delete_object(Bucket=BUCKET, Key="a.bin")
    assert s3_load(s3, "", tmp_path).returncode == 0
    assert "a.bin" in files(tmp_path)
    assert "would delete 2" in s3_load(s3, "", tmp_path, "--delete", "--dry-run").stdout
    ended = s3_load(s3, "", tmp_path, "--delete")
    assert "2 deleted" in ended.stdout
    assert set(files(tmp_path)) == {"b.txt", "d/c.bin", "d/secret.bin"}


def test_shards_share_all_of_it(s3: S3, tmp_path: Path) -> None:
    put(s3, {f"k{n}": b"x" for n in range(20)})
    seen: list[set[str]] = []
    for index in range(3):
        one = kaas(
            f"s3://{BUCKET}/", tmp_path / str(index), "--endpoint", s3.url, "--job", "--shards", "3",
            "--allow-endpoints", "127.0.0.0/8", JOB_COMPLETION_INDEX=str(index),
        )  # fmt: skip
        assert one.returncode == 0, one.stdout
        seen.append(set(files(tmp_path / str(index))))
    assert set.union(*seen) == {f"k{n}" for n in range(20)}
    assert sum(map(len, seen)) == 20


def test_a_dry_run_writes_nothing(s3: S3, tmp_path: Path) -> None:
    put(s3, {"a": b"1", "b": b"22", "bad//key": b"x"})
    (tmp_path / "b").write_bytes(b"zz")
    ended = s3_load(s3, "", tmp_path, "--dry-run", "--json", "--exclude", "/bad/")
    assert ended.returncode == 0
    found: dict[str, Any] = json.loads(ended.stdout)["preview"]
    assert (found["files"], found["there"], found["left_out"], found["names"]) == (1, 1, 1, ["a"])
    assert files(tmp_path) == {"b": b"zz"}
    assert s3_load(s3, "", tmp_path / "none", "--dry-run").returncode == 64
    assert not (tmp_path / "none").exists()


def test_a_job_tells_programs(s3: S3, tmp_path: Path) -> None:
    put(s3, {"x": b"data"})
    (tmp_path / "log").touch()
    job = ("--job", "--termination-log", tmp_path / "log", "--allow-endpoints", "127.0.0.0/8")
    ended = s3_load(s3, "", tmp_path / "data", *job)
    assert ended.returncode == 0
    result = result_of(ended.stdout)
    assert Result.parse((tmp_path / "log").read_text()) == result
    assert (result.reason, result.files, result.bytes) == (Reason.LOADED, 1, 4)
    assert len(result.digest) == 64
    assert ended.stderr == ""


def test_a_job_asks_nobody_inside(s3: S3, tmp_path: Path) -> None:
    ended = s3_load(s3, "", tmp_path / "data", "--job")
    assert ended.returncode == 64
    assert "127.0.0.1 is no address of the public internet" in result_of(ended.stdout).message


def test_outcomes_that_stay_as_they_are(s3: S3, tmp_path: Path) -> None:
    put(s3, {"dir/x": b"1", "../x": b"1"})
    for path, said in (("dir", "write s3://bucket/dir/"), ("none/", "nothing in it"), ("", "has a segment '..'")):
        ended = s3_load(s3, path, tmp_path / "data")
        assert ended.returncode == 64
        assert said in ended.stderr
        assert "goes on from there" not in ended.stderr


async def _interrupted(tmp_path: Path, number: signal.Signals, *arguments: str) -> tuple[int, str, str]:
    """A load that is told to stop while a server lets it wait, once it has told how far it is when it does so."""
    begun = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Range") == "bytes=0-0":
            return web.Response(status=206, body=b"x", headers={"ETag": '"v"', "Content-Range": "bytes 0-0/10"})
        begun.set()
        await asyncio.sleep(100)
        return web.Response(body=b"x" * 10)

    async with serving(answer) as url:
        command = [sys.executable, "-m", "kaas", "load", f"{url}/x", str(tmp_path / "data"), *arguments]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        await asyncio.wait_for(begun.wait(), 60)
        assert process.stdout
        first = await asyncio.wait_for(process.stdout.readline(), 60) if "--job" in arguments else b""
        process.send_signal(number)
        out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, (first + out).decode(), err.decode()


async def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    code, _, err = await _interrupted(tmp_path, signal.SIGINT)
    assert code == 130
    assert "the same command goes on from there" in err


async def test_a_job_that_is_told_to_stop(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code, out, _ = await _interrupted(
        tmp_path, signal.SIGTERM, "--job", "--allow-endpoints", "127.0.0.0/8", "--termination-log", str(log)
    )
    assert code == 75
    assert Progress.parse(out.splitlines()[0]) is not None
    assert result_of(out).reason is Reason.INTERRUPTED
    assert Result.parse(log.read_text()) == result_of(out)


async def test_a_server_that_answers_nothing_keeps_nobody(tmp_path: Path) -> None:
    """The request is still under way in a thread of botocore when the load is told to stop."""
    begun = asyncio.Event()

    async def answer(_: web.Request) -> web.StreamResponse:
        begun.set()
        await asyncio.sleep(1000)
        return web.Response()

    async with serving(answer) as url:
        command = [
            sys.executable,
            "-m",
            "kaas",
            "load",
            "s3://bucket/",
            str(tmp_path),
            "--endpoint",
            url,
            "--anonymous",
        ]
        process = await asyncio.create_subprocess_exec(*command, "--json", stdout=subprocess.PIPE)
        await asyncio.wait_for(begun.wait(), 60)
        process.send_signal(signal.SIGTERM)
        out, _ = await asyncio.wait_for(process.communicate(), 30)  # botocore would wait for 60
    assert process.returncode == 75
    assert result_of(out.decode()).reason is Reason.INTERRUPTED


def test_cloud_storage(gcs: GCS, tmp_path: Path) -> None:
    for key in ("d/x", "d/y/z"):
        gcs.bucket.blob(key).upload_from_string(content(key))
    ended = kaas(f"gs://{BUCKET}/d/", tmp_path, "--endpoint", gcs.url, "--anonymous")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "compared: 2 by crc32c" in ended.stdout
    assert files(tmp_path) == {"x": content("d/x"), "y/z": content("d/y/z")}

"""`kaas load` as it is written, and what people and programs are told."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kaas.cli.load_dry import Preview, preview
from kaas.cli.load_lines import KILLED, Lines
from kaas.cli.load_request import Asked, read
from kaas.cli.load_view import Screen, lasting, size, summary, told
from kaas.cli.loading import outcome
from kaas.cli.settings import Settings
from kaas.loader.faults import Fault
from kaas.loader.options import Verify
from kaas.loader.owner import Owner
from kaas.loader.report import LARGEST, Phase, Progress, Reason, Result
from kaas.loader.shards import Shard
from kaas.loader.source import Denied, Entry
from kaas.loader.space import Need
from tests.unit.cli.running import kaas
from tests.unit.loader.bucket import Bucket


def asked(**said: object) -> Asked:
    return Asked(**({"source": "s3://bucket/", "destination": Path("/data")} | said))  # type: ignore[arg-type]


def test_defaults() -> None:
    request = read(asked(), {})
    assert request.access.policy is None
    assert not request.access.pod
    assert request.options.verify is Verify.AUTO
    assert request.options.takes("any/thing")
    assert request.options.shard == Shard()
    assert request.options.owner is None
    assert request.options.max_rate is None


def test_everything_said() -> None:
    said = asked(include=("*.bin,*.json", "a/**"), exclude=("secret.*",), delete=True, verify="size", owner="1:2:0640")
    said = replace(said, max_rate="200Mi")
    request = read(said, {})
    assert [n for n in ("x.bin", "a/x", "y.txt", "secret.json") if request.options.takes(n)] == ["x.bin", "a/x"]
    assert request.options.delete
    assert request.options.verify is Verify.SIZE
    assert request.options.owner == Owner(1, 2, 0o640)
    assert request.options.max_rate == 200 * 2**20


def test_what_others_have_filled_is_replaced_by_one_loader() -> None:
    said = {"delete": True, "delete_excluded": True, "distrust": "mark"}
    assert read(asked(**said), {}).options.replaces
    for less in said:
        assert not read(asked(**{k: v for k, v in said.items() if k != less}), {}).options.replaces
    with pytest.raises(Fault, match="several loaders cannot replace a directory: use one") as fault:
        read(asked(**said, shard="0/2"), {})
    assert fault.value.reason is Reason.INVALID_SPEC


def test_a_job_is_told_which_shard_it_is() -> None:
    assert read(asked(shards=4), {"JOB_COMPLETION_INDEX": "3"}).options.shard == Shard(3, 4)
    assert read(asked(shards=4, shard="1/2"), {"JOB_COMPLETION_INDEX": "3"}).options.shard == Shard(1, 2)
    assert read(asked(), {"JOB_COMPLETION_INDEX": "3"}).options.shard == Shard()


def test_a_job_asks_only_public_endpoints_and_others_that_are_allowed() -> None:
    access = read(asked(job=True, allow_endpoints=("minio.corp,10.0.0.0/8", "!10.96.0.0/12")), {}).access
    assert access.pod
    assert access.policy is not None
    assert access.policy.trusts("minio.corp")
    assert access.policy.refusal("https", "10.96.0.1")
    assert read(asked(job=True), {}).access.policy is not None
    assert read(asked(allow_endpoints=()), {}).access.policy is not None


WRONG: list[tuple[dict[str, object], str]] = [
    ({"source": "bucket"}, "is no URL"),
    ({"include": ("[a",)}, "has no ]"),
    ({"verify": "hard"}, "verify 'hard': write auto, size, off"),
    ({"owner": "root"}, "owner 'root'"),
    ({"shard": "4/4"}, "shard 4 of 4"),
    ({"max_rate": "50MB/s"}, "max-rate '50MB/s' is no rate: write bytes a second, at least 64Ki"),
    ({"max_rate": "1Ki"}, "max-rate '1Ki' is too little"),
    ({"shards": 2}, "JOB_COMPLETION_INDEX does not say"),
    ({"allow_endpoints": ("https://x",)}, "endpoint 'https://x'"),
]


@pytest.mark.parametrize(("said", "message"), WRONG)
def test_what_is_wrong_is_told_as_an_outcome(said: dict[str, object], message: str) -> None:
    with pytest.raises(Fault) as fault:
        read(asked(**said), {})
    assert fault.value.reason is Reason.INVALID_SPEC
    assert message in str(fault.value)


def test_wrong_values_end_with_64_and_nothing_is_made(tmp_path: Path) -> None:
    result = kaas("load", "s3://Wrong_Bucket/", tmp_path / "data")
    assert result.exit_code == 64
    assert result.stderr.startswith("kaas: source 's3://Wrong_Bucket/': bucket")
    assert not (tmp_path / "data").exists()


def test_without_its_libraries_it_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['awscrt'] = None; from kaas.cli.entry import main; main()"
    command = [sys.executable, "-c", code, "load", "s3://bucket/", str(tmp_path)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 64
    assert "install kaas[loader]" in ended.stderr


def test_it_imports_no_other_command(tmp_path: Path) -> None:
    """The start of a Job counts for every volume."""
    code = "import sys; from kaas.cli.entry import main\ntry: main()\nfinally: print(*sys.modules)"
    command = [sys.executable, "-c", code, "load", "s3://Wrong/", str(tmp_path), "--job"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 64
    loaded = set(ended.stdout.split())
    assert "kaas.cli.load" in loaded
    assert not loaded & {"kaas.cli.main", "kaas.cli.repair", "kaas.cli.volumes", "kopf", "openstack", "rich"}


def test_last_words_are_there_from_the_beginning(tmp_path: Path) -> None:
    words, out = tmp_path / "log", io.StringIO()
    words.touch()
    inode = words.stat().st_ino
    with Lines(words, out) as lines:
        assert Result.parse(words.read_text()) == KILLED
        lines.progress(Progress(Phase.LOADING, 1, 0, 10, 1))
        result = Result(Reason.LOADED, "日本" * 5000, bytes=10)
        lines.result(result)
    assert len(words.read_bytes()) <= LARGEST
    assert words.stat().st_ino == inode
    first, last = out.getvalue().splitlines()
    assert Progress.parse(first) == Progress(Phase.LOADING, 1, 0, 10, 1)
    assert last == words.read_text()
    assert json.loads(last)["result"]["bytes"] == 10


def test_a_job_with_wrong_values_says_so_in_its_last_words(tmp_path: Path) -> None:
    result = kaas("load", "nonsense", tmp_path, "--job", "--termination-log", tmp_path / "log")
    assert result.exit_code == 64
    found = Result.parse((tmp_path / "log").read_text())
    assert found is not None
    assert found.reason is Reason.INVALID_SPEC
    assert result.stdout.splitlines() == [found.text()]


def test_a_job_with_a_wrong_rate_ends_with_64_and_names_the_option(tmp_path: Path) -> None:
    result = kaas("load", "s3://bucket/", tmp_path / "data", "--job", "--max-rate", "1Ki")
    assert result.exit_code == 64
    found = Result.parse(result.stdout)
    assert found is not None
    assert (found.reason, found.message[:29]) == (Reason.INVALID_SPEC, "max-rate '1Ki' is too little:")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("words", [["--termination-log={}"], ["--termination-log", "{}"], []])
@pytest.mark.parametrize(
    ("option", "said"), [("--of-tomorrow=1", "No such option: --of-tomorrow"), ("--shards=99", "--shards")]
)
def test_a_job_whose_options_are_of_another_version_is_not_tried_again(
    tmp_path: Path, option: str, said: str, words: list[str]
) -> None:
    log = tmp_path / "log"
    result = kaas("load", "s3://bucket/", tmp_path / "data", *(w.format(log) for w in words), "--job", option)
    assert result.exit_code == 64
    found = Result.parse(result.stdout)
    assert found is not None
    assert found.reason is Reason.FAILED
    assert said in found.message
    assert found.message.endswith("controller and loader are of different versions: give both the same image")
    assert not words or log.read_text() == found.text()


def test_a_person_who_writes_a_wrong_option_is_told_its_usage(tmp_path: Path) -> None:
    log = tmp_path / "log"
    result = kaas("load", "s3://bucket/", tmp_path, "--json", "--of-tomorrow", "--termination-log", log)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: kaas load")
    assert not log.exists()
    assert kaas("load", "--job", "--help").exit_code == 0


def test_whatever_happens_has_a_result() -> None:
    async def fails(error: BaseException) -> Result:
        raise error

    assert outcome(lambda: fails(Denied("no"))).reason is Reason.ACCESS_DENIED
    assert outcome(lambda: fails(Fault(Reason.STALLED, "slow"))) == Result(Reason.STALLED, "slow")
    assert outcome(lambda: fails(KeyboardInterrupt())).reason is Reason.INTERRUPTED
    found = outcome(lambda: fails(ZeroDivisionError("so it is")))
    assert found.reason is Reason.FAILED
    assert "ZeroDivisionError: so it is" in found.message


@pytest.mark.parametrize(("reason", "on"), [(Reason.UNREACHABLE, True), (Reason.ACCESS_DENIED, False)])
def test_people_are_told_when_to_go_on(reason: Reason, on: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with Screen(Settings()) as screen:
        screen.result(Result(reason, "s3://b/: so it is"))
    told_so = capsys.readouterr()
    assert told_so.out == ""
    assert told_so.err.startswith("kaas: s3://b/: so it is\n")
    assert ("the same command goes on from there" in told_so.err) == on


def test_progress_for_people() -> None:
    assert told(Progress(Phase.LISTING, listed=1_200_000)) == "Listing  1,200,000 objects"
    line = told(Progress(Phase.LOADING, 13_314_398_618, 812, 30_923_764_531, 1893, 1.2 * 2**30, 13.4))
    assert line == "Loading  43.1%  12.4 GiB/28.8 GiB  812/1,893 files  1.2 GiB/s  ETA 13s"


def test_sizes_and_times() -> None:
    assert [size(n) for n in (0, 1023, 1024, 1536, 5 * 2**40)] == ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 TiB"]
    assert [lasting(s) for s in (0.2, 59.4, 60, 250, 7500)] == ["0s", "59s", "1m00s", "4m10s", "2h05m"]


def test_a_summary() -> None:
    result = Result(Reason.LOADED, "", 3 * 2**20, 1200, 5, 2, 2.0, {"crc32c": 1000, "md5": 200, "size": 0})
    assert summary(result) == (
        "loaded 1,200 files, 3.0 MiB in 2s, 1.5 MiB/s; 5 were there already; 2 deleted; "
        "compared: 1,000 by crc32c, 200 by md5"
    )
    assert summary(Result(Reason.LOADED, "")) == "loaded 0 files, 0 B in 0s"


def test_a_dry_run_measures_space_as_the_load_does() -> None:
    assert not Preview("mem://", bytes=100, needed=100, free=104).fits
    assert Preview("mem://", bytes=100, needed=100, free=105).fits
    assert Preview("mem://", bytes=0, free=0).fits


async def test_a_dry_run_says_that_patterns_leave_nothing(tmp_path: Path) -> None:
    request = read(asked(destination=tmp_path, include=("*.safetensor",)))
    for lines in (False, True):
        with pytest.raises(Fault, match="of 2 objects of the source none fits include and exclude") as fault:
            await preview(Settings(), Bucket({"a.safetensors": b"", "b": b""}), request, lines=lines)
        assert fault.value.reason is Reason.INVALID_SPEC


def test_a_dry_run_counts_what_is_replaced_as_the_load_does(tmp_path: Path) -> None:
    found, request, need = Preview("mem://"), read(asked(destination=tmp_path)), Need(1)
    for name, old, new in (("a", 8192, 9000), ("b", 4096, 8192), ("c", 0, 100)):
        if old:
            (tmp_path / name).write_bytes(bytes(range(256)) * (old // 256))
        found.take(Entry(name, name, new, "v"), request, need)
    assert (found.files, found.bytes) == (3, 9000 + 8192 + 100)
    assert found.needed == (9000 - 8192) + (8192 - 4096) + 100 + 8192

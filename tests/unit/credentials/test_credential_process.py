"""The script that a Pod in mode `file` runs, by a shell, over files as the kubelet lays them out."""

from __future__ import annotations

import configparser
import json
import os
import shlex
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kaas.credentials.pods.process import CONFIG, LIFETIME, PROCESS, PROCESS_FILE
from kaas.credentials.terms import AWS_MOUNT

SHELLS = sorted({str(Path(found).resolve()) for name in ("sh", "dash", "bash", "ash") if (found := shutil.which(name))})
ODD = r"""a/+="b\c%s$x`'\\"""


class Volume:
    """A directory as the kubelet's: the files are in a state of their own, which a link names."""

    def __init__(self, path: Path) -> None:
        self.path, self._states = path, 0
        (path / PROCESS_FILE).write_text(PROCESS)

    def write(self, **files: str) -> Path:
        """A new state, in place of the last."""
        self._states += 1
        state = self.path / f"..{self._states}"
        state.mkdir()
        for name, text in files.items():
            (state / name).write_text(text)
        link = self.path / "..new"
        link.symlink_to(state.name)
        link.rename(self.path / "..data")
        return state

    def run(self, shell: str, *, path: str | None = None) -> subprocess.CompletedProcess[str]:
        """As an SDK does it. path: where programs are looked for, by default where they always are."""
        environment = {**os.environ, "TZ": "Asia/Tokyo", **({} if path is None else {"PATH": path})}
        script = str(self.path / PROCESS_FILE)
        return subprocess.run([shell, script], capture_output=True, text=True, env=environment, check=False)

    def read(self, shell: str, *, path: str | None = None) -> dict[str, Any]:
        """What the SDK reads of it."""
        done = self.run(shell, path=path)
        assert (done.returncode, done.stderr) == (0, "")
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def test_keys_that_expire(volume: Volume, shell: str) -> None:
    volume.write(AWS_ACCESS_KEY_ID="AKIA1", AWS_SECRET_ACCESS_KEY=ODD)
    before = datetime.now(UTC).replace(microsecond=0)
    found = volume.read(shell)
    after = datetime.now(UTC)
    until = datetime.fromisoformat(found.pop("Expiration"))
    assert before <= until - timedelta(seconds=LIFETIME) <= after
    assert found == {"Version": 1, "AccessKeyId": "AKIA1", "SecretAccessKey": ODD}


def test_the_next_state_of_the_secret(volume: Volume, shell: str) -> None:
    volume.write(AWS_ACCESS_KEY_ID="AKIA1", AWS_SECRET_ACCESS_KEY="one")
    volume.write(AWS_ACCESS_KEY_ID="ASIA2", AWS_SECRET_ACCESS_KEY="two\n", AWS_SESSION_TOKEN='"')
    found = volume.read(shell)
    assert found["SessionToken"] == '"'
    assert (found["AccessKeyId"], found["SecretAccessKey"]) == ("ASIA2", "two")


def test_an_image_without_date(volume: Volume, shell: str) -> None:
    volume.write(AWS_ACCESS_KEY_ID="AKIA1", AWS_SECRET_ACCESS_KEY="one")
    found = volume.read(shell, path="/nonexistent")
    assert found == {"Version": 1, "AccessKeyId": "AKIA1", "SecretAccessKey": "one"}


def test_a_volume_without_links(volume: Volume, shell: str) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        (volume.path / name).write_text("x")
    assert volume.read(shell)["SecretAccessKey"] == "x"


@pytest.mark.parametrize("files", [{}, {"AWS_ACCESS_KEY_ID": "AKIA1"}, {"AWS_SECRET_ACCESS_KEY": "one"}])
def test_half_a_secret(volume: Volume, shell: str, files: dict[str, str]) -> None:
    volume.write(**files)
    done = volume.run(shell)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "the Secret with the AWS keys cannot be read\n"


def test_the_configuration_means_the_same_to_shells_and_to_those_who_split_words() -> None:
    parsed = configparser.RawConfigParser()
    parsed.read_string(CONFIG)
    line = parsed["default"]["credential_process"]
    assert shlex.split(line) == line.split(" ") == ["sh", f"{AWS_MOUNT}/{PROCESS_FILE}"]

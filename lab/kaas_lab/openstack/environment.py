"""The virtual environment that OpenStack runs in, apart from the project's own: the two agree on few versions."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kaas_lab.layout import cache

HERE = Path(__file__).resolve().parent
LOCK = HERE / "requirements.lock"
SERVICES_PATH = HERE / "services"
COMPLETE = "complete"
# Neutron finds a mechanism driver by an entry point only.
ENTRY_POINTS = """\
[neutron.ml2.mechanism_drivers]
kaas_lab = kaas_cloud.neutron_drivers:InstantMechanismDriver
"""
METADATA = "Metadata-Version: 2.1\nName: kaas-cloud\nVersion: 0\n"
KEPT_LINES = 15

Say = Callable[[str], None]


class EnvironmentFailed(Exception):
    """The environment could not be made. The message carries pip's last lines."""


def environment_path() -> Path:
    """Where the environment for this lock and this Python is, whether or not it has been made."""
    facts = [LOCK.read_text(), sys.version, ENTRY_POINTS]
    digest = hashlib.sha256("\0".join(facts).encode()).hexdigest()[:12]
    return cache() / f"openstack-{digest}"


def ensure_environment(say: Say) -> Path:
    """Path of a complete environment; makes it when there is none, which takes minutes and a package index.

    Two labs may ask at once: one makes it, the other waits. What an interrupted run left is made anew.
    Raises EnvironmentFailed.
    """
    path = environment_path()
    if (path / COMPLETE).exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.with_suffix(".lock"), say):
        if not (path / COMPLETE).exists():
            _make(path, say)
    return path


@contextmanager
def _alone(lock: Path, say: Say) -> Iterator[None]:
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("OpenStack: another lab is making the environment; waiting for it")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _make(path: Path, say: Say) -> None:
    shutil.rmtree(path, ignore_errors=True)
    say("OpenStack: making a virtual environment")
    made = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "venv", path], capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise EnvironmentFailed(f"{sys.executable} cannot make a virtual environment:\n{made.stdout}{made.stderr}")
    _install(path, say)
    _add_entry_points(path)
    (path / COMPLETE).touch()


def _install(path: Path, say: Say) -> None:
    total = sum(1 for line in LOCK.read_text().splitlines() if "==" in line)
    pip = [path / "bin/python", "-m", "pip", "install", "--no-deps", "--require-hashes", "--no-input"]
    argv = [str(word) for word in (*pip, "--progress-bar", "off", "-r", LOCK)]
    seen, last = 0, [""]
    with subprocess.Popen(  # noqa: S603 - argv is our own
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_pip_environment()
    ) as process:
        for line in process.stdout or ():
            last = [*last[-KEPT_LINES:], line.rstrip()]
            if line.startswith("Collecting "):
                seen += 1
                say(f"OpenStack: package {seen} of {total}: {line.split()[1]}")
            elif line.startswith("Installing "):
                say(f"OpenStack: installing {seen} packages")
    if process.returncode:
        raise EnvironmentFailed("pip could not install OpenStack:\n" + "\n".join(last))


def _pip_environment() -> dict[str, str]:
    return {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONWARNINGS": "ignore"}


def _add_entry_points(path: Path) -> None:
    site_packages = next((path / "lib").glob("python3*")) / "site-packages"
    information = site_packages / "kaas_cloud-0.dist-info"
    information.mkdir(exist_ok=True)
    (information / "METADATA").write_text(METADATA)
    (information / "entry_points.txt").write_text(ENTRY_POINTS)

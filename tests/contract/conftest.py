"""Real API servers for contract tests: a bare one, and one with Cluster API and its providers behind their webhooks."""

from __future__ import annotations

import fcntl
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from kaas_lab import build, management, processes, sockets
from kaas_lab.layout import Layout
from kaas_lab.management import Management
from kaas_lab.reporter import Reporter

CRDS = Path(__file__).parents[2] / "deploy" / "crds"
# Below the ports that the kernel gives to outgoing connections (32768 and up), which could take one of ours.
SLOTS = range(22000, 32000, 1000)


def own_crds() -> list[dict[str, Any]]:
    return [document for file in sorted(CRDS.glob("*.yaml")) for document in yaml.safe_load_all(file.read_text())]


@contextmanager
def free_slot(state: Path) -> Iterator[int]:
    """A base port that no other lab uses, and no other test session will take while it is held.

    The lock's file names the state of its holder: what a killed session has left running is ended by the next.
    """
    for port in random.sample(SLOTS, len(SLOTS)):
        with Path(tempfile.gettempdir(), f"kaas-lab-slot-{port}.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            lock.seek(0)
            if left := lock.read():
                processes.stop_all(Path(left), patience=2.0)
            if sockets.in_range(Layout(state, port)):
                continue
            lock.truncate(0)
            lock.write(str(state))
            lock.flush()
            yield port
            return
    raise RuntimeError(f"no free base port in {SLOTS}: stop a lab with `kaas lab down`")


@contextmanager
def running(state: Path, parts: Sequence[str], providers: Sequence[str]) -> Iterator[Management]:
    with free_slot(state) as port:
        layout = Layout(state, port)
        try:
            build.ensure(parts, layout, Reporter())
            yield management.up(layout, providers, extra_crds=own_crds())
        finally:
            processes.stop_all(state, patience=2.0)
            shutil.rmtree(state / "etcd", ignore_errors=True)  # pytest keeps the directories of three runs


@pytest.fixture(scope="session", name="management")
def bare_management(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Management]:
    """A bare API server with our CRDs."""
    with running(tmp_path_factory.mktemp("management"), ["bare"], ()) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def capi_management(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Management]:
    """Cluster API with every provider and its webhooks, and our CRDs."""
    providers = ("core", "cabpk", "kcp", "capdev", "capo")
    with running(tmp_path_factory.mktemp("capi"), ["dev", "openstack"], providers) as cluster:
        yield cluster

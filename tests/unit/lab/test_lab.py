"""Of the parts of a lab that start side by side, the one that fails is the one that is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kaas_lab import lab, management, openstack, processes
from kaas_lab.layout import Layout
from kaas_lab.processes import ProcessFailed
from kaas_lab.reporter import Reporter
from kaas_lab.slots import free_slot


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Layout]:
    """A place for a lab whose programs are there."""
    monkeypatch.setattr(lab, "_prepare", lambda *_: None)
    with free_slot(tmp_path) as free:
        yield free
        processes.stop_all(tmp_path, patience=2.0)


def cloud_until_it_is_stopped(layout: Layout, *_: Any, **__: Any) -> None:
    log = layout.logs / "lab-neutron.log"
    service = processes.spawn(layout.state, "lab-neutron", ["sleep", "600"], log=log)
    processes.wait_until("lab-neutron", lambda: False, service, log)


def broken(script: str, where: Path) -> Path:
    program = where / "broken"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def test_the_part_that_fails_first_is_named(layout: Layout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The others fail too when the lab is stopped because of it."""
    program = broken("echo address already in use; exit 3", tmp_path)
    monkeypatch.setattr(management, "binary", lambda _: program)
    monkeypatch.setattr(openstack, "up", cloud_until_it_is_stopped)
    with pytest.raises(
        ProcessFailed, match=r"(etcd|kube-apiserver) ended with exit code 3(.|\n)*address already in use"
    ):
        lab.up(layout, lab.Options(), Reporter())
    assert processes.find(layout.state) == {}


def test_a_program_that_is_not_one_is_named(layout: Layout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(management, "binary", lambda name: tmp_path / f"no-such-{name}")
    monkeypatch.setattr(openstack, "up", cloud_until_it_is_stopped)
    with pytest.raises(ProcessFailed, match=r"etcd cannot be started: .*no-such-etcd"):
        lab.up(layout, lab.Options(), Reporter())
    assert processes.find(layout.state) == {}

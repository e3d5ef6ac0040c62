"""`kaas volumes controller`: what its options become."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.cli import volumes_controller
from kaas.cli.exits import ExitCode
from kaas.volumes.settings import LoadSettings
from tests.unit.cli.running import kaas


@pytest.fixture(name="given")
def what_is_given(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the controller would run with."""
    found: list[Any] = []
    monkeypatch.setattr(volumes_controller, "controller", lambda *arguments: found.extend(arguments))
    return found


def test_options_are_settings(given: list[Any]) -> None:
    words = ["--at-once", "3", "--per-namespace", "2", "--tries-again", "1", "--timeout", "60", "--cpu-limit", "4"]
    words += ["--allow-endpoint", "192.0.2.1", "--keep-out", "10.0.0.0/8", "--no-network-policy", "-n", "team"]
    words += ["--gpu-label", "accelerator"]
    assert kaas("volumes", "controller", "--image", "kaas:1", *words).exit_code == 0
    _, process, loads = given[:3]
    assert process.namespaces == ("team",)
    assert isinstance(loads, LoadSettings)
    assert (loads.at_once, loads.per_namespace, loads.tries_again, loads.timeout) == (3, 2, 1, 60)
    assert (loads.allow_endpoints, loads.keep_out, loads.network_policy) == (("192.0.2.1",), ("10.0.0.0/8",), False)
    assert (loads.resources.cpu_limit, loads.gpu_label) == ("4", "accelerator")


def test_a_network_that_is_none_is_wrong_usage(given: list[Any]) -> None:
    answer = kaas("volumes", "controller", "--image", "kaas:1", "--keep-out", "10.0.0.1/8")
    assert answer.exit_code == ExitCode.WRONG_INPUT
    assert "--keep-out: 10.0.0.1/8 has host bits set: write it like 10.0.0.0/8" in answer.stderr
    assert not given

"""Where each server has its metrics, as its command says."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from kaas.cli import controller, volumes_controller
from kaas.cli.exits import CliError
from kaas.runtime.controller import ControllerSettings
from tests.unit.cli.running import kaas

COMMANDS = ("controller", "volumes controller --image kaas:1", "volumes webhook", "credential-webhook")


class Reached(CliError):
    """The server would run now."""


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """What the servers that were to be run were told; none runs."""
    found: list[int | None] = []

    def run_controller(settings: ControllerSettings, *_: Any) -> None:
        found.append(settings.metrics_port)
        raise Reached("a controller")

    def execv(_: str, argv: list[str]) -> None:
        found.append(json.loads(argv[-1])["metrics_port"])
        raise Reached("a webhook")

    monkeypatch.setattr(controller, "run_controller", run_controller)
    monkeypatch.setattr(volumes_controller, "run_controller", run_controller)
    monkeypatch.setattr(os, "execv", execv)
    return found


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("options", "port"),
    [("", 8080), ("--metrics-port 0", 0), ("--metrics-port 9100", 9100), ("--metrics-port -1", None)],
)
def test_metrics_are_where_they_were_asked_for_and_minus_one_is_nowhere(
    ports: list[int | None], command: str, options: str, port: int | None
) -> None:
    answer = kaas(*command.split(), *options.split())
    assert ports == [port], answer.output

"""Webhook and controller of volumes as real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from kaas.admission.certificates import CA_LIFE, LEAF_LIFE, SETTLED, Lives
from kaas.runtime import logs
from kaas.volumes.webhook.process import Options, run
from tests.contract.credentials.replica import HOST, Replica

IMAGE = "registry.example.com/kaas:1"


def start(kubeconfig: Path, port: int, log: Path, **lives: float) -> Replica:
    """Start a replica of the webhook, which is ready later. lives: of `main` below, which stands for the command."""
    given = {"kubeconfig": str(kubeconfig), "port": port, "metrics_port": port + 1, **lives}
    own = ["-m", "tests.contract.volumes_webhook.replica", json.dumps(given)]
    words = [f"--host={HOST}", f"--name={HOST}", "--drain=1", "--log-format=json"]
    command = _command(kubeconfig, "webhook", *words, f"--port={port}", f"--metrics-port={port + 1}")
    return Replica(_process(own if lives else command, log), port, port + 1, log)


def start_controller(kubeconfig: Path, metrics_port: int, log: Path, *more: str) -> Replica:
    """Start the controller, which is ready later; it has no port but that of its metrics."""
    words = [f"--metrics-port={metrics_port}", f"--image={IMAGE}", "--log-format=json", *more]
    return Replica(_process(_command(kubeconfig, "controller", *words), log), 0, metrics_port, log)


def _command(kubeconfig: Path, *words: str) -> list[str]:
    return ["-m", "kaas", "--kubeconfig", str(kubeconfig), "volumes", *words]


def _process(words: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen([sys.executable, *words], stdout=out, stderr=subprocess.STDOUT, env=os.environ)


def main(given: dict[str, Any]) -> None:
    """Run one replica whose certificates live `leaf` and `ca` seconds."""
    logs.configure("json")
    lives = Lives(
        timedelta(seconds=given.pop("ca", CA_LIFE.total_seconds())),
        timedelta(seconds=given.pop("leaf", LEAF_LIFE.total_seconds())),
        timedelta(seconds=given.pop("settled", SETTLED.total_seconds())),
    )
    kubeconfig = Path(given.pop("kubeconfig"))
    run(Options(kubeconfig=kubeconfig, lives=lives, names=(HOST,), host=HOST, drain=1.0, poll=1.0, **given))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

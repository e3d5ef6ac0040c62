"""A cluster's usual ways, at the bare API server: ServiceAccounts must exist, and Deployments make Pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kaas_lab import processes
from kaas_lab.api_server import answers
from kaas_lab.build import binary
from kaas_lab.management import Management

API_PORT, MANAGER_PORT = 60, 61  # from the API server's port on
PATIENCE = 60.0
NAMES = "usual-kube-apiserver", "usual-kube-controller-manager"
CONTROLLERS = ("deployment", "replicaset", "serviceaccount")


@contextmanager
def usual_ways(
    management: Management, port: int, more: Mapping[str, str] | None = None, controllers: tuple[str, ...] = CONTROLLERS
) -> Iterator[Path]:
    """A kubeconfig of a second API server for the same objects, which wants Pods' ServiceAccounts to exist.

    The lab's own does without, since no controller makes the default ones there. port: of the lab's. more: options of
    the API server.
    """
    state = management.kubeconfig.parent
    kubeconfig = state / "usual.kubeconfig"
    kubeconfig.write_text(management.kubeconfig.read_text().replace(f":{port}", f":{port + API_PORT}"))
    try:
        _start_api_server(state, port, more or {})
        _start_controllers(state, kubeconfig, port + MANAGER_PORT, controllers)
        yield kubeconfig
    finally:
        _stop(state)


def _start_api_server(state: Path, port: int, more: Mapping[str, str]) -> None:
    """As the one that runs, with the admission that it leaves out."""
    (pid,) = [pid for pid, name in processes.find(state).items() if name == "kube-apiserver"]
    argv = Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
    changed = {"--secure-port": str(port + API_PORT), "--cert-dir": str(state / NAMES[0]), **more}
    kept = [word for word in argv if word.partition("=")[0] not in {*changed, "--disable-admission-plugins"}]
    words = [*kept, *(f"{option}={value}" for option, value in changed.items())]
    _start(state, NAMES[0], words, f"https://127.0.0.1:{port + API_PORT}/readyz")


def _start_controllers(state: Path, kubeconfig: Path, port: int, controllers: tuple[str, ...]) -> None:
    certificates = state / "certs"
    words = [
        str(binary("kube-controller-manager")),
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        f"--controllers={','.join(f'{name}-controller' for name in controllers)}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={certificates / 'tls.crt'}",
        f"--tls-private-key-file={certificates / 'tls.key'}",
    ]
    _start(state, NAMES[1], words, f"https://127.0.0.1:{port}/healthz")


def _start(state: Path, name: str, words: list[str], health: str) -> None:
    log = state / "logs" / f"{name}.log"
    process = processes.spawn(state, name, words, log=log)
    processes.wait_until(name, lambda: answers(health, state / "certs" / "ca.crt"), process, log, PATIENCE)


def _stop(state: Path) -> None:
    processes.stop([pid for pid, name in processes.find(state).items() if name in NAMES], patience=2.0)

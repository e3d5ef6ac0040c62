"""Kubernetes' own controllers of Jobs and claims, at the bare API server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kaas_lab import processes
from kaas_lab.api_server import answers
from kaas_lab.build import binary
from kaas_lab.management import Management

PORT = 62  # from the API server's port on
NAME = "volumes-kube-controller-manager"
CONTROLLERS = "job-controller,persistentvolumeclaim-protection-controller,ttl-after-finished-controller"
PATIENCE = 60.0


@contextmanager
def job_controllers(management: Management) -> Iterator[None]:
    """What makes Pods of Jobs, counts how they end, and keeps claims that Pods use. Pods are played by the tests."""
    state = management.kubeconfig.parent
    port = int(management.api.url.rpartition(":")[2]) + PORT
    certificates, log = state / "certs", state / "logs" / f"{NAME}.log"
    words = [
        str(binary("kube-controller-manager")),
        f"--kubeconfig={management.kubeconfig}",
        "--leader-elect=false",
        f"--controllers={CONTROLLERS}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={certificates / 'tls.crt'}",
        f"--tls-private-key-file={certificates / 'tls.key'}",
        "--kube-api-qps=300",
        "--kube-api-burst=600",
    ]
    try:
        process = processes.spawn(state, NAME, words, log=log)
        health = f"https://127.0.0.1:{port}/healthz"
        processes.wait_until(NAME, lambda: answers(health, certificates / "ca.crt"), process, log, PATIENCE)
        yield
    finally:
        processes.stop([pid for pid, name in processes.find(state).items() if name == NAME], patience=2.0)

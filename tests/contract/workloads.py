"""A cluster in which Pods run as processes of this machine, as tests use it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaas_lab import build, management, pods, processes, slots
from kaas_lab.management import Management
from kaas_lab.pods import images
from kaas_lab.reporter import Reporter

KAAS: Mapping[str, Sequence[str]] = {"kaas": [sys.executable, "-m", "kaas"]}
"""Image `kaas` in any registry with any tag is the command of this checkout."""


@dataclass(frozen=True)
class WorkloadLab:
    """A running cluster with nodes, StorageClasses `lab-immediate`, `lab-wait`, `lab-rwx` and `lab-small`."""

    management: Management
    state: Path

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.management.kubeconfig

    def volume(self, namespace: str, claim: str) -> Path:
        """Directory of the volume that a claim is bound to. Raises LookupError while it is not bound."""
        path = f"api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim}"
        found = self.management.api.request("GET", path)["spec"].get("volumeName")
        if not found:
            raise LookupError(f"claim {namespace}/{claim} is not bound")
        volume = self.management.api.request("GET", f"api/v1/persistentvolumes/{found}")
        return pods.directory(self.state) / "volumes" / str(volume["spec"]["csi"]["volumeHandle"])

    def kill(self, namespace: str, pod: str) -> int:
        """End what runs of a Pod by SIGKILL; returns how many processes that were."""
        return pods.kill(self.state, f"{namespace}/{pod}")

    def set_image(self, name: str, words: Sequence[str]) -> None:
        """Have an image be a program, from the next start of a container on. No words: what the container says."""
        table = pods.image_table(self.state)
        images.write(table, {**images.read(table), name: list(words)})


@contextmanager
def running(
    state: Path, crds: Sequence[dict[str, Any]], settings: pods.Settings | None = None
) -> Iterator[WorkloadLab]:
    """A cluster at a free place, ended behind it."""
    with slots.free_slot(state) as layout:
        try:
            build.ensure(["pods"], layout, Reporter())
            pods.definitions.ensure()
            yield WorkloadLab(
                management.up(layout, (), extra_crds=crds, runs_pods=settings or pods.Settings(images=KAAS)), state
            )
        finally:
            processes.stop_all(state, patience=2.0)
            pods.release(state)
            shutil.rmtree(state / "etcd", ignore_errors=True)
            shutil.rmtree(pods.directory(state), ignore_errors=True)

"""The workload lab as its tests ask it: objects, logs, and waiting."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

import urllib3

from tests.contract.api_server import ApiServer
from tests.contract.workloads import WorkloadLab

PATIENCE = 120.0  # seconds
T = TypeVar("T")
PATHS = {
    "Pod": "/api/v1/namespaces/{namespace}/pods",
    "Secret": "/api/v1/namespaces/{namespace}/secrets",
    "ConfigMap": "/api/v1/namespaces/{namespace}/configmaps",
    "Event": "/api/v1/namespaces/{namespace}/events",
    "PersistentVolumeClaim": "/api/v1/namespaces/{namespace}/persistentvolumeclaims",
    "PersistentVolume": "/api/v1/persistentvolumes",
    "Node": "/api/v1/nodes",
    "Job": "/apis/batch/v1/namespaces/{namespace}/jobs",
    "StatefulSet": "/apis/apps/v1/namespaces/{namespace}/statefulsets",
    "VolumeSnapshot": "/apis/snapshot.storage.k8s.io/v1/namespaces/{namespace}/volumesnapshots",
    "VolumeSnapshotContent": "/apis/snapshot.storage.k8s.io/v1/volumesnapshotcontents",
}


@dataclass(frozen=True)
class Cluster:
    """A namespace of the lab that nobody else uses."""

    lab: WorkloadLab
    api: ApiServer
    namespace: str

    def path(self, kind: str, name: str = "") -> str:
        """Of a collection, or of an object in it."""
        collection = PATHS[kind].format(namespace=self.namespace)
        return f"{collection}/{name}" if name else collection

    def create(self, kind: str, name: str, /, **fields: Any) -> dict[str, Any]:
        """Create an object; `metadata` is added to."""
        group = PATHS[kind].split("/")
        version = "v1" if group[1] == "api" else f"{group[2]}/{group[3]}"
        metadata = {"name": name, **fields.pop("metadata", {})}
        body = {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}
        status, answer = self.api.call("POST", self.path(kind), body, fieldValidation="Strict")
        assert status == 201, answer
        return answer

    def find(self, kind: str, name: str) -> dict[str, Any] | None:
        """An object, or None."""
        status, answer = self.api.call("GET", self.path(kind, name))
        return answer if status == 200 else None

    def all(self, kind: str, **query: str) -> list[dict[str, Any]]:
        """Objects of a kind."""
        _, answer = self.api.call("GET", self.path(kind), **query)
        return list(answer["items"])

    def delete(self, kind: str, name: str, **query: str) -> None:
        """Delete an object."""
        status, answer = self.api.call("DELETE", self.path(kind, name), **query)
        assert status in {200, 202}, answer

    def pod(self, name: str, *command: str, **fields: Any) -> dict[str, Any]:
        """Create a Pod of one container that runs a command of the shell's image, and is not restarted."""
        more = fields.pop("container", {})
        container = {"name": "main", "image": "busybox", "command": list(command), **more}
        spec = {"restartPolicy": "Never", "containers": [container], **fields}
        return self.create("Pod", name, spec=spec)

    def claim(self, name: str, storage_class: str = "lab-immediate", size: str = "1Gi", **fields: Any) -> None:
        """Create a PersistentVolumeClaim."""
        spec = {
            "storageClassName": storage_class,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            **fields,
        }
        self.create("PersistentVolumeClaim", name, spec=spec)

    def wait(self, what: str, holds: Callable[[], T | None]) -> T:
        """What `holds` gives once it is true."""
        end = time.monotonic() + PATIENCE
        while not (found := holds()):
            assert time.monotonic() < end, f"not reached: {what}; {self.told()}"
            time.sleep(0.1)
        return found

    def phase(self, name: str, *phases: str) -> dict[str, Any]:
        """The Pod once it is in one of the phases."""

        def reached() -> dict[str, Any] | None:
            pod = self.find("Pod", name)
            return pod if pod and pod.get("status", {}).get("phase") in phases else None

        return self.wait(f"Pod {name} is {phases}", reached)

    def bound(self, name: str) -> None:
        """Wait until a claim is bound."""

        def reached() -> bool:
            claim = self.find("PersistentVolumeClaim", name)
            return bool(claim and claim["status"].get("phase") == "Bound")

        self.wait(f"claim {name} is bound", reached)

    def ended(self, name: str) -> dict[str, Any]:
        """How the only container of a Pod ended."""
        pod = self.phase(name, "Succeeded", "Failed")
        return dict(pod["status"]["containerStatuses"][0]["state"]["terminated"])

    def waiting(self, name: str, reason: str) -> str:
        """Message of the Pod's container once it waits for that reason."""

        def reached() -> str | None:
            pod = self.find("Pod", name) or {}
            for status in pod.get("status", {}).get("containerStatuses") or ():
                state = status["state"].get("waiting", {})
                if state.get("reason") == reason:
                    return str(state.get("message", "")) or "-"
            return None

        return self.wait(f"Pod {name} waits: {reason}", reached)

    def told(self) -> list[str]:
        """Reasons and messages of the namespace's Events."""
        return [f"{e['reason']}: {e['message']}" for e in self.all("Event")]

    def event(self, reason: str, text: str) -> None:
        """Wait for an Event."""
        self.wait(f"{reason} {text}", lambda: any(t.startswith(f"{reason}: ") and text in t for t in self.told()))

    def log(self, pod: str, **options: str) -> str:
        """A Pod's log through the API server."""
        certificates = self.lab.state / "certs"
        with urllib3.PoolManager(
            ca_certs=str(certificates / "ca.crt"),
            cert_file=str(certificates / "admin.crt"),
            key_file=str(certificates / "admin.key"),
            timeout=PATIENCE,
        ) as pool:
            url = f"{self.lab.management.api.url}{self.path('Pod', pod)}/log?{urlencode(options)}"
            answer = pool.request("GET", url)
            assert answer.status == 200, answer.data
            return answer.data.decode()


def fresh(lab: WorkloadLab) -> Cluster:
    """A new namespace, once it has its ServiceAccount."""
    cluster = Cluster(lab, ApiServer(lab.kubeconfig), f"test-{uuid.uuid4().hex[:8]}")
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cluster.namespace}}
    status, answer = cluster.api.call("POST", "/api/v1/namespaces", body)
    assert status == 201, answer
    account = f"/api/v1/namespaces/{cluster.namespace}/serviceaccounts/default"
    cluster.wait("ServiceAccount default", lambda: cluster.api.call("GET", account)[0] == 200)
    return cluster

"""Clusters of a class that was written by hand: Cluster API and the lab's machines, without the controller."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from kaas_lab import management
from kaas_lab.api_server import ApiRefused, ApiServer, Document
from kaas_lab.layout import Layout

NAMESPACE = management.NAMESPACE
SITE = "lab"
CLASS = Path(__file__).parent / "class.yaml"
CLUSTERS = f"apis/cluster.x-k8s.io/v1beta2/namespaces/{NAMESPACE}/clusters"
MACHINES = f"apis/cluster.x-k8s.io/v1beta2/namespaces/{NAMESPACE}/machines"
LIMIT = 600.0
T = TypeVar("T")


class NotYet(AssertionError):
    """Something did not come true in time."""


def eventually(what: str, look: Callable[[], T], limit: float = LIMIT) -> T:
    """The first true value of `look`, asked again and again; refusals of an API server count as not yet."""
    end, last = time.monotonic() + limit, "nothing"
    while time.monotonic() < end:
        try:
            if found := look():
                return found
        except (ApiRefused, OSError) as error:
            last = str(error)
        except Exception as error:
            if "urllib3" not in type(error).__module__:
                raise
            last = str(error)
        time.sleep(0.5)
    raise NotYet(f"{what}: not in {limit:.0f} s; last: {last}")


def install_class(api: ApiServer) -> None:
    """Put the class and its templates into the management cluster."""
    for document in yaml.safe_load_all(CLASS.read_text()):
        _apply(api, document)


def _apply(api: ApiServer, document: Document) -> None:
    kind = document["kind"].lower()
    plural = f"{kind}es" if kind.endswith("s") else f"{kind}s"
    path = f"apis/{document['apiVersion']}/namespaces/{NAMESPACE}/{plural}/{document['metadata']['name']}"
    api.request("PATCH", f"{path}?fieldManager=by-hand&force=true", document)


class ByHand:
    """One Cluster of that class."""

    def __init__(self, layout: Layout, name: str, certificates: Path) -> None:
        self.api = management.api_server(layout)
        self.name, self._certificates = name, certificates
        self.pools: dict[str, int] = {}

    def apply(self, version: str, control_plane: int, **pools: int) -> None:
        """Create or change it; pools by the name of their class, with their replicas."""
        self.pools = pools
        topology = {
            "classRef": {"name": "machines"},
            "version": version,
            "controlPlane": {"replicas": control_plane},
            "workers": {"machineDeployments": [{"class": k, "name": k, "replicas": n} for k, n in pools.items()]},
        }
        network = {
            "pods": {"cidrBlocks": ["192.168.0.0/16"]},
            "services": {"cidrBlocks": ["10.128.0.0/12"]},
            "serviceDomain": "cluster.local",
        }
        document = {
            "apiVersion": "cluster.x-k8s.io/v1beta2",
            "kind": "Cluster",
            "metadata": {"name": self.name},
            "spec": {"clusterNetwork": network, "topology": topology},
        }
        _apply(self.api, document)

    def conditions(self) -> dict[str, str]:
        """Status of its conditions, those that were computed from the newest generation."""
        found = self.api.request("GET", f"{CLUSTERS}/{self.name}")
        return {
            c["type"]: c["status"]
            for c in found.get("status", {}).get("conditions", [])
            if c["observedGeneration"] == found["metadata"]["generation"]
        }

    def wait_available(self) -> None:
        """Wait until Cluster API calls it available and nothing is rolling out."""

        def settled() -> bool:
            found = self.conditions()
            wanted = {"Available": "True", "RollingOut": "False", "ScalingUp": "False", "ScalingDown": "False"}
            return all(found.get(k) == v for k, v in wanted.items())

        eventually(f"{self.name} is available", settled)

    def wait_upgraded(self, version: str, count: int) -> None:
        """Wait until it has that many machines, all of that version, and is available."""

        def upgraded() -> bool:
            versions = [m["spec"]["version"] for m in self.machines()]
            return versions == [version] * count

        eventually(f"{self.name} has {count} machines of {version}", upgraded, 2 * LIMIT)
        self.wait_available()

    def machines(self) -> list[Document]:
        """Its machines."""
        listed: list[Document] = self.api.request("GET", MACHINES)["items"]
        return [m for m in listed if m["spec"]["clusterName"] == self.name]

    def delete(self) -> None:
        """Delete it and wait until it is gone."""
        self.api.request("DELETE", f"{CLUSTERS}/{self.name}")
        eventually(f"{self.name} is gone", self._is_gone)

    def _is_gone(self) -> bool:
        names = [c["metadata"]["name"] for c in self.api.request("GET", CLUSTERS)["items"]]
        return self.name not in names

    def workload(self) -> ApiServer:
        """Its own API server, with the kubeconfig that Cluster API made for it."""
        secret = self.api.request("GET", f"api/v1/namespaces/{NAMESPACE}/secrets/{self.name}-kubeconfig")
        config = yaml.safe_load(base64.b64decode(secret["data"]["value"]))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        contents = {
            "ca.crt": cluster["certificate-authority-data"],
            "admin.crt": user["client-certificate-data"],
            "admin.key": user["client-key-data"],
        }
        for name, content in contents.items():
            (self._certificates / name).write_bytes(base64.b64decode(content))
        found = ApiServer(6443, self._certificates)
        found.url = cluster["server"]
        return found

    def nodes(self) -> dict[str, Document]:
        """Nodes of its own API server, by the name of their pool, `control-plane` included; one of each is kept."""
        return {self.pool_of(n): n for n in self.workload().request("GET", "api/v1/nodes")["items"]}

    def pool_of(self, node: Document) -> str:
        """Pool of a node, by its name."""
        name: str = node["metadata"]["name"]
        return next((p for p in self.pools if name.startswith(f"{self.name}-{p}-")), "control-plane")


def condition(node: Document, kind: str) -> dict[str, Any]:
    """A condition of a node; empty when it has none of that type."""
    found: list[dict[str, Any]] = [c for c in node["status"].get("conditions", []) if c["type"] == kind]
    return found[0] if found else {}


def is_ready(node: Document) -> bool:
    """Whether a node is Ready."""
    return condition(node, "Ready").get("status") == "True"

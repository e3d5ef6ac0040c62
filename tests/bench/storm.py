"""A storm in a running controller: of 10,000 nodes in 1,000 Clusters, 1,000 fall ill in the same second.

The API server is real, and so are the watches of all Clusters' Nodes; servers are those of a small cloud of our own,
which takes reboots and changes nothing, so that every step that is begun stays in flight.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kaas_lab import certificates, processes

from kaas.api.constants import CONDITION_REPAIRS, SYSTEM_NAMESPACE
from kaas.kube.objects import Object, name_of
from kaas.repairs.settings import ZONE_LIMITS
from tests import metrics
from tests.bench import fleet, workload_front
from tests.bench.bare import Store, bare, fill
from tests.bench.bench import Bench
from tests.bench.controllers import Controller, controller, until
from tests.bench.figures import Figure, Limit
from tests.bench.scale import BASE_MB, CLUSTER_MB, LAG
from tests.e2e.platform import METRICS_OFFSET, Platform
from tests.unit.openstack.fake_cloud import FakeCloud, Query, running

FRONT = METRICS_OFFSET + 5  # offset of its port
MOST = 1000  # servers that Nova lists at once, unless its operator says otherwise
LAG_LIMIT = Limit(50.0, below=True)
QUIET, STEADY = 20.0, 60.0  # seconds that are looked at before and after
SINCE = "2026-01-05T08:00:00Z"
WELL = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable", "KernelDeadlock", "ReadonlyFilesystem")


@dataclass
class World:
    """Nodes by name and servers, as they belong to the Machines that were filled in."""

    nodes: dict[str, Object] = field(default_factory=dict)
    servers: list[Object] = field(default_factory=list)

    def see(self, obj: Object) -> None:
        """Note what an object that is filled in stands for."""
        if obj["kind"] == "Machine":
            node = _node(obj)
            self.nodes[node["metadata"]["name"]] = node
            self.servers.append(_server(obj, len(self.servers)))


def run(bench: Bench) -> Sequence[Figure]:
    """Quiet first, then the storm, then some time of it."""
    clusters = bench.size(1000, 20)
    world = World()
    with bare(bench, "storm") as platform, running() as cloud, _front(platform):
        fill(bench, platform, clusters, world.see)
        store = Store(platform.layout)
        store.put([*world.nodes.values(), *(_kubeconfig(platform, n) for n in range(clusters)), _secret(cloud)])
        cloud.answers["/compute/v2.1/servers/detail"] = _Listing(world.servers)
        cloud.answers = _Servers(cloud.answers, world.servers)
        with controller(platform) as process:
            bench.say("the controller starts, and every Cluster's Nodes are watched")
            _until_watched(platform, process, clusters)
            workers = [node for name, node in world.nodes.items() if "-web-0" in name]
            return _storm(bench, store, process, workers, cloud)


def _storm(bench: Bench, store: Store, process: Controller, sick: Sequence[Object], cloud: FakeCloud) -> list[Figure]:
    quiet = _Span(process)
    time.sleep(QUIET)
    before = Figure("event-loop lag p99 before", quiet.lag, "ms", LAG_LIMIT)
    bench.say(f"{len(sick)} nodes fall ill")
    burst = _Span(process)
    store.put(_ill(node) for node in sick)
    until("every sick node is known", lambda: _known(process) >= len(sick), pause=1.0)
    known = burst.seconds
    until("all is said", lambda: process.synced(0), pause=1.0)
    figures = [
        before,
        Figure(f"event-loop lag p99 as {len(sick):,} nodes fall ill", burst.lag, "ms", LAG_LIMIT, burst.note),
        Figure("until every sick node is known", known, "s"),
        Figure("until all of it is said in statuses", burst.seconds, "s"),
    ]
    bench.say("and some time of it passes")
    after = _Span(process)
    time.sleep(STEADY)
    memory = f"{BASE_MB + CLUSTER_MB * 1000:.0f} MB is the limit without sight of Nodes"
    return [
        *figures,
        Figure("event-loop lag p99 in the minute after", after.lag, "ms", LAG_LIMIT, after.note),
        *_deeds([path for path, body in cloud.sent if "reboot" in body]),
        Figure("memory in the storm", process.memory, "MB", note=memory),
    ]


def _deeds(rebooted: Sequence[str]) -> list[Figure]:
    most = Limit(float(ZONE_LIMITS.max_in_flight or 0))
    return [
        Figure("servers rebooted", len(rebooted), "", most, "all are in one zone, whose budget it is"),
        Figure("servers rebooted twice", len(rebooted) - len(set(rebooted)), "", Limit(0.0)),
    ]


class _Span:
    """What a controller has done since it was made."""

    def __init__(self, process: Controller) -> None:
        self._process = process
        self._metrics, self._processor, self._began = process.metrics(), process.processor, time.monotonic()

    @property
    def seconds(self) -> float:
        """How long that is."""
        return time.monotonic() - self._began

    @property
    def lag(self) -> float:
        """99th percentile of the event loop's lag, in milliseconds."""
        return metrics.quantile(metrics.grown(self._metrics, self._process.metrics()), LAG, 0.99) * 1000

    @property
    def note(self) -> str:
        """How much it had to do."""
        return f"{self._process.processor - self._processor:.1f} s of processor time in {self.seconds:.0f} s"


def _known(process: Controller) -> float:
    return metrics.total(process.metrics(), "kaas_repair_nodes")


def _until_watched(platform: Platform, process: Controller, clusters: int) -> None:
    """Return when the Nodes of each Cluster are seen, its status says so, and nothing is left to do."""
    until("every Cluster is reconciled", lambda: process.synced(clusters), pause=1.0)
    until("every Cluster is seen", lambda: _seen(platform) >= clusters, pause=2.0)
    until("nothing is left to do", lambda: process.synced(0), pause=1.0)


def _seen(platform: Platform) -> int:
    """Clusters whose repairs are allowed."""
    found = platform.items("apis/kaas.internal/v1alpha1/clusters")
    conditions = (c for cluster in found for c in (cluster.get("status") or {}).get("conditions") or ())
    return sum(c["type"] == CONDITION_REPAIRS and c["status"] == "True" for c in conditions)


@contextmanager
def _front(platform: Platform) -> Iterator[None]:
    layout = platform.layout
    argv = [sys.executable, "-m", workload_front.__name__, "--port", str(layout.management_port(FRONT))]
    argv += ["--upstream", platform.api.url, "--certificates", str(layout.certificates)]
    process = processes.spawn(layout.state, "workloads", argv, log=layout.logs / "workloads.log")
    try:
        yield
    finally:
        processes.stop([process.pid], patience=5.0)


def _kubeconfig(platform: Platform, number: int) -> Object:
    name = fleet.name_of(number)
    file = platform.layout.state / "workload.kubeconfig"
    url = f"https://127.0.0.1:{platform.layout.management_port(FRONT)}/{name}"
    certificates.write_kubeconfig(file, url, platform.layout.certificates)
    return _opaque(f"{name}-kubeconfig", fleet.NAMESPACE, value=file.read_bytes())


def _secret(cloud: FakeCloud) -> Object:
    auth = {
        "auth_url": f"{cloud.url}/identity/v3",
        "application_credential_id": "id",
        "application_credential_secret": "secret",
    }
    entry = {"auth_type": "v3applicationcredential", "auth": auth, "region_name": "RegionOne"}
    document = json.dumps({"clouds": {"openstack": entry}}).encode()
    return _opaque(f"{fleet.SITE}-openstack", SYSTEM_NAMESPACE, **{"clouds.yaml": document})


def _opaque(name: str, namespace: str, **data: bytes) -> Object:
    encoded = {k: base64.b64encode(v).decode() for k, v in data.items()}
    meta = {"name": name, "namespace": namespace, "uid": name, "creationTimestamp": SINCE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque", "data": encoded}


def _node(machine: Object) -> Object:
    """The Node of a Machine, as a kubelet and a node problem detector keep it."""
    name, (_, own) = machine["status"]["nodeRef"]["name"], name_of(machine)
    meta = {
        "name": name,
        "uid": own,
        "creationTimestamp": SINCE,
        "labels": {workload_front.LABEL: machine["spec"]["clusterName"], "kubernetes.io/hostname": name},
    }
    info = dict.fromkeys(("machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "architecture"), own)
    info |= {"containerRuntimeVersion": "containerd://2.2.0", "operatingSystem": "linux", "kubeProxyVersion": ""}
    status = {
        "conditions": [*(_condition(kind, "False") for kind in WELL), _condition("Ready", "True")],
        "capacity": (size := {"cpu": "8", "memory": "32Gi", "pods": "110"} | _gpus(name)),
        "allocatable": size,
        "nodeInfo": {**info, "kubeletVersion": machine["spec"]["version"]},
        "images": [{"names": [f"registry.internal/team/image-{n}:v1"], "sizeBytes": 10**8} for n in range(20)],
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": meta,
        "spec": {"providerID": machine["spec"]["providerID"]},
        "status": status,
    }


def _gpus(node: str) -> dict[str, str]:
    return {"nvidia.com/gpu": "8"} if "-dgx-" in node else {}


def _condition(kind: str, status: str) -> Object:
    times = {"lastHeartbeatTime": SINCE, "lastTransitionTime": SINCE}
    return {"type": kind, "status": status, "reason": "Reason", "message": "as it should be", **times}


def _ill(node: Object) -> Object:
    """The Node with a kernel that has hung for long."""
    conditions = [_condition("KernelDeadlock", "True"), *node["status"]["conditions"]]
    kept = {c["type"]: c for c in reversed(conditions)}
    return {**node, "status": {**node["status"], "conditions": list(kept.values())}}


def _server(machine: Object, number: int) -> Object:
    uid = machine["spec"]["providerID"].rpartition("/")[2]
    return {
        "id": uid,
        "name": machine["metadata"]["name"],
        "status": "ACTIVE",
        "hostId": f"host-{number % 500}",
        "OS-EXT-STS:power_state": 1,
        "OS-EXT-STS:vm_state": "active",
        "OS-EXT-STS:task_state": None,
        "image": {"id": "image"},
        "metadata": {"depends-on": "nothing"},
        "addresses": {"team": [{"addr": "10.6.0.23", "version": 4, "OS-EXT-IPS:type": "fixed"}]},
    }


class _Servers(dict[str, Any]):
    """Answers of a cloud, with those about each server."""

    def __init__(self, answers: dict[str, Any], servers: Sequence[Object]) -> None:
        super().__init__(answers)
        for server in servers:
            path = f"/compute/v2.1/servers/{server['id']}"
            self[path] = (200, {"server": server})
            self[f"{path}/action"] = (202, {})
            self[f"{path}/os-instance-actions"] = (200, {"instanceActions": []})


class _Listing:
    """Nova's list of servers, a page at a time."""

    def __init__(self, servers: Sequence[Object]) -> None:
        self._servers = servers
        self._place = {s["id"]: n for n, s in enumerate(servers)}

    def __call__(self, query: Query) -> tuple[int, Any]:
        marker = query.get("marker", [""])[0]
        start = self._place[marker] + 1 if marker else 0
        end = start + min(MOST, int(query.get("limit", [MOST])[0]))
        page = self._servers[start:end]
        links = [{"rel": "next", "href": ""}] if end < len(self._servers) else []
        return 200, {"servers": page, "servers_links": links}

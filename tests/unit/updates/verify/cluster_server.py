"""The API server of a workload cluster, as far as it is looked at: it stalls, resets and refuses on order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from kaas.kube.client import KubeClient, Limits
from kaas.kube.errors import NotFound
from kaas.kube.kubeconfig import connect
from kaas.updates.run import ClusterKey
from tests.unit import web_server
from tests.unit.kube.node_server import kubeconfig
from tests.unit.web_server import refusal

Object = dict[str, Any]
Fault = Callable[[web.Request], web.Response] | None
KEY = ("tenants", "team")
PAGE = 3  # objects, whatever was asked for: a server may give fewer


class ClusterServer:
    """Objects by path of their collection; every list comes in small pages.

    stalled: nothing is answered. fault: answers instead. requests, errors: what /metrics counts; `slow` of 100 requests
    take longer than a second. simulated: it has objects only. processes: behind this address, each connection to the
    next of them.
    """

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Object]] = {}
        self.requests = 1000
        self.errors = 0
        self.slow = 0
        self.processes = 1
        self.simulated = False
        self.scraped = 0
        self.created: list[Object] = []
        self.readiness: list[web.Request] = []
        self.fault: Fault = None
        self.url = ""
        self._going = asyncio.Event()
        self._going.set()

    def stall(self) -> None:
        self._going.clear()

    def resume(self) -> None:
        self._going.set()

    def put(self, collection: str, obj: Object) -> Object:
        self.objects.setdefault(collection, {})[obj["metadata"]["name"]] = obj
        return obj

    def node(self, name: str, version: str = "v1.36.3", *, ready: bool = True, gpus: int = 0, **labels: str) -> Object:
        condition = {"type": "Ready", "status": "True" if ready else "False"}
        devices = {"nvidia.com/gpu": str(gpus)} if gpus else {}
        status = {
            "conditions": [condition],
            "nodeInfo": {"kubeletVersion": version},
            "capacity": {"cpu": "8", **devices},
            "allocatable": {"cpu": "8", **devices},
        }
        return self.put("/api/v1/nodes", {"metadata": {"name": name, "labels": labels}, "status": status})

    def pod(self, name: str, owner: str = "DaemonSet/agent", *, ready: bool = True, node: str = "n") -> Object:
        kind, _, of = owner.partition("/")
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
        meta = {"name": name, "ownerReferences": [{"kind": kind, "name": of, "controller": True}]}
        pod = {"metadata": meta, "spec": {"nodeName": node}, "status": status}
        return self.put("/api/v1/namespaces/kube-system/pods", pod)

    def cron_job(self, name: str = "smoke", namespace: str = "tests") -> Object:
        spec = {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "c"}]}}}}}
        return self.put(f"/apis/batch/v1/namespaces/{namespace}/cronjobs", {"metadata": {"name": name}, "spec": spec})

    def jobs(self, namespace: str = "tests") -> dict[str, Object]:
        return self.objects.get(f"/apis/batch/v1/namespaces/{namespace}/jobs", {})

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/readyz":
            self.readiness.append(request)
        await self._going.wait()
        if self.fault:
            return self.fault(request)
        if self.simulated and request.path in ("/metrics", "/readyz"):
            return web.Response(text="404: Page Not Found", status=404)
        if request.path == "/metrics":
            return web.Response(text=self._metrics())
        if request.path == "/readyz":
            return web.Response(text="ok")
        return await self._create(request) if request.method == "POST" else self._read(request)

    def _metrics(self) -> str:
        self.scraped += 1
        process = self.scraped % self.processes
        good, quick = self.requests - self.errors, self.requests * (100 - self.slow) // 100
        return "\n".join(
            [
                f'apiserver_request_total{{code="200",subresource="",verb="GET"}} {good}',
                f'apiserver_request_total{{code="500",subresource="",verb="GET"}} {self.errors}',
                f'apiserver_request_duration_seconds_bucket{{subresource="",verb="GET",le="0.1"}} {quick}',
                f'apiserver_request_duration_seconds_bucket{{subresource="",verb="GET",le="8"}} {self.requests}',
                f'apiserver_request_duration_seconds_bucket{{subresource="",verb="GET",le="+Inf"}} {self.requests}',
                f"process_start_time_seconds {process}",
                "",
            ]
        )

    async def _create(self, request: web.Request) -> web.Response:
        obj = await request.json()
        if obj["metadata"]["name"] in self.objects.get(request.path, {}):
            return refusal(409, "AlreadyExists")
        self.created.append(obj)
        obj["metadata"]["creationTimestamp"] = "2027-01-05T22:00:00Z"
        return web.json_response(self.put(request.path, obj), status=201)

    def _read(self, request: web.Request) -> web.Response:
        collection, _, name = request.path.rpartition("/")
        if (found := self.objects.get(collection, {}).get(name)) is not None:
            return web.json_response(found)
        if not request.path.endswith(("/nodes", "/pods", "/deployments", "/daemonsets")):
            return refusal(404, "NotFound")
        every = list(self.objects.get(request.path, {}).values())
        if selector := request.query.get("labelSelector"):
            name, _, value = selector.partition("=")
            every = [o for o in every if o["metadata"].get("labels", {}).get(name) == value]
        if "limit" not in request.query:
            return web.json_response({"metadata": {"resourceVersion": "1"}, "items": every})
        start = int(request.query.get("continue", "0"))
        meta = {"resourceVersion": "1"} | ({"continue": str(start + PAGE)} if start + PAGE < len(every) else {})
        return web.json_response({"metadata": meta, "items": every[start : start + PAGE]})


@asynccontextmanager
async def serving() -> AsyncIterator[ClusterServer]:
    fake = ClusterServer()
    async with web_server.serving(fake.answer) as fake.url:
        try:
            yield fake
        finally:
            fake.resume()


class Ways:
    """The way to clusters; one that is not there has no kubeconfig."""

    def __init__(self) -> None:
        self._clients: dict[ClusterKey, KubeClient] = {}

    def add(self, server: str, key: ClusterKey = KEY) -> None:
        limits = Limits(connect=5.0, request=10.0, attempts=1)
        self._clients[key] = connect("connect", kubeconfig(server), limits=limits)

    async def client(self, cluster: ClusterKey) -> KubeClient:
        if cluster not in self._clients:
            raise NotFound("read the kubeconfig", "there is no Secret")
        return self._clients[cluster]

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()

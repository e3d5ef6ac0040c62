"""A cloud as one small HTTP server: from Keystone to Cinder, with answers of a test's own."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kaas.openstack.credentials import Credentials

PROJECT = "p" * 32
SECRET = "s3cr3t-of-the-test"
SERVICES = {
    "identity": "/identity/v3",
    "compute": "/compute/v2.1",
    "network": "/network",
    "image": "/image",
    "placement": "/placement",
    "load-balancer": "/load-balancer",
    "block-storage": f"/volume/v3/{PROJECT}",
}
VERSION = {"status": "CURRENT", "min_version": "2.1", "version": "2.96"}

Query = dict[str, list[str]]
Answer = tuple[int, Any]


class Clock:
    """Monotonic seconds that go when they are told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class FakeCloud:
    """What the cloud answers. `answers` and `before` may be changed while it runs.

    answers: path to status and body, or a function of the query.
    before: called with the path before each answer; may wait.
    sent: path and body of what was posted, signing in aside.
    """

    url: str = ""
    services: set[str] = field(default_factory=lambda: set(SERVICES))
    answers: dict[str, Answer | Callable[[Query], Answer]] = field(default_factory=dict)
    before: Callable[[str], None] = lambda path: None
    asked: Counter[str] = field(default_factory=Counter)
    sent: list[tuple[str, Any]] = field(default_factory=list)

    def credentials(self, **changed: Any) -> Credentials:
        auth = {
            "auth_url": f"{self.url}/identity/v3",
            "application_credential_id": "id",
            "application_credential_secret": SECRET,
        }
        cloud = {"auth_type": "v3applicationcredential", "auth": auth, "region_name": "RegionOne", **changed}
        return Credentials(cloud)

    def answer(self, method: str, path: str, query: Query) -> Answer:
        self.asked[f"{method} {path}"] += 1
        self.before(path)
        found = self.answers.get(path)
        if found is None:
            found = self._own(path)
        return found(query) if callable(found) else found

    def _own(self, path: str) -> Answer:
        if path == "/identity/v3/auth/tokens":
            return 201, {"token": self._token()}
        if path.rstrip("/") in {url.rstrip("/") for url in SERVICES.values()}:
            return self._versions(path.rstrip("/"))
        return 404, {"itemNotFound": {"message": f"nothing at {path}"}}

    def _token(self) -> dict[str, Any]:
        catalog = [
            {
                "type": kind,
                "name": kind,
                "endpoints": [
                    {
                        "id": kind,
                        "interface": "public",
                        "region": "RegionOne",
                        "region_id": "RegionOne",
                        "url": self.url + path,
                    }
                ],
            }
            for kind, path in SERVICES.items()
            if kind in self.services
        ]
        return {
            "catalog": catalog,
            "expires_at": "2999-01-01T00:00:00.000000Z",
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "methods": ["application_credential"],
            "project": {"id": PROJECT, "name": "team", "domain": {"id": "default", "name": "Default"}},
            "user": {"id": "u", "name": "u", "domain": {"id": "default", "name": "Default"}},
            "roles": [{"id": "m", "name": "member"}],
            "audit_ids": ["a"],
        }

    def _versions(self, path: str) -> Answer:
        if path in ("/identity/v3", "/compute/v2.1"):
            number = path.rpartition("/")[2]
            return 200, {"version": {**VERSION, "id": number, "links": [{"rel": "self", "href": f"{self.url}{path}/"}]}}
        if path == "/placement":
            own = {"id": "v1.0", "status": "CURRENT", "min_version": "1.0", "max_version": "1.39"}
            return 200, {"versions": [{**own, "links": [{"rel": "self", "href": ""}]}]}
        place = "v2" if path == "/image" else "v2.0"
        return 200, {
            "versions": [{**VERSION, "id": "v2.0", "links": [{"rel": "self", "href": f"{self.url}{path}/{place}/"}]}]
        }


def _handler(cloud: FakeCloud) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = urlsplit(self.path)
            if sent and not parts.path.endswith("/auth/tokens"):
                cloud.sent.append((parts.path, json.loads(sent)))
            status, body = cloud.answer(self.command, parts.path, parse_qs(parts.query))
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.send_header("X-Subject-Token", "token")
            self.send_header("X-Openstack-Request-Id", f"req-{cloud.asked.total()}")
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def running() -> Iterator[FakeCloud]:
    """A cloud on a free port, with something of everything."""
    cloud = FakeCloud(answers=dict(ANSWERS))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(cloud))
    server.daemon_threads = True
    server.block_on_close = False
    cloud.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield cloud
    finally:
        server.shutdown()
        server.server_close()


def _own(query: Query, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wanted = query.get("project_id")
    return [item for item in items if wanted in (None, [item.get("project_id", PROJECT)])]


def _listed(key: str, *items: dict[str, Any]) -> Callable[[Query], Answer]:
    return lambda query: (200, {key: _own(query, list(items))})


def _networks(query: Query) -> Answer:
    external = {"id": "ext", "name": "public", "router:external": True, "project_id": "admin"}
    own = {"id": "own", "name": "team", "router:external": False}
    wanted = query.get("router:external", [""])[0].lower() == "true"
    return 200, {"networks": _own(query, [external] if wanted else [own])}


def _flavor(name: str, vcpus: int, ram: int) -> dict[str, Any]:
    return {"id": name, "name": name, "vcpus": vcpus, "ram": ram, "disk": 40, "extra_specs": {}}


def _detail(limit: int, used: int, reserved: int = 0) -> dict[str, int]:
    return {"limit": limit, "used": used, "reserved": reserved}


_NEUTRON = ("floatingip", "network", "router", "security_group", "port", "subnet")
ANSWERS: dict[str, Answer | Callable[[Query], Answer]] = {
    "/image/v2/images": (
        200,
        {
            "images": [
                {"id": "1", "name": "node-v1.36.1", "status": "active"},
                {"id": "2", "name": "node-v1.36.2", "status": "queued"},
                {"id": "3", "name": "twice", "status": "active"},
                {"id": "4", "name": "twice", "status": "active"},
                {"id": "5", "name": None, "status": "active"},
            ]
        },
    ),
    "/compute/v2.1/flavors/detail": (200, {"flavors": [_flavor("m1.large", 4, 8192), _flavor("g1", 96, 1048576)]}),
    "/compute/v2.1/os-availability-zone": (
        200,
        {
            "availabilityZoneInfo": [
                {"zoneName": "az-1", "zoneState": {"available": True}, "hosts": None},
                {"zoneName": "az-2", "zoneState": {"available": False}, "hosts": None},
            ]
        },
    ),
    "/compute/v2.1/limits": (
        200,
        {
            "limits": {
                "rate": [],
                "absolute": {
                    "maxTotalInstances": 10,
                    "totalInstancesUsed": 3,
                    "maxTotalCores": -1,
                    "totalCoresUsed": 12,
                    "maxTotalRAMSize": 65536,
                    "totalRAMUsed": 24576,
                },
            }
        },
    ),
    "/compute/v2.1/servers": (200, {"servers": [{"id": "a", "name": "a"}, {"id": "b", "name": "b"}]}),
    "/network/v2.0/networks": _networks,
    "/network/v2.0/ports": _listed("ports", {"id": "1"}, {"id": "2"}, {"id": "3", "project_id": "other"}),
    "/network/v2.0/routers": _listed("routers", {"id": "1"}),
    "/network/v2.0/floatingips": _listed("floatingips", {"id": "1"}),
    "/network/v2.0/security-groups": _listed(
        "security_groups", {"id": "1", "name": "default"}, {"id": "2", "name": "team"}
    ),
    f"/network/v2.0/quotas/{PROJECT}/details": (200, {"quota": {name: _detail(10, 2, 1) for name in _NEUTRON}}),
    "/load-balancer/v2.0/lbaas/loadbalancers": _listed("loadbalancers", {"id": "1", "name": "lb"}),
    f"/load-balancer/v2.0/lbaas/quotas/{PROJECT}": (200, {"quota": {"load_balancer": 5}}),
    f"/volume/v3/{PROJECT}/limits": (
        200,
        {"limits": {"rate": [], "absolute": {"maxTotalVolumes": 10, "totalVolumesUsed": 4}}},
    ),
    f"/volume/v3/{PROJECT}/volumes": (200, {"volumes": [{"id": "1", "name": "v"}]}),
}

"""Changes of Clusters by their users, and when they have reached Cluster API's objects, seen from outside."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any

from kaas.api.constants import API_VERSION
from kaas.kube.objects import Object
from tests.bench import fleet
from tests.bench.controllers import until
from tests.e2e.platform import Platform

_PATH = "apis/cluster.x-k8s.io/v1beta2/clusters"
_STAMP = re.compile(r"bench=(s\d+)")
PARALLEL = 4


class Changes:
    """Stamps a pool's labels and watches for the stamp in the Cluster API Cluster. Made by `watching`."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._sent: dict[tuple[str, str], float] = {}
        self._seen: dict[tuple[str, str], float] = {}
        self._stamp = 0

    def send(self, names: Iterable[str], every: float = 0.0) -> None:
        """Change Clusters, one each `every` seconds; returns when the API server has taken all changes."""
        self._stamp += 1
        with ThreadPoolExecutor(PARALLEL) as pool:
            waiting = []
            for name in names:
                waiting.append(pool.submit(self._change, name, f"s{self._stamp}"))
                time.sleep(every)
            for change in waiting:
                change.result()

    def _change(self, name: str, stamp: str) -> None:
        self._sent[(name, stamp)] = time.monotonic()
        pools = [{"name": "web", "flavor": "m1.large", "labels": {"bench": stamp}}]
        meta = {"name": name, "namespace": fleet.NAMESPACE}
        body = {"apiVersion": API_VERSION, "kind": "Cluster", "metadata": meta, "spec": {"nodePools": pools}}
        path = f"apis/{API_VERSION}/namespaces/{fleet.NAMESPACE}/clusters/{name}"
        self._platform.api.request("PATCH", f"{path}?fieldManager=bench&force=true", body)

    def see(self, event: Object) -> None:
        """Note an event of the watch."""
        obj = event["object"]
        if found := _STAMP.search(json.dumps(obj.get("spec"))):
            self._seen.setdefault((obj["metadata"]["name"], found[1]), time.monotonic())

    def latencies(self) -> list[float]:
        """Seconds from each change to its arrival, once all have arrived."""
        until("every change in Cluster API's objects", lambda: self._sent.keys() <= self._seen.keys(), pause=0.02)
        return [self._seen[key] - sent for key, sent in self._sent.items()]

    def clear(self) -> None:
        """Forget what was sent."""
        self._sent.clear()


@contextmanager
def watching(platform: Platform) -> Iterator[Changes]:
    """Watch until the end."""
    changes = Changes(platform)
    version = platform.get(f"{_PATH}?limit=1")["metadata"]["resourceVersion"]
    path = f"{_PATH}?watch=true&resourceVersion={version}"
    answer = until("a watch of Cluster API's Clusters", lambda: _stream(platform, path))

    def read() -> None:
        with suppress(OSError, ValueError):  # closed by us
            for line in answer:
                changes.see(json.loads(line))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield changes
    finally:
        answer.fp.raw._sock.shutdown(socket.SHUT_RDWR)
        reader.join(10)


def _stream(platform: Platform, path: str) -> Any:
    """An open answer that gives lines; None while the API server makes its cache of a new kind."""
    certificates = platform.layout.certificates
    tls = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    tls.load_cert_chain(certificates / "admin.crt", certificates / "admin.key")
    try:
        return urllib.request.urlopen(f"{platform.api.url}/{path}", context=tls, timeout=3600)  # noqa: S310 - https
    except urllib.error.HTTPError as refused:
        if refused.code != HTTPStatus.TOO_MANY_REQUESTS:
            raise
        return None

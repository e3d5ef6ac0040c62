"""Prometheus metrics of the controller, and the port that serves them with the probes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from kaas.runtime.queue import Outcome, Queue

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LAG = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


class Metrics:
    """All metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "kaas_api_requests",
            "Requests to the API server, watches aside",
            ["verb", "kind", "code"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "kaas_api_request_seconds", "Duration of requests", ["verb"], buckets=_FAST, registry=self.registry
        )
        self.reconciles = Counter(
            "kaas_reconciles", "Reconciles that ended", ["feature", "outcome"], registry=self.registry
        )
        self.reconcile_seconds = Histogram(
            "kaas_reconcile_seconds", "Duration of reconciles", ["feature"], buckets=_FAST, registry=self.registry
        )
        self.lag = Histogram(
            "kaas_event_loop_lag_seconds", "Delay of the event loop", buckets=_LAG, registry=self.registry
        )
        self.objects = Gauge("kaas_indexed_objects", "Objects in the index", registry=self.registry)
        self.leading = Gauge("kaas_leading", "1 on the controller that leads", registry=self.registry)
        self._depth = Gauge("kaas_queue_depth", "Keys that wait for a worker", ["feature"], registry=self.registry)
        self._oldest = Gauge(
            "kaas_queue_oldest_seconds", "Age of the key that waits for longest", ["feature"], registry=self.registry
        )
        self._working = Gauge("kaas_queue_working", "Reconciles that run", ["feature"], registry=self.registry)

    def request(self, verb: str, kind: str, code: int, seconds: float) -> None:
        """Count one request: the hook of a KubeClient."""
        self.requests.labels(verb, kind, str(code) if code else "none").inc()
        self.request_seconds.labels(verb).observe(seconds)

    def outcome(self, feature: str) -> Callable[[Outcome], None]:
        """Observer of a feature's queue; `outcome` is `ok` or the class of the exception."""

        def observe(outcome: Outcome) -> None:
            self.reconciles.labels(feature, outcome.error or "ok").inc()
            self.reconcile_seconds.labels(feature).observe(outcome.seconds)

        return observe

    def watch_queue(self, feature: str, queue: Queue[Hashable]) -> None:
        """Have the queue's depth and ages read whenever metrics are asked for."""
        self._depth.labels(feature).set_function(lambda: queue.depth)
        self._oldest.labels(feature).set_function(queue.oldest)
        self._working.labels(feature).set_function(lambda: queue.working)

    def render(self) -> bytes:
        """Everything in the OpenMetrics text format."""
        generate: Any = generate_latest  # not annotated there
        return bytes(generate(self.registry))


class Endpoint:
    """`/metrics`, `/healthz` and `/readyz` over HTTP.

    healthy, ready: give what is wrong, empty when nothing is; the answer is 200 or 503.
    """

    def __init__(self, metrics: Metrics, healthy: Callable[[], str], ready: Callable[[], str]) -> None:
        self._metrics = metrics
        application = web.Application()
        application.add_routes(
            [
                web.get("/metrics", self._serve_metrics),
                web.get("/healthz", _probe(healthy)),
                web.get("/readyz", _probe(ready)),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None)

    async def start(self, port: int, host: str = "127.0.0.1") -> int:
        """Listen; port 0 takes any free one. Returns the port. OSError when it is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Listen no more."""
        await self._runner.cleanup()

    async def _serve_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _probe(wrong: Callable[[], str]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        problem = wrong()
        return web.Response(text=(problem or "ok") + "\n", status=503 if problem else 200)

    return answer

"""A Rollout takes a patch through six Clusters in three stages; one fails and is tried again, one is left out.

The Clusters are in memory. What makes an update fail are the Site's metrics, which the test answers for.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.e2e.platform import Object, Platform, until
from tests.e2e.updating import Updated, release

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

OLD, NEW = "v1.36.1", "v1.36.3"
STAGES = {"canary": ("canary-1",), "test": ("test-1", "test-2"), "rest": ("rest-1", "rest-2", "rest-3")}
MEMBERS = tuple(name for names in STAGES.values() for name in names)
ROLLOUT = "apis/kaas.internal/v1alpha1/rollouts/fleet"
CHECK = {"name": "errors", "timeoutSeconds": 20, "promQL": {"query": "errors/$(cluster)", "atMost": 0.5}}


@dataclass
class Metrics:
    """Answers as Prometheus does. sick: Clusters that have errors; all others have none."""

    sick: set[str] = field(default_factory=set)

    def answer(self, expression: str) -> Object:
        value = "1" if expression.partition("/")[2] in self.sick else "0"
        return {"status": "success", "data": {"resultType": "scalar", "result": [0, value]}}


@pytest.fixture(scope="module")
def metrics() -> Iterator[tuple[Metrics, str]]:
    """What answers, and where."""
    found = Metrics()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            body = json.dumps(found.answer(form["query"][0])).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the standard library
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield found, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@dataclass
class Fleet:
    """Six Clusters, and the Rollout."""

    platform: Platform
    metrics: Metrics
    clusters: dict[str, Updated]

    @property
    def status(self) -> Object:
        found: Object = self.platform.get(ROLLOUT).get("status") or {}
        return found

    def stage(self, name: str) -> Object:
        return next((s for s in self.status.get("stages") or () if s["name"] == name), {})

    def member(self, name: str) -> str:
        """State of a member; empty as long as its stage has not started."""
        members = (m for s in self.status.get("stages") or () for m in s.get("members") or ())
        return str(next((m["state"] for m in members if m["name"] == name), ""))

    def versions(self, *names: str) -> set[str]:
        return {str(self.platform.cluster(name)["status"]["version"]) for name in names}

    def has_stopped(self) -> bool:
        return (self.status.get("state"), self.status.get("reason")) == ("Stopped", "TooManyFailures")

    def fails(self, name: str) -> None:
        """Wait until a member has failed, and the Rollout has stopped because of it."""
        until(f"{name} has failed", lambda: self.member(name) == "Failed")
        until("the Rollout has stopped", self.has_stopped)
        assert f"default/{name}" in self.status["message"]
        stopped = self.clusters[name].update["stopped"]
        assert (stopped["reason"], "errors" in stopped["message"]) == ("VerificationFailed", True)


def _rollout() -> Object:
    stages = [
        {"name": name, "selector": {"matchLabels": {"example.com/stage": name}}, "maxConcurrency": 2} for name in STAGES
    ]
    spec = {"version": NEW, "stages": stages}
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "Rollout", "metadata": {"name": "fleet"}, "spec": spec}


@pytest.fixture(scope="module")
def fleet(dev: Platform, metrics: tuple[Metrics, str]) -> Iterator[Fleet]:
    answers, url = metrics
    spec = {**dev.get("apis/kaas.internal/v1alpha1/sites/dev")["spec"], "metrics": {"url": url}}
    dev.apply({"apiVersion": "kaas.internal/v1alpha1", "kind": "Site", "metadata": {"name": "metered"}, "spec": spec})
    common = {
        "site": "metered",
        "controlPlane": {"replicas": 1, "flavor": "m1.medium"},
        "updates": {"verification": {"checks": [CHECK]}},
    }
    pools = [{"name": "cpu", "flavor": "m1.medium", "replicas": 1}]
    clusters = {
        name: Updated.of(dev, name, pools, labels={"example.com/stage": stage}, **common)
        for stage, names in STAGES.items()
        for name in names
    }
    for cluster in clusters.values():
        cluster.apply(OLD)
    for cluster in clusters.values():
        until(f"{cluster.name} is Ready", cluster.is_ready)
    yield Fleet(dev, answers, clusters)
    dev.api.request("DELETE", ROLLOUT)
    dev.kaas("delete", *clusters, "--wait", "--yes", "--timeout", "30m")


def test_a_rollout_of_six_in_three_stages_with_one_that_fails(fleet: Fleet) -> None:
    fleet.metrics.sick = {"test-2"}
    for cluster in fleet.clusters.values():
        cluster.apply("1.36")
        until(f"{cluster.name} follows its channel", cluster.follows)
    fleet.platform.apply(_rollout())
    until("the Rollout is looked at", lambda: fleet.status.get("state"))
    fleet.platform.apply(release(NEW, f"ubuntu-2404-kube-{NEW}"))
    until("the first stage is through", lambda: fleet.stage("canary").get("state") == "Completed")
    assert fleet.versions("canary-1") == {NEW}

    fleet.fails("test-2")
    until("who had begun is through", lambda: fleet.member("test-1") == "Completed")
    _rest_is_told_why(fleet)

    fleet.metrics.sick = set()
    said = fleet.platform.kaas("rollout", "retry", "fleet", "--reason", "the errors have gone").stdout
    assert "test-2" in said
    until("it is through this time", lambda: fleet.member("test-2") == "Completed")
    until("the second stage is through", lambda: fleet.stage("test").get("state") == "Completed")


def test_who_is_left_out_does_not_keep_the_rollout_from_its_end(fleet: Fleet) -> None:
    until("the last stage has started", lambda: fleet.stage("rest").get("started"))
    fleet.metrics.sick = {"rest-3"}
    fleet.fails("rest-3")
    said = fleet.platform.kaas("rollout", "skip", "fleet", "rest-3", "--reason", "it is taken down next week").stdout
    assert "rest-3" in said
    until("it is Completed", lambda: fleet.status.get("state") == "Completed")
    assert fleet.member("rest-3") == "Skipped"
    others = [name for name in MEMBERS if name != "rest-3"]
    assert {fleet.member(name) for name in others} == {"Completed"}
    assert fleet.versions(*others) == {NEW}
    _went_in_order(fleet)


def _rest_is_told_why(fleet: Fleet) -> None:
    """Members of the stage behind keep their version, and know because of what."""
    for name in STAGES["rest"]:
        cluster = fleet.clusters[name]
        assert "target" not in cluster.update
        found = cluster.explained()
        assert (found["reason"], found["running"]) == ("RolloutPending", OLD)
        assert "Rollout fleet" in found["answer"]
        assert any(way.get("command") == "kaas rollout status fleet" for way in found["ways"])
    assert fleet.versions(*STAGES["rest"]) == {OLD}


def _went_in_order(fleet: Fleet) -> None:
    """No stage started before the one before it was through."""
    stages = fleet.status["stages"]
    assert [s["name"] for s in stages] == list(STAGES)
    assert all(before["finished"] <= after["started"] for before, after in pairwise(stages))
    for stage in stages:
        assert all(stage["started"] <= m["started"] for m in stage["members"])

"""The feature of Rollouts as the controller has it: what wakes whom, and how the metrics of a Site are asked."""

from __future__ import annotations

import base64
import copy
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from kaas.api.parsed import Parsed
from kaas.cli import rolling
from kaas.kube import resources
from kaas.kube.objects import Object, Ref
from kaas.kube.ports import EventType
from kaas.runtime.controller import Services
from kaas.runtime.index import Index
from kaas.runtime.watches import Feed, Subscription
from tests.unit.updates.rollouts.fleet import NOW, rollout, stage
from tests.unit.updates.subjects import raw_cluster, raw_release, raw_site

WINDOW = {"start": "2027-01-04T10:00:00Z", "end": "2027-01-04T20:00:00Z"}


@dataclass
class Platform:
    """The services of a controller, with an API server that is a dictionary."""

    index: Index = field(default_factory=Index)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    secrets: dict[str, Object] = field(default_factory=dict)
    woken: list[Hashable] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    revision: int = 0

    def __post_init__(self) -> None:
        self.client = self.clock = self.events = self.metrics = self
        services = cast("Services", self)
        self.feature = rolling.rollouts(Parsed())
        self.reconciler = self.feature.reconciler(services)
        watches = [*self.feature.watches(services), rolling.waking(services)]
        self.feed = Feed(self.index, [Subscription(w, self.woken.append) for w in watches])

    def now(self) -> datetime:
        return NOW

    async def get(self, ref: Ref) -> Object | None:
        return self.secrets.get(f"{ref.namespace}/{ref.name}")

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        live = self.index.get(resources.ROLLOUT, None, obj["metadata"]["name"]) or {}
        self.seen({**live, "status": obj["status"]})
        return obj

    async def emit(self, about: Object, reason: str, message: str, *, event_type: EventType = "Normal") -> bool:
        self.said.append(reason)
        return True

    def seen(self, obj: Object, kind: str = "MODIFIED") -> None:
        """An event of a watch."""
        self.revision += 1
        found = copy.deepcopy(obj)
        found["metadata"]["resourceVersion"] = str(self.revision)
        resource = resources.find(found["apiVersion"], found["kind"])
        assert resource is not None
        self.feed.event(resource, kind, found)

    def cluster(self, name: str, **status: Any) -> None:
        said = {"version": "v1.36.1", "update": {"nextMaintenance": WINDOW}, **status}
        raw = raw_cluster(name=name, status=said)
        raw["metadata"] |= {"uid": f"uid-{name}", "labels": {"stage": "prod"}}
        self.seen(raw)

    def told(self) -> list[Hashable]:
        found = list(dict.fromkeys(self.woken))
        self.woken.clear()
        return found


@pytest.fixture(name="platform")
def one() -> Platform:
    platform = Platform()
    for raw in (raw_site(metrics={"url": "http://m.example.com", "secret": {"name": "m"}}), raw_release("v1.36.3")):
        platform.seen(raw)
    platform.cluster("one")
    platform.cluster("two")
    platform.told()
    return platform


async def test_who_is_woken(platform: Platform) -> None:
    platform.seen(rollout(stage("prod")).to_json())
    assert set(platform.told()) == {"fleet", ("tenants", "one"), ("tenants", "two")}
    await platform.reconciler.reconcile("fleet")
    assert platform.said == ["RolloutStarted", "StageStarted"]
    assert set(platform.told()) == {("tenants", "one"), ("tenants", "two")}  # and not itself, for what it says
    platform.cluster("one", nodes={"ready": 1, "desired": 2})
    assert platform.told() == []
    platform.cluster("one", version="v1.36.2")
    assert platform.told() == ["fleet"]
    platform.seen(platform.index.list(resources.ROLLOUT)[0], "DELETED")
    assert set(platform.told()) >= {"fleet", ("tenants", "one"), ("tenants", "two")}
    assert await platform.reconciler.reconcile("fleet") is None


@pytest.mark.parametrize(
    ("secret", "token"), [({"token": base64.b64encode(b"s3").decode()}, "s3"), ({}, ""), (None, None)]
)
async def test_metrics_are_asked_with_the_secret_of_the_site(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, secret: Object | None, token: str | None
) -> None:
    asked = []

    async def query(url: str, expression: str, seconds: float, *, token: str, authority: str) -> float:
        asked.append((url, expression, token))
        return 0.001

    monkeypatch.setattr("kaas.updates.verify.answers.query", query)
    if secret is not None:
        platform.secrets["kaas-system/m"] = {"data": secret}
    gate = {"name": "errors", "type": "PromQL", "promQL": {"query": "errors", "atMost": 0.1}}
    platform.seen(rollout(stage("prod", beforeGates=[gate])).to_json())
    await platform.reconciler.reconcile("fleet")
    (found,) = platform.index.list(resources.ROLLOUT)
    if token is None:
        assert "there is no Secret kaas-system/m" in found["status"]["message"]
        assert asked == []
    else:
        assert found["status"]["state"] == "Running"
        assert asked == [("http://m.example.com", "errors", token)]

"""The reconciler: what it writes and tells, what it asks metrics, and what it does with a watch that is behind."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from kaas.api.constants import ROLLOUT_MANAGER
from kaas.api.parsed import Parsed
from kaas.api.rollout import Rollout
from kaas.api.site import Site, SiteMetrics
from kaas.kube import resources
from kaas.kube.errors import KubeError
from kaas.kube.objects import Object
from kaas.kube.ports import EventType
from kaas.runtime.index import Index
from kaas.updates.rollouts.metering import Meter
from kaas.updates.rollouts.metrics import RolloutMetrics
from kaas.updates.rollouts.reconciler import LONGEST, QUIET, Office, RolloutReconciler
from tests.unit.updates.rollouts.fleet import NEW, NOW, OLD, rollout, stage
from tests.unit.updates.subjects import raw_cluster, raw_release, raw_site

WINDOW = {"start": "2027-01-04T10:00:00Z", "end": "2027-01-04T20:00:00Z"}
MADE_OF = ("image", "classRevision", "newestClassRevision")
CLASSES: Object = {
    "classRevision": "class-1",
    "newestClassRevision": {"name": "class-2", "since": "2026-06-01T00:00:00Z"},
}
METRICS = {"metrics": {"url": "http://metrics.example.com"}}


def newer() -> Object:
    """The old version with another image."""
    raw = raw_release(str(OLD), "2026-12-20")
    return {**raw, "metadata": {"name": "newer"}, "spec": {**raw["spec"], "image": "newer"}}


@dataclass
class World:
    """Objects in memory around the real reconciler. blind: the watch does not show what it writes."""

    index: Index = field(default_factory=Index)
    time: datetime = NOW
    writes: list[Object] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    value: float = 1.0
    blind: bool = False
    refuses: bool = False
    parsed: Parsed = field(default_factory=Parsed)
    revision: int = 0

    def __post_init__(self) -> None:
        self.registry = CollectorRegistry()
        self.put(raw_site(**METRICS))
        self.put(raw_release(str(NEW)))
        self.start()

    def start(self) -> None:
        """A new controller."""
        self.registry = CollectorRegistry()
        meter, metrics = Meter(self._query, self._site), RolloutMetrics(self.registry)
        self.reconciler = RolloutReconciler(Office(self.index, self, self, self, meter, metrics, self.parsed))

    def now(self) -> datetime:
        return self.time

    def put(self, obj: Object) -> None:
        self.revision += 1
        found = copy.deepcopy(obj)
        found["metadata"]["resourceVersion"] = str(self.revision)
        self.index.put(found)

    def cluster(self, name: str, version: str = str(OLD), **update: Any) -> None:
        made_of = {field: update.pop(field) for field in MADE_OF if field in update}
        said = {"version": version, "update": {"nextMaintenance": WINDOW, **update}, **made_of}
        raw = raw_cluster(name=name, status=said)
        raw["metadata"] |= {"uid": f"uid-{name}", "labels": {"stage": "prod"}}
        self.put(raw)

    def rollout(self, *stages: Object, **spec: Any) -> None:
        self.put(rollout(*(stages or (stage("prod"),)), **spec).to_json())

    @property
    def status(self) -> Any:
        found = self.index.get(resources.ROLLOUT, None, "fleet")
        assert found is not None
        return found.get("status") or {}

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        assert manager == ROLLOUT_MANAGER
        if self.refuses:
            raise KubeError("apply Rollout", "refused")
        self.writes.append(obj["status"])
        if not self.blind:
            self.put({**(self.index.get(resources.ROLLOUT, None, "fleet") or {}), "status": obj["status"]})
        return obj

    async def emit(self, about: Object, reason: str, message: str, *, event_type: EventType = "Normal") -> bool:
        self.events.append((reason, event_type))
        return True

    async def _query(self, metrics: SiteMetrics, expression: str) -> float | None:
        self.asked.append(f"{metrics.url} {expression}")
        return self.value

    def _site(self, name: str) -> Site | None:
        found = self.index.get(resources.SITE, None, name)
        return Site.model_validate(found) if found else None

    async def look(self, after: float = QUIET) -> float | None:
        self.time += timedelta(seconds=after)
        return await self.reconciler.reconcile("fleet")


async def test_it_says_whose_turn_it_is_and_nothing_more_while_nothing_changes() -> None:
    world = World()
    world.cluster("one")
    world.rollout()
    assert await world.look() is not None
    assert world.status["stages"][0]["members"][0]["state"] == "Pending"
    assert world.events == [("RolloutStarted", "Normal"), ("StageStarted", "Normal")]
    for _ in range(3):
        await world.look()
    assert len(world.writes) == 1
    world.start()
    await world.look()
    assert len(world.writes) == 1
    assert world.registry.get_sample_value("kaas_rollout_members", {"rollout": "fleet", "state": "pending"}) == 1


async def test_it_looks_again_when_a_window_opens() -> None:
    world = World()
    world.cluster("one", nextMaintenance={"start": "2027-01-04T12:20:02Z", "end": "2027-01-04T20:00:00Z"})
    world.rollout()
    assert await world.look() == 1200
    assert await world.look(1200) == 1800  # until then it may begin before another has its turn
    assert world.status["stages"][0]["members"][0]["reason"] == "Released"


async def test_many_changes_at_once_are_one_round() -> None:
    world = World()
    world.cluster("one")
    world.rollout()
    await world.look()
    world.cluster("one", target=str(NEW), began="2027-01-04T12:00:00Z")
    assert await world.look(0.5) == QUIET
    assert world.status["stages"][0]["members"][0]["state"] == "Pending"
    await world.look(1.5)
    assert world.status["stages"][0]["members"][0]["state"] == "Running"


async def test_a_watch_that_is_behind_makes_it_tell_nothing_twice() -> None:
    world = World(blind=True)
    world.cluster("one")
    world.rollout()
    for _ in range(4):
        await world.look()
    assert len(world.events) == 2
    assert len({str(w) for w in world.writes}) == 1


async def test_what_could_not_be_written_is_written_later() -> None:
    world = World(refuses=True)
    world.cluster("one")
    world.rollout()
    with pytest.raises(KubeError):
        await world.look()
    assert world.events == []
    world.refuses = False
    await world.look()
    assert len(world.writes) == 1
    assert len(world.events) == 2


async def test_metrics_are_asked_within_the_round_and_not_for_every_change() -> None:
    world = World(value=0.5)
    world.cluster("one", version=str(NEW))
    gate = {"name": "errors", "type": "PromQL", "promQL": {"query": "errors", "atMost": 0.1}}
    world.rollout(
        stage("prod", beforeGates=[gate, {**gate, "name": "more", "promQL": {"query": "more", "atLeast": 0}}])
    )
    assert await world.look() == 60
    assert await world.look() == 60
    assert world.asked == ["http://metrics.example.com errors"]
    assert "it was 0.5" in world.status["message"]
    world.value = 0.01
    await world.look(60)
    assert world.asked[1:] == ["http://metrics.example.com errors", "http://metrics.example.com more"]
    assert world.status["state"] == "Completed"


async def test_a_channel_is_looked_at_when_a_release_enters_it() -> None:
    world = World()
    world.cluster("one")
    world.put(raw_release("v1.37.0", "2027-01-05"))
    world.rollout(channel="Regular", minor="1.37")
    assert await world.look() == LONGEST
    assert world.status["reason"] == "NoRelease"
    await world.look(12 * 3600)
    assert world.status["version"] == "v1.37.0"


async def test_a_cluster_that_an_older_rollout_has_is_left_to_it() -> None:
    world = World()
    world.cluster("one")
    older = rollout(stage("prod"), name="older", created="2026-01-01T00:00:00Z", version="v1.36.2")
    world.put(older.to_json())
    world.rollout()
    await world.look()
    (member,) = world.status["stages"][0]["members"]
    assert (member["state"], member["reason"]) == ("Skipped", "InOtherRollout")
    assert "older" in member["message"]


async def test_what_an_older_rollout_does_not_carry_is_left_to_a_younger_one() -> None:
    world = World()
    world.cluster("one", image=f"ubuntu-{OLD}", **CLASSES)
    world.put(raw_release(str(OLD)))
    world.put(newer())
    older = rollout(stage("prod"), name="older", created="2026-01-01T00:00:00Z", version=str(NEW))
    world.put(older.to_json())
    world.rollout(version=str(NEW), classRevision="class-2")
    await world.look()
    (member,) = world.status["stages"][0]["members"]
    assert (member["state"], member["leftOut"]) == (
        "Pending",
        [{"kind": "Kubernetes", "reason": "InOtherRollout"}],
    )


async def test_images_are_those_of_releases_and_of_sites() -> None:
    world = World()
    world.cluster("one", image=f"ubuntu-{OLD}", **CLASSES)
    world.put(raw_release(str(OLD)))
    world.put(newer())
    world.rollout(channel="Regular", updates=["NodeImages", "ClassRevision"])
    assert await world.look() is not None
    assert world.status["images"] == [{"version": str(OLD), "image": "newer"}]
    assert world.status["classRevisions"] == ["class-2"]
    assert world.status["brings"] == "node image newer, ClusterClass class-2"
    info = {"rollout": "fleet", "version": "", "brings": world.status["brings"], "state": "Running"}
    info |= {"reason": "Updating", "stage": "prod"}
    assert world.registry.get_sample_value("kaas_rollout_info", info) == 1
    world.put({**raw_site(images=[{"version": str(OLD), "name": "theirs"}])})
    await world.look()
    (member,) = world.status["stages"][0]["members"]
    assert member["leftOut"] == [{"kind": "NodeImages", "reason": "NoImage"}]


async def test_no_run_for_images_begins_while_a_release_cannot_be_read() -> None:
    world = World()
    world.cluster("one", image=f"ubuntu-{OLD}")
    world.put(newer())
    world.rollout(channel="Regular", updates=["NodeImages"])
    world.put(broken("bad", "v1.35.2"))
    await world.look()
    assert (world.status["state"], "Release bad cannot be read" in world.status["message"]) == ("NotStarted", True)


async def test_when_it_is_gone_its_figures_and_what_was_read_of_it_go_too() -> None:
    world = World()
    world.cluster("one")
    world.rollout()
    await world.look()
    found = world.index.get(resources.ROLLOUT, None, "fleet")
    assert found is not None
    world.index.remove(found)
    assert await world.look() is None
    assert not [s for m in world.registry.collect() for s in m.samples if s.labels.get("rollout") == "fleet"]
    with pytest.raises(LookupError):
        world.parsed(_unread, found)


def _unread(_: Object) -> Rollout:
    raise LookupError("it is not known any more")


# --- what cannot be read --------------------------------------------------------------------------------------------


def broken(name: str, text: str) -> Object:
    raw = raw_release(text)
    return {**raw, "metadata": {"name": name}, "spec": {**raw["spec"], "frobs": 1}}


async def test_a_rollout_that_cannot_be_read_is_named_and_others_go_on() -> None:
    world = World()
    world.cluster("one")
    world.rollout()
    bad = rollout(stage("prod"), name="bad", created="2027-01-09T00:00:00Z").to_json()
    world.put({**bad, "spec": {**bad["spec"], "frobs": 1}})
    assert await world.reconciler.reconcile("bad") == LONGEST
    of = {"kind": "Rollout", "name": "bad"}
    assert (world.events, world.registry.get_sample_value("kaas_rollout_unreadable", of)) == (
        [("Unreadable", "Warning")],
        1.0,
    )
    await world.look()
    assert world.status["stages"][0]["members"][0]["reason"] == "Released"
    found = world.index.get(resources.ROLLOUT, None, "bad")
    assert found is not None
    world.index.remove(found)
    assert await world.reconciler.reconcile("bad") is None
    assert world.registry.get_sample_value("kaas_rollout_unreadable", of) is None


async def test_an_older_one_that_cannot_be_read_may_have_the_say() -> None:
    world = World()
    world.cluster("one")
    world.rollout()
    bad = rollout(stage("prod"), name="bad", created="2026-01-01T00:00:00Z").to_json()
    world.put({**bad, "spec": {**bad["spec"], "frobs": 1}})
    await world.look()
    assert world.status["stages"][0]["members"][0]["reason"] == "InOtherRollout"


@pytest.mark.parametrize(("text", "state"), [("v1.36.9", "NotStarted"), ("v1.35.2", "Running"), ("v9", "NotStarted")])
async def test_no_run_of_a_channel_begins_while_its_newest_version_is_not_known(text: str, state: str) -> None:
    world = World()
    world.cluster("one")
    world.rollout(version=None, channel="Regular")
    world.put(broken("bad", text))
    await world.look()
    assert world.status["state"] == state
    assert state == "Running" or "Release bad cannot be read" in world.status["message"]


async def test_no_run_for_images_begins_while_a_site_cannot_be_read() -> None:
    world = World()
    world.cluster("one", image=f"ubuntu-{OLD}")
    world.put(newer())
    world.rollout(channel="Regular", updates=["NodeImages"])
    site = raw_site()
    world.put({**site, "metadata": {"name": "south"}, "spec": {**site["spec"], "frobs": 1}})
    await world.look()
    assert (world.status["state"], "Site south cannot be read" in world.status["message"]) == ("NotStarted", True)


async def test_a_cluster_that_cannot_be_read_stays_as_it_was_seen_last() -> None:
    world = World()
    world.cluster("one")
    world.cluster("two")
    world.rollout()
    await world.look()
    raw = world.index.get(resources.CLUSTER, "tenants", "two")
    assert raw is not None
    world.put({**raw, "spec": {**raw["spec"], "frobs": 1}})
    await world.look(60)
    states = {m["name"]: m["state"] for m in world.status["stages"][0]["members"]}
    assert states == {"one": "Pending", "two": "NotStarted"}

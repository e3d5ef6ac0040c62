"""A Rollout on a real API server: the controller's feature takes it through Clusters whose statuses are played."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kaas_lab.management import Management

from kaas.api.cluster import Cluster
from kaas.api.constants import API_VERSION
from kaas.api.parsed import Parsed
from kaas.api.rollout import ANNOTATION_ROLLOUT_APPROVED, Rollout
from kaas.api.rollout_acts import Act, with_act
from kaas.cli.rolling import rollouts
from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.kube.objects import Object, Ref
from kaas.kube.times import stamp
from kaas.runtime.controller import ControllerSettings, run_controller
from kaas.updates.rollouts.turns import ruling_of
from tests.contract.manifests import GOOD

PATIENCE = 90.0
OLD, NEW = "v1.36.1", "v1.36.3"
SINCE = "2026-07-01T12:00:00Z"
CLASS, BEFORE = "kaas-dev-2", {"image": f"node-{OLD}", "classRevision": "kaas-dev-1"}
IN_USE = dict.fromkeys(("rapid", "regular", "stable"), SINCE)
READY = {"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": SINCE}


async def until(what: str, holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition; the deadline is for a busy machine."""
    end = time.monotonic() + PATIENCE
    while not await holds():
        assert time.monotonic() < end, f"not in {PATIENCE:.0f} s: {what}"
        await asyncio.sleep(0.05)


class Place:
    """A namespace with Clusters, and a Rollout for it."""

    def __init__(self, client: KubeClient, name: str) -> None:
        self.client, self.name = client, name

    async def make(self) -> None:
        await self.client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}})
        release = {"version": NEW, "image": f"node-{NEW}"}
        await self.client.apply({**GOOD["release"], "metadata": {"name": f"{NEW}-{self.name}"}, "spec": release})
        for name, stage in (("one", "canary"), ("two", "prod"), ("three", "prod")):
            meta = {"name": name, "namespace": self.name, "labels": {"stage": stage}}
            spec = {**GOOD["cluster"]["spec"], "version": "1.36", "updates": {}}
            await self.client.apply({**GOOD["cluster"], "metadata": meta, "spec": spec})
            await self.play(name, OLD)

    async def play(self, name: str, version: str, made_of: Object | None = None, **update: Any) -> None:
        """What the other features say of a Cluster."""
        now = datetime.now(UTC)
        window = {"start": stamp(now - timedelta(hours=1)), "end": stamp(now + timedelta(hours=5))}
        status = {"version": version, "conditions": [READY], "update": {"nextMaintenance": window, **update}}
        status |= {"newestClassRevision": {"name": CLASS, "since": SINCE}, **(made_of or BEFORE)}
        meta = {"name": name, "namespace": self.name}
        obj = {"apiVersion": API_VERSION, "kind": "Cluster", "metadata": meta, "status": status}
        await self.client.apply_status(obj, manager="played")

    async def roll(self, **spec: Any) -> None:
        meta = {"name": self.name}
        await self.client.apply({"apiVersion": API_VERSION, "kind": "Rollout", "metadata": meta, "spec": spec})

    async def rollout(self) -> Rollout:
        found = await self.client.get(Ref(API_VERSION, "Rollout", None, self.name))
        assert found is not None
        return Rollout.model_validate(found)

    async def status(self) -> Object:
        found = await self.rollout()
        return found.status.to_json() if found.status else {}

    async def allowed(self) -> list[str]:
        """Clusters that do not run the version yet, and whose turn it is."""
        rollout, found = await self.rollout(), []
        for raw in await self.client.list(resources.CLUSTER, self.name):
            cluster = Cluster.model_validate(raw)
            turn = ruling_of([rollout], cluster, datetime.now(UTC)).kubernetes
            if turn and turn.allowed and cluster.status and cluster.status.version == OLD:
                found.append(cluster.metadata.name)
        return sorted(found)

    async def may(self, name: str) -> tuple[bool | None, bool | None]:
        """Whether the turn of a Cluster has come, for an image and for a class revision; None where nobody decides."""
        raw = await self.client.get(Ref(API_VERSION, "Cluster", self.name, name))
        ruling = ruling_of([await self.rollout()], Cluster.model_validate(raw), datetime.now(UTC))
        assert ruling.kubernetes is None
        image, revision = ruling.image, ruling.class_revision
        return (image.allowed if image else None, revision.allowed if revision else None)


@pytest.fixture(name="place")
async def made(management: Management) -> AsyncIterator[Place]:
    async with await KubeClient.connect(management.kubeconfig) as client:
        place = Place(client, f"r{uuid.uuid4().hex[:8]}")
        await place.make()
        yield place
        await client.delete(Ref(API_VERSION, "Rollout", None, place.name))
        await client.delete(Ref(API_VERSION, "Release", None, f"{NEW}-{place.name}"))


@asynccontextmanager
async def controller(management: Management) -> AsyncIterator[None]:
    """The controller with the feature alone."""
    stop = asyncio.Event()
    settings = ControllerSettings(kubeconfig=management.kubeconfig, leader_election=False, metrics_port=None)
    task = asyncio.create_task(run_controller(settings, [rollouts(Parsed())], stop=stop))
    try:
        yield
    finally:
        stop.set()
        await task


def stages(name: str, **more: Any) -> list[Object]:
    both = [
        {"name": stage, "selector": {"namespaces": [name], "matchLabels": {"stage": stage}}}
        for stage in ("canary", "prod")
    ]
    both[0] |= more
    return both


async def test_two_stages_with_an_approval_and_a_restart_between(management: Management, place: Place) -> None:
    gate = {"name": "seen", "type": "Approval"}
    async with controller(management):
        await place.roll(version=NEW, stages=stages(place.name, afterGates=[gate]))

        async def first() -> bool:
            return await place.allowed() == ["one"]

        await until("the canary's turn", first)
        theirs = {"type": "Theirs", "status": "True", "reason": "Said", "message": "", "lastTransitionTime": SINCE}
        meta = {"name": place.name}
        other = {"apiVersion": API_VERSION, "kind": "Rollout", "metadata": meta, "status": {"conditions": [theirs]}}
        await place.client.apply_status(other, manager="another")
        await place.play("one", OLD, target=NEW, began=stamp(datetime.now(UTC)))

        async def running() -> bool:
            return bool((await place.status()).get("counts", {}).get("running") == 1)

        await until("the canary is seen to be updated", running)
        await place.play("one", NEW, target=NEW)

        async def waits() -> bool:
            return (await place.status()).get("reason") == "WaitsForGate"

        await until("the gate", waits)
        assert await place.allowed() == []

    text = with_act(None, "canary", Act(at=datetime.now(UTC), by="anna"))
    await place.client.patch(
        Ref(API_VERSION, "Rollout", None, place.name),
        {"metadata": {"annotations": {ANNOTATION_ROLLOUT_APPROVED: text}}},
    )
    async with controller(management):
        for _ in range(2):

            async def next_one() -> bool:
                return len(await place.allowed()) == 1

            await until("one more turn", next_one)
            (name,) = await place.allowed()
            await place.play(name, NEW, target=NEW)

        async def through() -> bool:
            return (await place.status()).get("state") == "Completed"

        await until("the end", through)
    status = await place.status()
    assert status["progress"] == "3 of 3"
    assert {c["type"] for c in status["conditions"]} == {"Progressing", "Succeeded", "AnnotationsRead", "Theirs"}
    assert await reasons(place) >= {"RolloutStarted", "StageStarted", "GateWaits", "GateOpened", "RolloutCompleted"}


async def test_an_image_and_a_class_revision_go_together_and_are_written_down(
    management: Management, place: Place
) -> None:
    image = f"newer-{place.name}"
    made_of = {"image": image, "classRevision": CLASS}
    await place.client.apply(
        {**GOOD["release"], "metadata": {"name": image}, "spec": {"version": OLD, "image": image, "channels": IN_USE}}
    )
    both: Object = {"image": image, "classRevision": CLASS}
    async with controller(management):
        await place.roll(**both, stages=stages(place.name))

        async def begun() -> bool:
            return (await place.status()).get("stage") == "canary"

        await until("it begins", begun)
        status = await place.status()
        assert (status["brings"], "version" in status) == (f"node image {image}, ClusterClass {CLASS}", False)
        assert (status["images"], status["classRevisions"]) == ([{"version": OLD, "image": image}], [CLASS])
        assert {n: await place.may(n) for n in ("one", "two")} == {"one": (True, True), "two": (False, False)}

        running = [{"name": "ControlPlane", "state": "Running"}, {"name": "Finished", "state": "Pending"}]
        await place.play("one", OLD, BEFORE | {"classRevision": CLASS}, target=OLD, **both, steps=running)

        async def updated() -> bool:
            return bool((await place.status())["counts"]["running"] == 1)

        await until("its update is seen", updated)
        await place.play("one", OLD, made_of, target=OLD, **both, steps=[{"name": "Finished", "state": "Done"}])
        await place.play("two", OLD, made_of)

        async def others() -> bool:
            return await place.may("three") == (True, True)

        await until("the last one's turn", others)
        await place.play("three", OLD, made_of)

        async def through() -> bool:
            return (await place.status()).get("state") == "Completed"

        await until("the end", through)
    assert (await place.status())["message"] == f"3 of 3 Clusters have node image {image}, ClusterClass {CLASS}"
    await place.client.delete(Ref(API_VERSION, "Release", None, image))


async def reasons(place: Place) -> set[str]:
    """Reasons of the Events about the Rollout."""
    events = await place.client.list(resources.EVENT, "default")
    return {e["reason"] for e in events if e["involvedObject"]["name"] == place.name}


async def test_a_failure_stops_it_and_nothing_is_written_at_rest(management: Management, place: Place) -> None:
    async with controller(management):
        await place.roll(version=NEW, stages=stages(place.name))

        async def first() -> bool:
            return await place.allowed() == ["one"]

        await until("the canary's turn", first)
        failed = {
            "since": stamp(datetime.now(UTC)),
            "step": "ControlPlane",
            "reason": "NoProgress",
            "message": "no machine",
        }
        await place.play("one", OLD, target=NEW, began=stamp(datetime.now(UTC)), stopped=failed)

        async def stopped() -> bool:
            return (await place.status()).get("state") == "Stopped"

        await until("it stops", stopped)
        assert await place.allowed() == ["one"]  # what has begun goes on as its owner wants
        before = await place.rollout()
        await place.play("two", OLD, message="some other words")
        await place.client.patch(Ref(API_VERSION, "Cluster", place.name, "three"), {"metadata": {"labels": {"a": "b"}}})
        await asyncio.sleep(5)
        assert (await place.rollout()).metadata.resource_version == before.metadata.resource_version
    assert json.loads(json.dumps(await place.status()))["halt"]["reason"] == "TooManyFailures"

"""The status of an update on a real API server: beside what others say there, and from its beginning to its end."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from kaas_lab.management import Management
from prometheus_client import CollectorRegistry

from kaas.api.constants import ANNOTATION_UPDATE_RETRY, CONDITION_UPDATES, REPAIR_STATUS_MANAGER
from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.kube.objects import Object, Ref, condition
from kaas.kube.ports import EventType
from kaas.runtime.index import Index
from kaas.updates.metrics import UpdateMetrics
from kaas.updates.reconciler import Office, UpdateReconciler
from kaas.updates.run import Finding, Severity, Verdict
from tests.unit.updates.office import Checks
from tests.unit.updates.subjects import READY, Clock, at, raw_cluster, raw_release, raw_site

OPEN = at("2027-01-05 22:00")
REPAIR = {"unhealthy": 1, "inFlight": 0, "quarantined": 1}
REPAIRS = {**READY, "type": "RepairsAllowed"}


class Played:
    """The reconciler of updates on a real API server; the clusters feature is played."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self.client, self.key = client, (namespace, "team")
        self.clock, self.checks = Clock(OPEN), Checks()
        self.index = Index()
        self.events: list[str] = []
        self.start()

    def start(self) -> None:
        metrics = UpdateMetrics(CollectorRegistry())
        office = Office(self.index, self.client, self.clock, self, metrics, examiner=self.checks)
        self.reconciler = UpdateReconciler(office)

    async def emit(self, about: Object, reason: str, message: str, *, event_type: EventType = "Normal") -> bool:
        self.events.append(reason)
        return True

    async def machines(self, version: str, pools: dict[str, str]) -> None:
        """What the clusters feature says."""
        counts = {"replicas": 1, "ready": 1, "upToDate": 1}
        told = [{"name": n, **counts, "available": 1, "version": v} for n, v in pools.items()]
        status = {"version": version, "controlPlane": counts, "nodePools": told, "conditions": [READY]}
        await self.client.apply_status(self._named(status))

    async def repairs(self) -> None:
        """What the repairs feature says."""
        await self.client.apply_status(
            self._named({"repair": REPAIR, "conditions": [REPAIRS]}), manager=REPAIR_STATUS_MANAGER
        )

    def _named(self, status: Object) -> Object:
        meta = {"namespace": self.key[0], "name": self.key[1]}
        return {"apiVersion": resources.CLUSTER.api_version, "kind": "Cluster", "metadata": meta, "status": status}

    async def cluster(self) -> Object:
        found = await self.client.get(Ref(resources.CLUSTER.api_version, "Cluster", *self.key))
        assert found is not None
        return found

    async def look(self, times: int = 1) -> Object:
        """Look, some seconds apart, each time as the API server has it."""
        for _ in range(times):
            self.index.put(await self.cluster())
            await self.reconciler.reconcile(self.key)
            self.clock.time += timedelta(seconds=6)
        found: Object = (await self.cluster())["status"]
        return found


@pytest.fixture(name="played")
async def one_cluster(management: Management) -> AsyncIterator[Played]:
    namespace = f"u{uuid.uuid4().hex[:8]}"
    async with await KubeClient.connect(management.kubeconfig) as client:
        await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        raw = raw_cluster()
        pools = [{"name": n, "flavor": "cpu-4"} for n in ("cpu", "dgx")]
        plane = {"flavor": "cpu-2", "replicas": 1}
        raw["spec"] |= {"nodePools": pools, "controlPlane": plane}
        raw["metadata"] = {"name": "team", "namespace": namespace}
        raw.pop("status")
        await client.apply(raw)
        played = Played(client, namespace)
        for obj in (raw_site(), raw_release("v1.36.1"), raw_release("v1.36.3")):
            obj["metadata"]["resourceVersion"] = "1"
            played.index.put(obj)
        await played.machines("v1.36.1", {"cpu": "v1.36.1", "dgx": "v1.36.1"})
        await played.repairs()
        yield played


def states(status: Object) -> dict[str, str]:
    return {s["name"]: s["state"] for s in status["update"]["steps"]}


async def test_three_say_what_they_know_and_none_takes_it_from_another(played: Played) -> None:
    status = await played.look()
    assert status["update"]["target"] == "v1.36.3"
    assert status["update"]["waiting"] == ["cpu", "dgx"]
    await played.machines("v1.36.3", {"cpu": "v1.36.1", "dgx": "v1.36.1"})
    await played.repairs()
    status = await played.look(3)
    assert (states(status)["ControlPlane"], states(status)["Pool/cpu"]) == ("Done", "Running")
    assert status["update"]["waiting"] == ["dgx"]
    assert status["repair"] == REPAIR
    assert status["version"] == "v1.36.3"
    cluster = {"status": status}
    assert all(condition(cluster, kind) for kind in ("Ready", "RepairsAllowed", CONDITION_UPDATES))


async def test_from_its_beginning_to_its_end_and_the_next_one(played: Played) -> None:
    played.checks.findings = (Finding("Webhooks", Severity.WARN, "one webhook has no endpoint"),)
    await played.look()
    await played.machines("v1.36.3", {"cpu": "v1.36.3", "dgx": "v1.36.3"})
    status = await played.look(20)
    assert set(states(status).values()) == {"Done", "Skipped"}
    assert "waiting" not in status["update"]
    times = [(s["started"], s["finished"]) for s in status["update"]["steps"] if "started" in s]
    assert times == sorted(times)

    newer = raw_release("v1.36.4")
    newer["metadata"]["resourceVersion"] = "2"
    played.index.put(newer)
    raw = await played.cluster()
    spec = {**raw["spec"], "nodePools": [{"name": "other", "flavor": "cpu-4"}]}
    await played.client.apply({**raw, "spec": spec, "metadata": {"name": "team", "namespace": played.key[0]}})
    played.clock.time = OPEN + timedelta(days=7)
    status = await played.look()
    assert [n for n in states(status) if n.startswith("Pool/")] == ["Pool/other"]
    assert status["update"]["steps"][0]["name"] == "Announced"


async def test_stopped_and_tried_again_by_another_controller(played: Played) -> None:
    await played.look()
    played.checks.verdicts["ControlPlane"] = Verdict(False, "etcd has no leader", ("EtcdHealth",))
    await played.machines("v1.36.3", {"cpu": "v1.36.1", "dgx": "v1.36.1"})
    status = await played.look(3)
    assert status["update"]["stopped"]["reason"] == "VerificationFailed"
    played.start()
    assert (await played.look())["update"]["stopped"] == status["update"]["stopped"]
    played.checks.verdicts.clear()
    patch = {"metadata": {"annotations": {ANNOTATION_UPDATE_RETRY: "etcd was compacted"}}}
    await played.client.patch(Ref(resources.CLUSTER.api_version, "Cluster", *played.key), patch)
    status = await played.look(3)
    assert "stopped" not in status["update"]
    assert status["update"]["retried"]["reason"] == "etcd was compacted"
    assert states(status)["ControlPlane"] == "Done"
    assert played.events == ["UpdateBegun", "UpdateStopped", "UpdateRetried"]


async def test_what_is_rolled_back_is_kept_until_the_update_is_tried_again(played: Played) -> None:
    """Cluster API was never handed the version: what is said of it is found by another controller, and goes."""
    kind, meta = resources.CAPI_CLUSTER, {"namespace": played.key[0], "name": "team", "resourceVersion": "1"}
    topology = {"version": "v1.36.1", "classRef": {"name": "class-1"}, "variables": []}
    there = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, "spec": {"topology": topology}}
    played.index.put(there)
    assert (await played.look())["update"]["before"] == {"version": "v1.36.1"}
    played.clock.time += timedelta(hours=3)
    said = (await played.look())["update"]
    assert said["stopped"]["reason"] == "NoProgress"
    (entry,) = said["rolledBack"]
    assert (entry["what"], entry["from"], entry["to"]) == ("Version", "v1.36.3", "v1.36.1")
    played.start()
    assert (await played.look())["update"]["rolledBack"] == [entry]
    patch = {"metadata": {"annotations": {ANNOTATION_UPDATE_RETRY: "the class is taken up"}}}
    await played.client.patch(Ref(resources.CLUSTER.api_version, "Cluster", *played.key), patch)
    assert "rolledBack" not in (await played.look())["update"]
    assert played.events == ["UpdateBegun", "UpdateStopped", "UpdateRolledBack", "UpdateRetried"]

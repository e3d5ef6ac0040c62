"""Drain, device plugin and quarantine on a real kube-apiserver. No kubelet runs: the tests end Pods as one would."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kaas_lab.management import Management

from kaas.api.constants import LABEL_QUARANTINED
from kaas.api.repair import Action, Step
from kaas.kube.client import KubeClient
from kaas.kube.errors import Unavailable
from kaas.kube.objects import Object, annotation, labels, ref_of
from kaas.kube.resources import EVENT, POD
from kaas.repairs.acts.cordon import CORDONED, node_ref
from kaas.repairs.acts.drain import Drain
from kaas.repairs.acts.eviction import DISRUPTION
from kaas.repairs.acts.plugin import RestartDevicePlugin
from kaas.repairs.acts.quarantine import Quarantine, release
from kaas.repairs.acts.task import ActFailed, Task
from kaas.repairs.facts import ClusterKey, Finding, MachineView, NodeView, Patient
from tests.contract.api_server import ApiServer

STARTED = datetime(2026, 1, 1, 12, tzinfo=UTC)
GRACE = 30  # seconds, of every Pod here


class Ward:
    """A namespace and a node, and what a kubelet and controllers would do with them."""

    def __init__(self, client: KubeClient, server: ApiServer) -> None:
        self.connected = client
        self.server = server
        self.id = uuid.uuid4().hex[:8]
        self.node = f"node-{self.id}"
        self.namespace = f"test-{self.id}"

    async def client(self, cluster: ClusterKey) -> KubeClient:
        assert cluster == ("team-a", "one")
        return self.connected

    def task(self, action: Action = Action.DRAIN, **step: int) -> Task:
        machine = MachineView(
            key=("team-a", "m"),
            uid="u",
            cluster=("team-a", "one"),
            pool=("team-a", "one", "p"),
            site="s",
            zone="",
            created=STARTED,
            node=self.node,
        )
        finding = Finding("XID", STARTED, STARTED, action, "XID 79")
        return Task(Patient(machine, (finding,)), NodeView(self.node), Step(action=action, **step), STARTED, "XID 79")

    async def make_node(self, ready: str = "True") -> None:
        await self.connected.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        await self.connected.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.node}})
        await self.say_ready(ready)

    async def say_ready(self, ready: str) -> None:
        condition = {"type": "Ready", "status": ready}
        await self.connected.patch(node_ref(self.node), {"status": {"conditions": [condition]}}, subresource="status")

    async def read(self) -> Object:
        found = await self.connected.get(node_ref(self.node))
        assert found is not None
        return found

    async def pod(self, name: str, kind: str | None = "ReplicaSet", phase: str = "Running", **meta: Any) -> Object:
        # Of a group that is not served: the garbage collector would end Pods whose owners do not exist.
        owner = {
            "apiVersion": "owners.test/v1",
            "kind": kind,
            "name": "o",
            "uid": str(uuid.uuid4()),
            "controller": True,
        }
        made = await self.connected.create(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "namespace": self.namespace,
                    "labels": {"app": name},
                    "ownerReferences": [owner] if kind else [],
                    **meta,
                },
                "spec": {
                    "nodeName": self.node,
                    "containers": [{"name": "c", "image": "i"}],
                    "terminationGracePeriodSeconds": GRACE,
                },
            }
        )
        ready = {"type": "Ready", "status": "True"}
        status = {"status": {"phase": phase, "conditions": [ready]}}
        return await self.connected.patch(ref_of(made), status, subresource="status")

    async def pods(self) -> dict[str, Object]:
        return {p["metadata"]["name"]: p for p in await self.connected.list(POD, self.namespace)}

    async def ending(self) -> set[str]:
        return {n for n, p in (await self.pods()).items() if p["metadata"].get("deletionTimestamp")}

    async def end(self, *names: str) -> None:
        """Let Pods end, as a kubelet does with those that are asked to."""
        for name in names:
            self.server.call("DELETE", POD.path(self.namespace, name), {"gracePeriodSeconds": 0})

    async def events(self) -> list[tuple[str, str]]:
        found = await self.connected.list(EVENT, self.namespace)
        return sorted((e["reason"], e["involvedObject"]["name"]) for e in found)

    async def budget(self, name: str, allowed: int) -> None:
        """A PodDisruptionBudget as its controller would report it."""
        api = "policy/v1"
        made = await self.connected.create(
            {
                "apiVersion": api,
                "kind": "PodDisruptionBudget",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": name}}},
            }
        )
        status = {
            "observedGeneration": made["metadata"]["generation"],
            "disruptionsAllowed": allowed,
            "currentHealthy": 1,
            "desiredHealthy": 1,
            "expectedPods": 1,
        }
        await self.connected.patch(ref_of(made), {"status": status}, subresource="status")


@pytest.fixture
async def ward(management: Management) -> AsyncIterator[Ward]:
    async with await KubeClient.connect(management.kubeconfig) as client:
        made = Ward(client, ApiServer(management.kubeconfig))
        await made.make_node()
        yield made
        await made.end(*(await made.pods()))
        await client.delete(node_ref(made.node))


def after(seconds: float) -> datetime:
    return STARTED + timedelta(seconds=seconds)


async def test_a_drain(ward: Ward) -> None:
    await ward.pod("web")
    await ward.pod("agent", "DaemonSet")
    await ward.pod("static", "Node")
    await ward.pod("finished", "Job", "Succeeded")
    drain = Drain(ward)
    result = await drain(ward.task(), after(1))
    assert (result.done, await ward.ending()) == (False, {"web"})
    assert f"1 pods are left: {ward.namespace}/web (evicted)" == result.message
    node = await ward.read()
    assert node["spec"]["unschedulable"]
    assert annotation(node, CORDONED) == "XID 79"
    before = node["metadata"]["resourceVersion"], (await ward.pods())["web"]["metadata"]["resourceVersion"]
    again = await drain(ward.task(), after(5))
    assert again.message == f"1 pods are left: {ward.namespace}/web (ending)"
    now = (await ward.read())["metadata"]["resourceVersion"], (await ward.pods())["web"]["metadata"]["resourceVersion"]
    assert now == before, "nothing is begun twice"
    assert await ward.events() == [("EvictedForRepair", "web")]
    await ward.end("web")
    result = await drain(ward.task(), after(9))
    assert (result.done, result.message) == (True, "drained")
    assert set(await ward.pods()) == {"agent", "static", "finished"}
    assert await release(ward.connected, ward.node)
    node = await ward.read()
    assert "unschedulable" not in node["spec"]
    assert annotation(node, CORDONED) is None
    assert not await release(ward.connected, ward.node)


async def test_a_persons_cordon_stays(ward: Ward) -> None:
    await ward.connected.patch(node_ref(ward.node), {"spec": {"unschedulable": True}})
    assert (await Drain(ward)(ward.task(), after(1))).done
    assert not await release(ward.connected, ward.node)
    assert (await ward.read())["spec"]["unschedulable"]


async def test_budgets_are_never_overridden(ward: Ward) -> None:
    await ward.pod("web")
    await ward.budget("web", 0)
    task = ward.task(timeout_seconds=60)
    for seconds in (1, 30):
        result = await Drain(ward)(task, after(seconds))
        assert not result.done
        assert "The disruption budget web needs 1 healthy pods and has 1 currently" in result.message
    result = await Drain(ward)(task, after(60))
    assert result.done
    assert f"1 pods are left: {ward.namespace}/web" in result.message
    assert await ward.ending() == set()


async def test_a_budget_that_allows_one(ward: Ward) -> None:
    await ward.pod("web")
    await ward.budget("web", 1)
    await Drain(ward)(ward.task(), after(1))
    assert await ward.ending() == {"web"}


async def test_who_asks_not_to_be_disrupted_is_told_and_waited_for(ward: Ward) -> None:
    await ward.pod("train", annotations={"kaas.internal/do-not-disrupt": "true"})
    await ward.pod("bare", None)
    task = ward.task(timeout_seconds=600)
    for seconds in (1, 300):
        result = await Drain(ward)(task, after(seconds))
        assert not result.done
        assert f"{ward.namespace}/train (kaas.internal/do-not-disrupt=true)" in result.message
        assert f"{ward.namespace}/bare (no controller)" in result.message
    said = json.loads(annotation((await ward.pods())["train"], DISRUPTION) or "")
    assert said == {"when": "2026-01-01T12:10:00Z", "why": "XID 79", "deadline": "2026-01-01T12:10:00Z"}
    assert await ward.events() == [("DisruptionAhead", "bare"), ("DisruptionAhead", "train")]
    await ward.end("bare")
    result = await Drain(ward)(task, after(600))
    assert result.done
    assert "not drained in time, 1 pods are left" in result.message
    assert await ward.ending() == set()


async def test_jobs_get_notice(ward: Ward) -> None:
    await ward.pod("train", "PyTorchJob")
    drain, task = Drain(ward, job_notice=120), ward.task(timeout_seconds=600)
    await drain(task, after(50))
    said = json.loads(annotation((await ward.pods())["train"], DISRUPTION) or "")
    assert said["when"] == "2026-01-01T12:02:50Z", "a late notice is as long"
    await drain(task, after(169))
    assert await ward.ending() == set()
    await drain(task, after(170))
    assert await ward.ending() == {"train"}
    assert await ward.events() == [("DisruptionAhead", "train"), ("EvictedForRepair", "train")]


async def test_on_a_silent_node_pods_end_with_their_grace_period(ward: Ward) -> None:
    await ward.say_ready("Unknown")
    await ward.pod("web")
    drain, task = Drain(ward), ward.task()
    assert not (await drain(task, after(1))).done
    ends = datetime.fromisoformat((await ward.pods())["web"]["metadata"]["deletionTimestamp"])
    started = ends - timedelta(seconds=1)
    late = Task(task.patient, task.node, task.step, started, task.reason)
    assert not (await drain(late, started)).done
    assert (await drain(late, ends)).done
    await ward.say_ready("True")
    assert not (await drain(late, ends)).done, "a kubelet that speaks has to say that it is gone"


async def test_a_node_that_is_gone_is_drained(ward: Ward) -> None:
    await ward.connected.delete(node_ref(ward.node))
    assert (await Drain(ward)(ward.task(), after(1))).done


async def test_the_device_plugin_is_restarted_once(ward: Ward) -> None:
    plugin: dict[str, Any] = {"labels": {"app": "nvidia-device-plugin-daemonset"}}
    await ward.pod("old", "DaemonSet", **plugin)
    await ward.pod("other", "DaemonSet")
    act, task = RestartDevicePlugin(ward), ward.task(Action.RESTART_DEVICE_PLUGIN)
    assert not (await act(task, after(1))).done
    assert await ward.ending() == {"old"}
    assert not (await act(task, after(5))).done
    await ward.end("old")
    assert (await act(task, after(9))).message == "waits for the new device plugin to run"
    new = await ward.pod("new", "DaemonSet", **plugin)
    await ward.connected.patch(ref_of(new), {"status": {"conditions": []}}, subresource="status")
    assert not (await act(task, after(12))).done
    running = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    await ward.connected.patch(ref_of(new), running, subresource="status")
    assert (await act(task, after(15))).done
    assert await ward.ending() == set(), "the new one is left alone, whatever the clocks say"
    later = Task(task.patient, task.node, task.step, after(3600), "again")
    assert not (await act(later, after(3601))).done
    assert await ward.ending() == {"new"}


async def test_no_device_plugin_to_restart(ward: Ward) -> None:
    act, task = RestartDevicePlugin(ward), ward.task(Action.RESTART_DEVICE_PLUGIN)
    with pytest.raises(ActFailed, match="no device plugin runs"):
        await act(task, after(1))
    await ward.pod("old", "DaemonSet", labels={"name": "nvidia-device-plugin-ds"})
    await ward.say_ready("Unknown")
    with pytest.raises(ActFailed, match="kubelet is not ready"):
        await act(task, after(1))
    assert await ward.ending() == set()


async def test_quarantine_and_release(ward: Ward) -> None:
    other = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
    await ward.connected.patch(node_ref(ward.node), {"spec": {"taints": [other]}})
    await ward.pod("web")
    act, task = Quarantine(ward), ward.task(Action.QUARANTINE)
    assert (await act(task, after(1))).done
    node = await ward.read()
    assert node["spec"]["unschedulable"]
    assert labels(node)[LABEL_QUARANTINED] == "XID"
    assert annotation(node, LABEL_QUARANTINED) == "XID 79"
    ours = {"key": LABEL_QUARANTINED, "value": "XID", "effect": "NoSchedule"}
    assert [t for t in node["spec"]["taints"] if t["key"] in {LABEL_QUARANTINED, "nvidia.com/gpu"}] == [other, ours]
    assert (await act(task, after(5))).done
    assert (await ward.read())["metadata"]["resourceVersion"] == node["metadata"]["resourceVersion"]
    assert await ward.ending() == set(), "what runs is left for forensics"
    assert await release(ward.connected, ward.node)
    node = await ward.read()
    assert "unschedulable" not in node["spec"]
    assert LABEL_QUARANTINED not in labels(node)
    assert annotation(node, LABEL_QUARANTINED) is None
    assert annotation(node, CORDONED) is None
    assert other in node["spec"]["taints"]
    assert LABEL_QUARANTINED not in {t["key"] for t in node["spec"]["taints"]}
    assert not await release(ward.connected, ward.node)


async def test_release_leaves_a_persons_cordon(ward: Ward) -> None:
    await ward.connected.patch(node_ref(ward.node), {"spec": {"unschedulable": True}})
    await Quarantine(ward)(ward.task(Action.QUARANTINE), after(1))
    assert await release(ward.connected, ward.node)
    node = await ward.read()
    assert node["spec"]["unschedulable"]
    assert LABEL_QUARANTINED not in {t["key"] for t in node["spec"].get("taints") or []}


async def test_a_server_that_is_away_is_told_as_it_is(ward: Ward) -> None:
    class Away(Ward):
        async def client(self, cluster: ClusterKey) -> KubeClient:
            raise Unavailable("read the kubeconfig", "no answer")

    away = Away(ward.connected, ward.server)
    for act in (Drain(away), RestartDevicePlugin(away), Quarantine(away)):
        with pytest.raises(Unavailable):
            await act(away.task(), after(1))

"""Nodes of workload clusters, watched on a real kube-apiserver that is restarted and becomes a black hole."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import yaml
from kaas_lab import processes
from kaas_lab.management import Management

from kaas.kube import workloads as module
from kaas.kube.client import KubeClient
from kaas.kube.errors import Unavailable
from kaas.kube.objects import Object
from kaas.kube.workloads import ClusterKey, Patience, Workloads
from kaas.repairs.acts.cordon import node_ref
from kaas.repairs.facts import NodeView
from kaas.repairs.nodeview import node_view
from kaas.runtime.clock import SystemClock
from tests.contract.test_runtime import restart_api_server, until

ONE = ("team-a", "one")
QUICK = Patience(silence=0.5, probe=0.5, page=10.0, quick=0.05, longest=0.5)


@pytest.fixture
async def name(client: KubeClient) -> AsyncIterator[str]:
    """A Node."""
    made = f"node-{uuid.uuid4().hex[:8]}"
    await client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": made}})
    yield made
    await client.delete(node_ref(made))


class Followed:
    """One cluster that is followed, and the names of Nodes that changed."""

    def __init__(self, management: Management, patience: Patience | None = None) -> None:
        self.content = management.kubeconfig.read_bytes()
        self.changed: list[frozenset[str] | None] = []
        self.workloads: Workloads[NodeView] = Workloads(
            self._read, node_view, lambda _, names: self.changed.append(names), SystemClock(), patience=patience
        )
        self.workloads.follow(ONE)

    async def _read(self, cluster: ClusterKey) -> bytes | None:
        return self.content if cluster == ONE else None

    @property
    def clear(self) -> bool:
        return self.workloads.sight(ONE).clear

    def view(self, name: str) -> NodeView | None:
        return self.workloads.nodes(ONE).get(name)


@asynccontextmanager
async def following(management: Management, patience: Patience | None = None) -> AsyncIterator[Followed]:
    made = Followed(management, patience)
    try:
        await until("seen", lambda: made.clear)
        yield made
    finally:
        await made.workloads.close()


async def set_condition(client: KubeClient, name: str, status: str) -> Object:
    stamp = "2026-01-01T00:00:00Z"
    ready = {"type": "Ready", "status": status, "lastTransitionTime": stamp, "lastHeartbeatTime": stamp}
    return await client.patch(node_ref(name), {"status": {"conditions": [ready]}}, subresource="status")


async def test_what_changes_of_a_node_is_seen(management: Management, client: KubeClient, name: str) -> None:
    async with following(management) as it:
        assert it.view(name) == NodeView(name)
        await set_condition(client, name, "False")
        await until("the condition is seen", lambda: bool((v := it.view(name)) and v.conditions))
        assert it.changed[-1] == frozenset({name})
        looked = await it.workloads.look(ONE, name)
        assert looked == it.view(name)
        await client.delete(node_ref(name))
        await until("it is gone", lambda: it.view(name) is None)
        assert await it.workloads.look(ONE, name) is None


async def test_a_black_hole_is_noticed_and_its_end_too(management: Management, client: KubeClient, name: str) -> None:
    state = management.kubeconfig.parent
    pid = next(p for p, called in processes.find(state).items() if called == "kube-apiserver")
    async with following(management, QUICK) as it:
        os.kill(pid, signal.SIGSTOP)
        try:
            await until("out of sight", lambda: not it.clear)
            assert it.view(name) == NodeView(name)
            assert it.workloads.sight(ONE).problem
        finally:
            os.kill(pid, signal.SIGCONT)
        await set_condition(client, name, "False")
        await until("seen again", lambda: it.clear)
        await until("so is what changed meanwhile", lambda: bool((v := it.view(name)) and v.conditions))


async def test_looking_into_a_black_hole(management: Management, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    state = management.kubeconfig.parent
    pid = next(p for p, called in processes.find(state).items() if called == "kube-apiserver")
    async with following(management) as it:
        monkeypatch.setattr(module, "LOOK", 0.3)
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(Unavailable, match="no answer in"):
                await it.workloads.look(ONE, name)
        finally:
            os.kill(pid, signal.SIGCONT)


async def test_nothing_is_missed_over_a_restart(management: Management, client: KubeClient, name: str) -> None:
    async with following(management, QUICK) as it:
        await asyncio.to_thread(restart_api_server, management)
        await set_condition(client, name, "Unknown")
        await until("seen", lambda: it.clear and bool((v := it.view(name)) and v.conditions))
        await set_condition(client, name, "True")
        await until("the watch goes on", lambda: bool((v := it.view(name)) and v.conditions[0].status == "True"))


async def test_a_stranger_is_not_believed(management: Management) -> None:
    """Another authority's server is no sight, and nothing is said to it."""
    content = yaml.safe_load(management.kubeconfig.read_text())
    del content["clusters"][0]["cluster"]["certificate-authority-data"]
    stranger = Followed(management)
    stranger.content = yaml.safe_dump(content).encode()
    try:
        await until("it was tried", lambda: "certificate" in stranger.workloads.sight(ONE).problem.lower())
        assert not stranger.clear
    finally:
        await stranger.workloads.close()

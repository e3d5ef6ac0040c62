"""What preflight asks a real kube-apiserver: tables, budgets, webhooks, metrics, who has written, whom it trusts."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kaas_lab.management import Management

from kaas.api.cluster import Cluster
from kaas.api.constants import API_VERSION, LABEL_POOL
from kaas.api.site import Site
from kaas.api.versions import KubernetesVersion
from kaas.kube import exposition
from kaas.kube.client import KubeClient
from kaas.kube.objects import Object, Ref, ref_of
from kaas.kube.resources import CLUSTER_NAME_LABEL, NODE, POD
from kaas.openstack.clouds import CloudDirectory
from kaas.runtime.index import Index
from kaas.updates.facts import Aims, Change
from kaas.updates.preflight import ask
from kaas.updates.preflight.budgets import TABLE
from kaas.updates.preflight.deprecated import METRIC, deprecated_apis
from kaas.updates.preflight.facts import DeprecatedApi, PreflightFacts, Unknown
from kaas.updates.preflight.gather import Preflight
from kaas.updates.preflight.workload import disruption_budgets
from kaas.updates.run import Case, ClusterKey
from tests.contract.api_server import ApiServer

NOW = datetime.now(UTC)
SITE = {"provider": "dev", "flavors": [{"name": "f"}]}
SPEC = {
    "version": "1.36",
    "site": "lab",
    "controlPlane": {"flavor": "f"},
    "nodePools": [{"name": "cpu", "flavor": "f"}],
}


@dataclass
class Bench:
    """A namespace, a Node of a pool, and a preflight that looks at the API server they are on."""

    client: KubeClient
    server: ApiServer
    asked: Counter[str]
    namespace: str

    @property
    def node(self) -> str:
        return f"node-of-{self.namespace}"

    async def connect(self, key: ClusterKey) -> KubeClient:
        assert key == (self.namespace, "team")
        return self.client

    async def make(self, api: str, kind: str, name: str, **parts: Any) -> Object:
        meta = {"name": name, "namespace": self.namespace, **parts.pop("metadata", {})}
        return await self.client.create({"apiVersion": api, "kind": kind, "metadata": meta, **parts})

    async def facts(self, minor: int = 36) -> PreflightFacts:
        index = Index()
        labels = {CLUSTER_NAME_LABEL: "team", LABEL_POOL: "cpu"}
        meta = {"namespace": self.namespace, "name": "m", "labels": labels}
        status = {"nodeRef": {"name": self.node}, "conditions": [{"type": "Ready", "status": "True"}]}
        index.put({"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Machine", "metadata": meta, "status": status})
        clouds = CloudDirectory()
        preflight = Preflight(self.connect, index, self.client, clouds)
        found = await preflight.facts(self.case(minor), NOW)
        clouds.close()
        return found

    def case(self, minor: int) -> Case:
        own = {"metadata": {"name": "team", "namespace": self.namespace}, "apiVersion": API_VERSION}
        cluster = Cluster.model_validate({**own, "kind": "Cluster", "spec": SPEC})
        site = Site.model_validate({**own, "kind": "Site", "metadata": {"name": "lab"}, "spec": SITE})
        aims = Aims(KubernetesVersion(minor, 99), (Change.PATCH,))
        return Case((self.namespace, "team"), cluster, site, aims, KubernetesVersion(36, 1), pools=("cpu",))


@pytest.fixture
async def bench(management: Management) -> AsyncIterator[Bench]:
    asked: Counter[str] = Counter()

    def count(verb: str, kind: str, code: int, seconds: float) -> None:
        asked[f"{verb} {kind}"] += 1

    async with await KubeClient.connect(management.kubeconfig, hook=count) as client:
        made = Bench(client, ApiServer(management.kubeconfig), asked, f"test-{uuid.uuid4().hex[:8]}")
        await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": made.namespace}})
        node = await client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": made.node}})
        info = {"status": {"nodeInfo": {"kubeletVersion": "v1.36.1"}}}
        await client.patch(ref_of(node), info, subresource="status")
        yield made
        await client.delete(Ref(NODE.api_version, NODE.kind, None, made.node))


async def pod(bench: Bench, name: str, owner: str | None = None) -> None:
    """A Pod on the Node, of an owner of a group that is not served: nobody ends it for being without one."""
    controller = {"apiVersion": "owners.test/v1", "kind": owner, "name": "o", "uid": str(uuid.uuid4())}
    meta: Object = {"labels": {"app": name}}
    if owner:
        meta["ownerReferences"] = [{**controller, "controller": True}]
    spec = {"nodeName": bench.node, "containers": [{"name": "c", "image": "i"}]}
    await bench.make("v1", "Pod", name, metadata=meta, spec=spec)


async def budget(bench: Bench, name: str, allowed: int) -> None:
    """A PodDisruptionBudget as its controller would report it, for one Pod that is well."""
    spec = {"maxUnavailable": allowed, "selector": {"matchLabels": {"app": name}}}
    made = await bench.make("policy/v1", "PodDisruptionBudget", name, spec=spec)
    found = {
        "observedGeneration": made["metadata"]["generation"],
        "disruptionsAllowed": allowed,
        "currentHealthy": 1,
        "desiredHealthy": 1 - allowed,
        "expectedPods": 1,
    }
    await bench.client.patch(ref_of(made), {"status": found}, subresource="status")


async def test_kubelets_come_as_rows_of_a_table(bench: Bench) -> None:
    found = await bench.facts()
    assert not isinstance(found.kubelets, Unknown)
    assert {k.node: k.version for k in found.kubelets}[bench.node] == "v1.36.1"
    answer = await bench.client.read(f"{NODE.path()}?includeObject=None", accept=TABLE)
    assert answer["kind"] == "Table", "a list of Nodes would be fifty times as long"
    assert sum(bench.asked.values()) <= 3 + 1 + 12, bench.asked


async def test_budgets_that_are_never_met(bench: Bench) -> None:
    for name, allowed, owner in (("web", 0, None), ("fine", 1, None), ("agent", 0, "DaemonSet")):
        await pod(bench, name, owner)
        await budget(bench, name, allowed)
    await budget(bench, "nobody", 0)
    found = await bench.facts()
    assert not isinstance(found.budgets, Unknown)
    ours = {b.name: b for b in found.budgets if b.namespace == bench.namespace}
    assert {name: b.nodes for name, b in ours.items()} == {
        "web": frozenset({bench.node}),
        "agent": frozenset(),
        "nobody": frozenset(),
    }
    said = [m.message for m in disruption_budgets(found) if bench.namespace in m.message]
    assert len(said) == 1
    assert f"PodDisruptionBudget {bench.namespace}/web allows no Pod to go (maxUnavailable 0, 1 Pods" in said[0]
    await end(bench)


async def end(bench: Bench) -> None:
    """End Pods as a kubelet would; what is left of budgets would concern other tests."""
    for found in await bench.client.list(POD, bench.namespace):
        name = found["metadata"]["name"]
        bench.server.call("DELETE", POD.path(bench.namespace, name), {"gracePeriodSeconds": 0})
    for found in await bench.client.list(ask.BUDGET, bench.namespace):
        await bench.client.delete(ref_of(found))


async def test_webhooks_and_their_endpoints(bench: Bench) -> None:
    """The webhook is never called: its condition is never true."""
    name = f"guard.{bench.namespace}.example.com"
    hook = {
        "name": name,
        "clientConfig": {"service": {"namespace": bench.namespace, "name": "guard"}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["nodes"]}],
        "matchConditions": [{"name": "never", "expression": "false"}],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    api, kind = "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"
    stored = await bench.client.create(
        {"apiVersion": api, "kind": kind, "metadata": {"name": bench.namespace}, "webhooks": [hook]}
    )
    for endpoints in (0, 1):
        (found,) = [h for h in await hooks(bench) if h.name == name]
        assert (found.endpoints, found.needs, found.conditional, found.seconds) == (endpoints, ("nodes",), True, 10)
        if not endpoints:
            await bench.make(
                "discovery.k8s.io/v1",
                "EndpointSlice",
                "guard-x",
                metadata={"labels": {"kubernetes.io/service-name": "guard"}},
                addressType="IPv4",
                endpoints=[{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
                ports=[{"port": 443}],
            )
    await bench.client.delete(ref_of(stored))


async def hooks(bench: Bench) -> Any:
    found = (await bench.facts()).hooks
    assert not isinstance(found, Unknown)
    return found


async def test_the_servers_own_metrics(bench: Bench) -> None:
    """Endpoints are deprecated and not to be removed: the metric names them, and nothing is found of it."""
    bench.server.call("GET", f"/api/v1/namespaces/{bench.namespace}/endpoints")
    lines = await exposition.lines(bench.client, [METRIC])
    (of_endpoints,) = [line for line in lines if 'resource="endpoints"' in line]
    assert 'removed_release=""' in of_endpoints
    assert deprecated_apis(lines) == (), "what this version serves by itself is not to be removed"
    assert (await bench.facts(minor=37)).deprecated == ()


async def test_who_has_written_with_a_version(bench: Bench) -> None:
    """A version that the server has, as if it were to be removed."""
    meta = {"name": "web", "namespace": bench.namespace}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"maxReplicas": 2, "scaleTargetRef": target}
    scaler = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": meta, "spec": spec}
    await bench.client.apply(scaler, manager="old-client")
    old = DeprecatedApi("autoscaling", "v1", "horizontalpodautoscalers", 37)
    found = await ask.clients_of(bench.client, old)
    assert not isinstance(found, Unknown)
    ours = next(c for c in found if c.name == "old-client")
    assert ours.example == f"{bench.namespace}/web"
    assert ours.last is not None
    assert abs(ours.last - datetime.now(UTC)) < timedelta(minutes=10)


async def test_authorities_that_the_server_trusts(bench: Bench) -> None:
    found = (await bench.facts()).authorities
    known = [a for a in found if not isinstance(a, Unknown)]
    assert known, found
    assert all(a.ends > NOW for a in known)
    assert any(isinstance(a, Unknown) and "team-etcd" in a.why for a in found), "there is no such Secret here"

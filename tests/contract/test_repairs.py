"""Repairs and Cluster API itself: it makes NodeRepairs from our templates; two write one status; `kaas repair`."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from kaas_lab.management import Management
from typer.testing import Result

from kaas.api.cluster import Cluster
from kaas.api.constants import (
    ANNOTATION_CONFIRMED,
    ANNOTATION_PAUSED,
    ANNOTATION_RELEASED,
    ANNOTATION_REPAIR,
    ANNOTATION_REPAIR_REASON,
    ANNOTATION_REPLACED,
    REPAIR_STATUS_MANAGER,
)
from kaas.api.node_repair import NodeRepair
from kaas.api.site import Site
from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.kube.objects import Object, Ref, annotation, ref_of
from kaas.kube.resources import Resource
from kaas.repairs.policy import policies
from kaas.repairs.templates import templates
from kaas.repairs.upkeep import CLONED_FROM, Upkeep
from kaas.runtime.index import Index
from tests.contract.manifests import GOOD
from tests.unit.cli.running import kaas

Run = Callable[..., Coroutine[Any, Any, Result]]
CREATED_SECONDS = 60.0
CAPI = "cluster.x-k8s.io/v1beta2"
SINCE = "2026-07-01T12:00:00Z"
CONDITION = {"status": "True", "reason": "Because", "message": "", "lastTransitionTime": SINCE}
POOL = {"name": "cpu", "flavor": "m1.medium"}


@pytest.fixture(name="client")
async def connected(capi_management: Management) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect(capi_management.kubeconfig) as client:
        yield client


@pytest.fixture(name="run")
def command(capi_management: Management) -> Run:
    async def run(*arguments: str | Path) -> Result:
        """In a thread, for it has an event loop of its own."""
        return await asyncio.to_thread(kaas, "--kubeconfig", capi_management.kubeconfig, "repair", *arguments)

    return run


@pytest.fixture(name="place")
async def namespace(client: KubeClient) -> str:
    """A namespace of its own, with a Cluster `team` of ours, its Site of the same name as the namespace."""
    name = f"r{uuid.uuid4().hex[:8]}"
    await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    site = {**GOOD["site"], "metadata": {"name": name}}
    await client.apply(site)
    spec = {"version": "v1.36.1", "site": name, "controlPlane": {"flavor": "m1.medium"}, "nodePools": [POOL]}
    ours = await client.apply({**GOOD["cluster"], "metadata": {"name": "team", "namespace": name}, "spec": spec})
    subject, where = Cluster.model_validate(ours), Site.model_validate(site)
    for template in templates(subject, policies(subject, where, {})):
        await client.apply(template)
    return name


def capi(kind: str, name: str, namespace: str, spec: Object, **labels: str) -> Object:
    meta = {"name": name, "namespace": namespace, "labels": {"cluster.x-k8s.io/cluster-name": "team", **labels}}
    return {"apiVersion": CAPI, "kind": kind, "metadata": meta, "spec": spec}


def infrastructure(kind: str) -> Object:
    """A reference to what there is not."""
    return {"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": kind, "name": "none"}


@pytest.fixture(name="machine")
async def one_machine(client: KubeClient, place: str) -> Object:
    """A Machine of pool `cpu`, as Cluster API has them, in a Cluster that does not exist yet."""
    spec = {
        "clusterName": "team",
        "bootstrap": {"dataSecretName": "none"},
        "infrastructureRef": infrastructure("DevMachine"),
    }
    made = await client.apply(capi("Machine", "cpu-1", place, spec, **{"kaas.internal/pool": "cpu"}))
    return await client.patch(ref_of(made), {"status": {"nodeRef": {"name": "node-1"}}}, subresource="status")


async def found(client: KubeClient, resource: Resource, namespace: str | None, name: str) -> Object | None:
    return await client.get(Ref(resource.api_version, resource.kind, namespace, name))


async def there(client: KubeClient, resource: Resource, namespace: str | None, name: str) -> Object:
    """The object as soon as it is there."""
    deadline = time.monotonic() + CREATED_SECONDS
    while True:
        obj = await found(client, resource, namespace, name)
        if obj is not None:
            return obj
        assert time.monotonic() < deadline, f"no {resource.kind} {name}"


def noted(obj: Object | None, name: str) -> str | None:
    assert obj is not None
    return annotation(obj, name)


async def test_cluster_api_makes_a_node_repair_from_our_template(
    client: KubeClient, place: str, machine: Object
) -> None:
    await client.apply(capi("Cluster", "team", place, {"infrastructureRef": infrastructure("DevCluster")}))
    remediation = {
        "triggerIf": {"unhealthyLessThanOrEqualTo": "100%"},
        "templateRef": {
            "apiVersion": "kaas.internal/v1alpha1",
            "kind": "NodeRepairTemplate",
            "name": "team.pool.cpu",
        },
    }
    selector = {"matchLabels": {"kaas.internal/pool": "cpu"}}
    check = {"clusterName": "team", "selector": selector, "remediation": remediation}
    await client.apply(capi("MachineHealthCheck", "cpu", place, check))
    await client.patch(ref_of(machine), {"metadata": {"annotations": {"cluster.x-k8s.io/remediate-machine": ""}}})
    repair = await there(client, resources.NODE_REPAIR, place, "cpu-1")
    assert repair["metadata"]["labels"]["cluster.x-k8s.io/cluster-name"] == "team"
    assert [(o["kind"], o["name"]) for o in repair["metadata"]["ownerReferences"]] == [("Machine", "cpu-1")]
    template = await found(client, resources.NODE_REPAIR_TEMPLATE, place, "team.pool.cpu")
    assert template is not None
    assert repair["spec"] == template["spec"]["template"]["spec"]
    assert NodeRepair.model_validate(repair).spec.steps
    assert annotation(repair, CLONED_FROM) == "team.pool.cpu"


async def test_templates_are_written_once_and_go_with_their_pool(client: KubeClient, place: str) -> None:
    store = Index()
    upkeep = Upkeep(store, client)
    live = await found(client, resources.CLUSTER, place, "team")
    where = Site.model_validate(await found(client, resources.SITE, None, place))
    assert live is not None

    async def look(*pools: Object) -> dict[str, str]:
        """Versions of the templates that are there afterwards."""
        ours = Cluster.model_validate({**live, "spec": {**live["spec"], "nodePools": list(pools)}})
        await upkeep.look(ours, policies(ours, where, {}))
        there = await client.list(resources.NODE_REPAIR_TEMPLATE, place)
        for gone in store.list(resources.NODE_REPAIR_TEMPLATE):
            store.remove(gone)
        for template in there:
            store.put(template)
        return {t["metadata"]["name"]: t["metadata"]["resourceVersion"] for t in there}

    written = await look(POOL)
    assert written.keys() == {"team.control-plane", "team.pool.cpu"}
    assert await look(POOL) == await look(POOL) == written
    assert (await look()).keys() == {"team.control-plane"}


async def test_two_write_one_status(client: KubeClient, place: str) -> None:
    """What the one leaves out does not take away what the other said."""
    about = {
        "apiVersion": "kaas.internal/v1alpha1",
        "kind": "Cluster",
        "metadata": {"name": "team", "namespace": place},
    }
    ready = {"phase": "Ready", "version": "v1.36.1", "conditions": [{"type": "Ready", **CONDITION}]}
    repair = {"unhealthy": 1, "inFlight": 1, "quarantined": 0, "pools": [{"name": "", "inFlight": 1, "unhealthy": 1}]}
    theirs = {"repair": repair, "conditions": [{"type": "RepairsAllowed", **CONDITION}]}
    await client.apply_status({**about, "status": ready})
    await client.apply_status({**about, "status": theirs}, manager=REPAIR_STATUS_MANAGER)
    without_version = {k: v for k, v in ready.items() if k != "version"}
    both = (await client.apply_status({**about, "status": without_version}))["status"]
    assert sorted(c["type"] for c in both["conditions"]) == ["Ready", "RepairsAllowed"]
    assert both["repair"] == repair
    assert "version" not in both
    gone = {"conditions": theirs["conditions"]}
    left = (await client.apply_status({**about, "status": gone}, manager=REPAIR_STATUS_MANAGER))["status"]
    assert "repair" not in left
    assert left["phase"] == "Ready"


async def test_asking_for_a_repair(client: KubeClient, run: Run, place: str, machine: Object) -> None:
    result = await run("node-1", "-n", place, "--step", "HardReboot", "--reason", "it hums")
    assert result.exit_code == 0, result.stderr
    assert f"Machine {place}/cpu-1: repair asked for, beginning with HardReboot" in result.stdout
    live = await found(client, resources.MACHINE, place, "cpu-1")
    assert noted(live, ANNOTATION_REPAIR) == "HardReboot"
    assert noted(live, ANNOTATION_REPAIR_REASON) == "it hums"
    assert (await run("-n", place, "cpu-1")).exit_code == 0
    live = await found(client, resources.MACHINE, place, "cpu-1")
    assert (noted(live, ANNOTATION_REPAIR), noted(live, ANNOTATION_REPAIR_REASON)) == ("", None)


async def test_what_cannot_be_asked_for(run: Run, place: str, machine: Object) -> None:
    wrong = await run("cpu-1", "-n", place, "--step", "PowerCycle")
    assert wrong.exit_code == 2
    assert "choose one of Drain, SoftReboot, HardReboot, Replace" in wrong.stderr
    elsewhere = await run("cpu-1", "-n", "kube-public")
    assert elsewhere.exit_code == 3
    assert "there is one with `-n " in elsewhere.stderr
    assert "is not in quarantine" in (await run("release", "cpu-1", "-n", place)).stderr
    assert (await run("confirm", "zone/az-9", "--site", place)).exit_code == 3


async def test_release(client: KubeClient, run: Run, place: str, machine: Object) -> None:
    meta = {"name": "cpu-1", "namespace": place, "labels": {"cluster.x-k8s.io/cluster-name": "team"}}
    repair = {**GOOD["repair"], "metadata": meta}
    await client.apply(repair)
    status = {"phase": "Quarantined", "quarantined": SINCE, "began": SINCE, "cause": "XID", "node": "node-1"}
    await client.apply_status({**repair, "spec": None, "status": status}, manager=REPAIR_STATUS_MANAGER)
    shown = await run("status", "-n", place)
    assert "Quarantined" in shown.stdout, shown.stderr
    assert (await run("release", "node-1", "-n", place, "--reason", "new GPU")).exit_code == 0
    value = noted(await found(client, resources.MACHINE, place, "cpu-1"), ANNOTATION_RELEASED)
    assert value is not None
    assert value.endswith("Z new GPU")


async def test_pause_and_resume(client: KubeClient, run: Run, place: str) -> None:
    assert (await run("pause", "team", "-n", place, "--for", "2h", "--reason", "moving racks")).exit_code == 0
    value = noted(await found(client, resources.CLUSTER, place, "team"), ANNOTATION_PAUSED)
    assert value is not None
    assert value.startswith("until=")
    assert value.endswith(" moving racks")
    assert f"paused  Cluster {place}/team" in (await run("status", "-n", place)).stdout
    assert (await run("resume", "team", "-n", place)).exit_code == 0
    assert noted(await found(client, resources.CLUSTER, place, "team"), ANNOTATION_PAUSED) is None


async def test_resume_forgets_what_did_not_help(client: KubeClient, run: Run, place: str) -> None:
    template = {
        "metadata": {"labels": {"cluster.x-k8s.io/deployment-name": "cpu"}},
        "spec": {
            "clusterName": "team",
            "bootstrap": {"dataSecretName": "none"},
            "infrastructureRef": {
                "apiGroup": "infrastructure.cluster.x-k8s.io",
                "kind": "DevMachineTemplate",
                "name": "x",
            },
        },
    }
    spec = {
        "clusterName": "team",
        "replicas": 0,
        "selector": {"matchLabels": {"cluster.x-k8s.io/deployment-name": "cpu"}},
        "template": template,
    }
    made = await client.apply(capi("MachineDeployment", "cpu", place, spec))
    for words in (("team", "-n", place), ("--site", place)):
        await client.patch(ref_of(made), {"metadata": {"annotations": {ANNOTATION_REPLACED: "[]"}}})
        assert (await run("resume", *words)).exit_code == 0
        assert noted(await found(client, resources.MACHINE_DEPLOYMENT, place, "cpu"), ANNOTATION_REPLACED) is None


async def test_confirm(client: KubeClient, run: Run, place: str) -> None:
    assert (await run("confirm", "zone/az-1", "--site", place, "--for", "1h")).exit_code == 0
    assert (await run("confirm", "host/h1", "--site", place)).exit_code == 0
    value = noted(await found(client, resources.SITE, None, place), ANNOTATION_CONFIRMED)
    assert sorted(json.loads(value or "")) == ["host/h1", "zone/az-1"]


async def test_status_for_programs(run: Run, place: str, machine: Object) -> None:
    assert json.loads((await run("status", "-n", place, "-o", "json")).stdout) == {
        "nodes": [],
        "breakers": [],
        "paused": [],
    }
    told: dict[str, Any] = json.loads((await run("status", "node-1", "-n", place, "-o", "json")).stdout)
    assert (told["machine"], told["node"], told["sick"]) == ("cpu-1", "node-1", None)
    assert [step["action"] for step in told["ladder"]] == ["Drain", "SoftReboot", "HardReboot", "Replace"]
    assert "no sick node" in (await run("status", "-n", place)).stdout

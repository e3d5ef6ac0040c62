"""A whole preflight against an API server and a cloud that answer what they are told, in few requests."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from kaas.kube.client import KubeClient, Limits
from kaas.kube.errors import NotFound, Unavailable
from kaas.kube.objects import Object, Ref
from kaas.openstack.clouds import CloudDirectory
from kaas.openstack.clouds import Limits as CloudLimits
from kaas.runtime.index import Index
from kaas.updates.preflight.ask import ask
from kaas.updates.preflight.facts import PreflightFacts, Unknown
from kaas.updates.preflight.gather import Preflight
from kaas.updates.run import Case, ClusterKey, Report
from tests.unit.kube.node_server import kubeconfig
from tests.unit.openstack.fake_cloud import PROJECT, SECRET, FakeCloud, running
from tests.unit.updates.preflight.cases import FLAVORS, KEY, case, cluster
from tests.unit.updates.preflight.test_read import certificate, machine
from tests.unit.updates.subjects import NOW, site
from tests.unit.web_server import serving

Answer = tuple[int, Any]
CONTROL_PLANE = {"cluster.x-k8s.io/control-plane": ""}
CPU = {"kaas.internal/pool": "cpu"}
READY = ("Ready", "True", "")
METRICS = "\n".join(
    [
        *(f'other{{n="{n}"}} 1' for n in range(2000)),
        'apiserver_requested_deprecated_apis{group="batch",removed_release="1.37",resource="cronjobs",'
        'subresource="",version="v1beta1"} 1',
    ]
)


@dataclass
class Workload:
    """A Cluster's API server: answers by path, 404 for others."""

    answers: dict[str, Answer] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    client: KubeClient | None = None

    async def answer(self, request: web.Request) -> web.Response:
        self.asked[request.path] += 1
        status, body = self.answers.get(request.path, (404, {"kind": "Status", "message": "no such path"}))
        return (
            web.Response(status=status, text=body) if isinstance(body, str) else web.json_response(body, status=status)
        )

    async def connect(self, key: ClusterKey) -> KubeClient:
        if self.client is None:
            raise NotFound("read the kubeconfig", f"there is no Secret {key[1]}-kubeconfig")
        return self.client


@dataclass
class Management:
    """Secrets of the management cluster."""

    secrets: dict[str, Object] = field(default_factory=dict)
    away: bool = False

    async def get(self, ref: Ref) -> Object | None:
        if self.away:
            raise Unavailable(f"get {ref}", "it does not answer")
        return self.secrets.get(ref.name)


def listed(*items: Object) -> Answer:
    return 200, {"kind": "List", "metadata": {"resourceVersion": "1"}, "items": list(items)}


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def table(names: list[str], *cells: list[str]) -> Answer:
    found = [{"cells": list(each), "object": {"metadata": {}}} for each in cells]
    columns = [{"name": name} for name in names]
    return 200, {"kind": "Table", "metadata": {}, "columnDefinitions": columns, "rows": found}


ADMISSION = "/apis/admissionregistration.k8s.io/v1"
HOOK = {
    "name": "h.example.com",
    "clientConfig": {"service": {"namespace": "guard", "name": "hook"}},
    "rules": [{"apiGroups": [""], "operations": ["*"], "resources": ["nodes"]}],
}
BUDGET = {
    "metadata": {"namespace": "shop", "name": "web"},
    "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    "status": {"disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1},
}
WRITTEN = {"metadata": {"name": "nightly", "managedFields": [{"manager": "helm", "apiVersion": "batch/v1beta1"}]}}
DISCOVERED = {"kind": "APIResourceList", "resources": [{"name": "cronjobs", "kind": "CronJob", "namespaced": True}]}
WELL: dict[str, Answer] = {
    "/api/v1/nodes": table(["Name", "Version"], ["master", "v1.36.1"], ["node", "v1.36.1"]),
    "/apis/policy/v1/poddisruptionbudgets": listed(),
    f"{ADMISSION}/validatingwebhookconfigurations": listed(),
    f"{ADMISSION}/mutatingwebhookconfigurations": listed(),
    "/metrics": (200, METRICS),
    "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication": (
        200,
        {"data": {"client-ca-file": certificate("kubernetes", NOW.replace(year=2036)).decode()}},
    ),
}


@pytest.fixture
def cloud() -> Iterator[FakeCloud]:
    with running() as fake:
        yield fake


@pytest.fixture
async def workload(tmp_path: Path) -> AsyncIterator[Workload]:
    fake, file = Workload(dict(WELL)), tmp_path / "kubeconfig"
    async with serving(fake.answer) as url:
        file.write_bytes(kubeconfig(url))
        async with await KubeClient.connect(file, limits=Limits(2.0, 5.0, 1)) as client:
            fake.client = client
            yield fake


@dataclass
class Bench:
    """A preflight, and all that it asks."""

    workload: Workload
    cloud: FakeCloud
    management: Management
    preflight: Preflight
    case: Case

    async def facts(self) -> PreflightFacts:
        return await self.preflight.facts(self.case, NOW)

    async def report(self) -> Report:
        return await self.preflight.report(self.case, NOW)


def observed() -> Index:
    """A control plane of one and a pool of one, both well."""
    index = Index()
    joined = {"nodeRef": {"name": "master"}}
    index.put(machine("m", CONTROL_PLANE, READY, ("EtcdMemberHealthy", "True", ""), status=joined))
    index.put(machine("w", CPU, READY, status={"nodeRef": {"name": "node"}}))
    kind = {"apiVersion": "controlplane.cluster.x-k8s.io/v1beta2", "kind": "KubeadmControlPlane"}
    index.put({**machine("cp", {}, ("EtcdClusterHealthy", "True", "")), **kind})
    return index


@pytest.fixture
async def bench(workload: Workload, cloud: FakeCloud) -> AsyncIterator[Bench]:
    clouds = {
        "clouds": {
            "openstack": {
                "auth_type": "v3applicationcredential",
                "auth": {
                    "auth_url": f"{cloud.url}/identity/v3",
                    "application_credential_id": "id",
                    "application_credential_secret": SECRET,
                },
            }
        }
    }
    etcd = certificate("etcd-ca", NOW.replace(year=2036))
    secrets = {
        "cloud": {"data": {"clouds.yaml": encoded(yaml.safe_dump(clouds).encode())}},
        f"{KEY[1]}-etcd": {"data": {"tls.crt": encoded(etcd)}},
    }
    management = Management(secrets)
    where = site(
        provider="openstack",
        flavors=[*FLAVORS, {"name": "m1.large"}],
        region="RegionOne",
        externalNetwork={"name": "public"},
        credentials={"secret": {"name": "cloud"}},
        images=[{"version": "v1.36.2", "name": "node-v1.36.1"}],
    )
    pools = [{"name": "cpu", "flavor": "m1.large", "replicas": 1}]
    asking = cluster(pools=pools, controlPlane={"flavor": "m1.large", "replicas": 1})
    found = case(asking, where=where, pools=("cpu",))
    found = replace(found, aims=replace(found.aims, image=None))
    directory = CloudDirectory(CloudLimits(call=5.0, overall=20.0))
    yield Bench(workload, cloud, management, Preflight(workload.connect, observed(), management, directory), found)
    directory.close()


def checks(report: Report) -> list[str]:
    return [f"{f.check}: {f.severity}" for f in report.findings]


async def test_all_is_well_but_nobody_may_ask_placement(bench: Bench) -> None:
    report = await bench.report()
    assert checks(report) == ["CapacityForSurge: Warn"], report.findings
    assert "room for flavor m1.large on Site north could not be looked at" in report.findings[0].message
    assert sum(bench.workload.asked.values()) <= 8, bench.workload.asked


async def test_what_the_api_server_says(bench: Bench) -> None:
    answers = bench.workload.answers
    answers["/apis/policy/v1/poddisruptionbudgets"] = listed(BUDGET)
    answers["/api/v1/namespaces/shop/pods"] = table(["Name", "Node"], ["web", "node"])
    answers[f"{ADMISSION}/validatingwebhookconfigurations"] = listed(
        {"metadata": {"name": "guard"}, "webhooks": [HOOK]}
    )
    answers["/apis/discovery.k8s.io/v1/endpointslices"] = listed()
    answers["/apis/batch"] = 200, {"preferredVersion": {"version": "v1"}, "versions": [{"version": "v1beta1"}]}
    answers["/apis/batch/v1"] = 200, DISCOVERED
    answers["/apis/batch/v1/cronjobs"] = listed(WRITTEN)
    bench.case = case(bench.case.cluster, target="v1.37.0", where=bench.case.site, pools=("cpu",))
    found = await bench.facts()
    assert not isinstance(found.budgets, Unknown)
    assert found.budgets[0].nodes == frozenset({"node"})
    assert not isinstance(found.deprecated, Unknown)
    assert not isinstance(found.deprecated[0].clients, Unknown)
    assert [c.name for c in found.deprecated[0].clients] == ["helm"]
    assert not isinstance(found.hooks, Unknown)
    assert found.hooks[0].endpoints == 0
    assert sum(bench.workload.asked.values()) <= 12, bench.workload.asked
    assert "/apis/batch/v1beta1/cronjobs" not in bench.workload.asked, "the question would count as a use"
    blocking = [f.check for f in (await bench.report()).blocking]
    assert blocking == ["ImageActive", "DisruptionBudgets", "RemovedApis", "Webhooks"]


async def test_a_cluster_that_is_away_is_one_finding(bench: Bench) -> None:
    bench.workload.client = None
    report = await bench.report()
    assert checks(report) == ["UnreachableCluster: Block", "CapacityForSurge: Warn"]
    assert "there is no Secret team-kubeconfig" in report.findings[0].message


async def test_a_kubeconfig_that_is_none_counts_as_a_cluster_that_is_away() -> None:
    async def connected() -> KubeClient:
        raise KeyError("value")

    assert (await ask(connected, 36)).away == "its kubeconfig cannot be read ('value')"


async def test_what_one_question_fails_of_is_told_and_does_not_block(bench: Bench) -> None:
    bench.workload.answers |= {
        "/metrics": (403, {"kind": "Status", "message": "no"}),
        "/apis/policy/v1/poddisruptionbudgets": (500, "not found here"),
        f"{ADMISSION}/mutatingwebhookconfigurations": (200, {"strange": True}),
        "/api/v1/nodes": table(["Name"], ["node"]),
    }
    del bench.workload.answers["/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"]
    report = await bench.report()
    assert not report.blocking
    assert {f.check for f in report.findings} == {
        "VersionSkew",
        "CapacityForSurge",
        "DisruptionBudgets",
        "RemovedApis",
        "Webhooks",
        "Certificates",
    }


async def test_a_kind_that_is_not_served_has_no_objects(bench: Bench) -> None:
    del bench.workload.answers["/apis/policy/v1/poddisruptionbudgets"]
    assert (await bench.facts()).budgets == ()


async def test_many_nodes_come_in_pages(bench: Bench) -> None:
    first = table(["Name", "Version"], ["a", "v1.36.1"])
    first[1]["metadata"] = {"continue": "more"}
    pages = iter([first, table(["Name", "Version"], ["b", "v1.36.1"])])
    answers = bench.workload.answers

    class Pages(dict[str, Answer]):
        def get(self, path: str, otherwise: Any = None) -> Any:
            return next(pages) if path == "/api/v1/nodes" else answers.get(path, otherwise)

    bench.workload.answers = Pages()
    found = await bench.facts()
    assert not isinstance(found.kubelets, Unknown)
    assert [k.node for k in found.kubelets] == ["a", "b"]


async def test_a_cloud_that_is_away_is_one_finding(bench: Bench) -> None:
    bench.cloud.answers["/identity/v3/auth/tokens"] = 401, {"error": {"message": "no", "code": 401}}
    report = await bench.report()
    assert checks(report) == ["UnreachableCloud: Block"]
    assert SECRET not in report.findings[0].message


async def test_a_site_without_its_secret(bench: Bench) -> None:
    del bench.management.secrets["cloud"]
    (finding,) = (await bench.report()).findings
    assert finding.check == "UnreachableCloud"
    assert "there is no such Secret" in finding.message


async def test_a_management_cluster_that_does_not_answer(bench: Bench) -> None:
    bench.management.away = True
    assert checks(await bench.report()) == ["UnreachableCloud: Block", "Certificates: Warn"]


async def test_a_service_of_the_cloud_that_does_not_answer(bench: Bench) -> None:
    for path in (f"/network/v2.0/quotas/{PROJECT}/details", "/image/v2/images", "/compute/v2.1/limits"):
        bench.cloud.answers[path] = 403, {"error": {"message": "no"}}
    report = await bench.report()
    assert not report.blocking
    assert [f.check for f in report.findings] == ["ImageActive", "QuotaForSurge", "CapacityForSurge"]
    found = (await bench.facts()).cloud
    assert found is not None
    assert found.network is not None


async def test_placement_that_answers(bench: Bench) -> None:
    bench.cloud.answers["/placement/allocation_candidates"] = 200, {"allocation_requests": [], "provider_summaries": {}}
    report = await bench.report()
    assert checks(report) == ["CapacityForSurge: Block"] * 2
    assert bench.cloud.asked["GET /placement/allocation_candidates"] == 1, "one flavor, one place"


async def test_a_provider_without_a_cloud(bench: Bench) -> None:
    bench.case = case(bench.case.cluster, pools=("cpu",))
    assert checks(await bench.report()) == []
    assert not bench.cloud.asked

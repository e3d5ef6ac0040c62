"""Everything rendered, put to the real webhooks and schemas, and what Cluster API makes of it."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kaas_lab.management import Management

from kaas.api.cluster import Cluster
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.clusters import render
from kaas.clusters.classes import ClassRevision, class_revision, providers
from kaas.clusters.snapshot import Live, Snapshot
from kaas.clusters.target import target
from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.kube.difference import differs, with_applied_hash
from kaas.kube.errors import Invalid
from kaas.kube.objects import is_true, labels, ref_of
from kaas.kube.resources import Resource
from tests.contract.cluster_shapes import RELEASES, SHAPES, SITES, VERSION, cluster

Object = dict[str, Any]

NAMESPACE = "rendered"
DEADLINE = 60.0
POOL = "topology.cluster.x-k8s.io/deployment-name"


async def until(asked: Callable[[], Awaitable[bool]]) -> None:
    """Return once `asked` says so."""
    async with asyncio.timeout(DEADLINE):
        while not await asked():  # noqa: ASYNC110 - the API server has no event to wait for
            await asyncio.sleep(0.1)


@dataclass(frozen=True)
class Rendered:
    """One of our Clusters, and everything that is rendered for it."""

    subject: Cluster
    site: Site
    revision: ClassRevision
    everything: list[Object]

    @property
    def desired(self) -> Object:
        return with_applied_hash(self.everything[-1])


@dataclass(frozen=True)
class Applied:
    """The same, applied."""

    client: KubeClient
    rendered: Rendered

    async def live(self) -> Object:
        found = await self.client.get(ref_of(self.rendered.desired))
        assert found is not None
        return found

    async def is_reconciled(self) -> bool:
        return is_true(await self.live(), "TopologyReconciled")

    async def made(self, resource: Resource) -> list[Object]:
        """Objects of a kind that Cluster API made for this Cluster."""
        selector = f"cluster.x-k8s.io/cluster-name={self.rendered.subject.metadata.name}"
        return await self.client.list(resource, NAMESPACE, selector)

    async def by_pool(self, resource: Resource) -> dict[str, Object]:
        """The same by deployment of the topology; the control plane's under an empty name."""
        return {labels(o).get(POOL, ""): o for o in await self.made(resource)}


Apply = Callable[[str, str], Awaitable[Applied]]
Every = dict[tuple[str, str], Rendered]


@pytest.fixture
async def client(capi_management: Management) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect(capi_management.kubeconfig) as connected:
        yield connected


async def taken_up(client: KubeClient, revision: ClassRevision) -> None:
    """Apply a class as it is rendered; return when Cluster API has taken it up."""
    for obj in revision.objects:
        await client.apply(obj)

    async def asked() -> bool:
        found = await client.get(ref_of(revision.cluster_class))
        return found is not None and is_true(found, "VariablesReady") and is_true(found, "RefVersionsUpToDate")

    await until(asked)


async def render_stored(client: KubeClient, shape: str, site: str) -> Rendered:
    """Store our own Cluster, so that it has a UID, and render it."""
    stored = await client.apply(cluster(shape, site, NAMESPACE))
    subject, place = Cluster.model_validate(stored), Site.model_validate(SITES[site])
    revision = class_revision(place.spec.provider)
    releases = [Release.model_validate(r) for r in RELEASES.values()]
    aim = target(Snapshot(subject, place, releases, revision), place, revision)
    return Rendered(subject, place, revision, render.everything(subject, place, aim, revision))


async def apply_all(kubeconfig: Path) -> Every:
    found: Every = {}
    async with await KubeClient.connect(kubeconfig) as client:
        await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        for provider in providers():
            await taken_up(client, class_revision(provider))
        for shape, site in SHAPES:
            found[(shape, site)] = rendered = await render_stored(client, shape, site)
            for obj in rendered.everything:
                await client.apply(with_applied_hash(obj))
    return found


@pytest.fixture(scope="module")
def every(capi_management: Management) -> Every:
    """Clusters of every shape, everything rendered for them applied. They stay as long as the API server does."""
    return asyncio.run(apply_all(capi_management.kubeconfig))


@pytest.fixture
def applied(client: KubeClient, every: Every) -> Apply:
    """Gives the Cluster of a shape on a Site, once Cluster API has made its parts."""

    async def reconciled(shape: str, site: str) -> Applied:
        made = Applied(client, every[(shape, site)])
        await until(made.is_reconciled)
        return made

    return reconciled


@pytest.mark.parametrize(("shape", "site"), SHAPES)
async def test_everything_is_accepted_and_taken_up(applied: Apply, shape: str, site: str) -> None:
    """Strictly: `KubeClient.apply` refuses unknown fields, and no kind is left out."""
    made = await applied(shape, site)
    live = await made.live()
    assert differs(made.rendered.desired, live) == [], "a second plan would write again"
    names = {POOL} & labels((await made.made(resources.MACHINE_DEPLOYMENT) or [{}])[0]).keys()
    wanted = made.rendered.desired["spec"]["topology"].get("workers", {}).get("machineDeployments", [])
    assert bool(names) is bool(wanted)
    assert (await made.by_pool(resources.MACHINE_DEPLOYMENT)).keys() == {d["name"] for d in wanted}
    (control_plane,) = await made.made(resources.KUBEADM_CONTROL_PLANE)
    assert control_plane["spec"]["replicas"] == made.rendered.subject.spec.control_plane.replicas
    assert control_plane["spec"]["version"] == VERSION
    checks = await made.made(resources.MACHINE_HEALTH_CHECK)
    assert len(checks) == len(wanted) + 1
    assert all(c["spec"]["remediation"]["triggerIf"]["unhealthyLessThanOrEqualTo"] for c in checks)


async def test_applying_a_class_again_changes_nothing(client: KubeClient) -> None:
    """Its templates are immutable; neither kind may get another generation by what webhooks fill in."""
    for provider in providers():
        revision = class_revision(provider)
        await taken_up(client, revision)
        for obj in revision.objects:
            before = await client.get(ref_of(obj))
            assert before is not None
            assert differs(obj, before) == []
            after = await client.apply(obj)
            assert after["metadata"]["generation"] == before["metadata"]["generation"]


async def test_openstack_cluster(applied: Apply) -> None:
    made = await applied("large", "full")
    (found,) = await made.made(resources.OPENSTACK_CLUSTER)
    assert found["spec"] == {
        "identityRef": {
            "type": "ClusterIdentity",
            "name": "kaas-full",
            "cloudName": "openstack",
            "region": "RegionOne",
        },
        "apiServerLoadBalancer": {"enabled": True, "provider": "ovn"},
        "controlPlaneAvailabilityZones": ["az-1", "az-3"],
        "externalNetwork": {"id": "6a4b2f0c-0000-0000-0000-000000000000"},
        "managedSecurityGroups": {"allowAllInClusterTraffic": True},
        "managedSubnets": [{"cidr": "10.7.0.0/24", "dnsNameservers": ["10.0.0.53", "2001:db8::35"]}],
        "tags": [render.owner_tag(made.rendered.subject.metadata.uid or "")],
    }
    network = (await made.live())["spec"]["clusterNetwork"]
    assert (network["pods"]["cidrBlocks"], network["services"]["cidrBlocks"]) == (
        ["10.64.0.0/16"],
        ["10.96.0.0/16"],
    )


async def test_openstack_cluster_of_a_plain_site(applied: Apply) -> None:
    """Without zones Nova chooses; the external network goes by its name; every site's Octavia has amphora."""
    made = await applied("least", "plain")
    (found,) = await made.made(resources.OPENSTACK_CLUSTER)
    assert found["spec"]["externalNetwork"] == {"filter": {"name": "public"}}
    assert found["spec"]["controlPlaneOmitAvailabilityZone"] is True
    assert "controlPlaneAvailabilityZones" not in found["spec"]
    assert found["spec"]["apiServerLoadBalancer"] == {"enabled": True, "provider": "amphora"}
    assert found["spec"]["managedSubnets"] == [{"cidr": "10.6.0.0/24"}]


async def test_machines_of_openstack(applied: Apply) -> None:
    made = await applied("large", "full")
    found = await made.by_pool(resources.OPENSTACK_MACHINE_TEMPLATE)
    image = {"filter": {"name": "site image, with: 'signs' & \"quotes\""}}
    assert {name: o["spec"]["template"]["spec"] for name, o in found.items()} == {
        "": {"flavor": "cpu-2", "image": image},
        "web-az-1": {"flavor": "cpu-4", "image": image},
        "web-az-2": {"flavor": "cpu-4", "image": image},
        "train": {"flavor": "dgx", "image": image},
        "amd": {"flavor": "mi300", "image": image},
    }
    deployments = await made.by_pool(resources.MACHINE_DEPLOYMENT)
    machines = {name: d["spec"]["template"]["spec"] for name, d in deployments.items()}
    assert {n: m.get("failureDomain") for n, m in machines.items()} == {
        "web-az-1": "az-1",
        "web-az-2": "az-2",
        "train": None,
        "amd": None,
    }
    assert {n: d["spec"]["replicas"] for n, d in deployments.items()} == {
        "web-az-1": 2,
        "web-az-2": 1,
        "train": 1,
        "amd": 0,
    }


@pytest.mark.parametrize("site", ["full", "memory"])
async def test_nodes_register_with_labels_and_taints(applied: Apply, site: str) -> None:
    made = await applied("large", site)
    found = await made.by_pool(resources.KUBEADM_CONFIG_TEMPLATE)
    joins = {n: o["spec"]["template"]["spec"]["joinConfiguration"]["nodeRegistration"] for n, o in found.items()}
    arguments = {n: {a["name"]: a["value"] for a in j["kubeletExtraArgs"]} for n, j in joins.items()}
    web = "empty=,example.com/tier=web,kaas.internal/pool=web"
    assert {n: a["node-labels"] for n, a in arguments.items()} == {
        "web-az-1": web,
        "web-az-2": web,
        "train": "kaas.internal/gpu-model=A100-SXM4-40GB,kaas.internal/pool=train,nvidia.com/gpu.present=true",
        "amd": "kaas.internal/gpu-model=AMD-Instinct-MI300X,kaas.internal/pool=amd",
    }
    assert {a["cloud-provider"] for a in arguments.values()} == {"external"}
    assert joins["web-az-1"]["taints"] == [
        {"key": "example.com/only", "value": "web", "effect": "NoExecute"},
        {"key": "bare", "effect": "PreferNoSchedule"},
        {"key": "bare", "effect": "NoSchedule"},
    ]
    assert joins["train"]["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]
    assert "taints" not in joins["amd"]


async def test_gpu_pools_replace_without_a_spare_and_drain_for_long(applied: Apply) -> None:
    made = await applied("large", "full")
    found = await made.by_pool(resources.MACHINE_DEPLOYMENT)
    rolling = {n: d["spec"]["rollout"]["strategy"]["rollingUpdate"] for n, d in found.items()}
    assert rolling["train"] == rolling["amd"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert rolling["web-az-1"] == {"maxSurge": 1, "maxUnavailable": 0}
    drains = {n: d["spec"]["template"]["spec"]["deletion"]["nodeDrainTimeoutSeconds"] for n, d in found.items()}
    assert drains == {"web-az-1": 600, "web-az-2": 600, "train": 0, "amd": 7200}


def with_variable(desired: Object, name: str, value: Any) -> Object:
    changed = copy.deepcopy(desired)
    others = [v for v in changed["spec"]["topology"].get("variables", []) if v["name"] != name]
    changed["spec"]["topology"]["variables"] = [*others, {"name": name, "value": value}]
    changed["metadata"]["name"] += "-wrong"
    return changed


@pytest.mark.parametrize("provider", providers())
async def test_wrong_variable_is_refused_by_name(client: KubeClient, every: Every, provider: str) -> None:
    """Each variable of the class, with a value that no schema takes; and one that there is not."""
    site = "memory" if provider == "dev" else "plain"
    found = every[("least", site)]
    wanted = [v["name"] for v in found.revision.cluster_class["spec"]["variables"]] + ["noSuchVariable"]
    for name in wanted:
        with pytest.raises(Invalid, match=name):
            await client.apply(with_variable(found.desired, name, 17), dry_run=True)


async def test_class_takes_its_templates_along(client: KubeClient) -> None:
    """What the last Cluster of a revision deletes is the class alone: Cluster API owns the templates through it."""
    used = class_revision("dev")
    objects = json.loads(json.dumps(used.objects).replace(used.name, "kaas-dev-spare"))
    revision = ClassRevision("kaas-dev-spare", "dev", tuple(objects))
    await taken_up(client, revision)

    async def owned() -> bool:
        found = [await client.get(ref_of(o)) for o in revision.objects[:-1]]
        return all(o and o["metadata"].get("ownerReferences") for o in found)

    await until(owned)
    await client.delete(ref_of(revision.cluster_class))

    async def all_gone() -> bool:
        return not any([await client.get(ref_of(o)) for o in revision.objects])

    await until(all_gone)


async def test_live_is_enough_to_render_again(applied: Apply) -> None:
    """A Cluster is rendered from what it has: a changed Site moves nothing that was pinned."""
    made = await applied("large", "full")
    live = Live(cluster=await made.live())
    spec = SITES["full"]["spec"] | {"externalNetwork": {"name": "x"}, "loadBalancer": {"provider": "amphora"}}
    changed = Site.model_validate({**SITES["full"], "spec": spec})
    releases = [Release.model_validate(r) for r in RELEASES.values()]
    found = Snapshot(made.rendered.subject, changed, releases, made.rendered.revision, live=live)
    again = render.cluster(made.rendered.subject, changed, target(found, changed, made.rendered.revision), live)
    assert differs(with_applied_hash(again), await made.live()) == []

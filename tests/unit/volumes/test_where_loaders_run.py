"""Where loaders run: beside the Pods that use a volume, and where those that wait for it can follow."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Any

import pytest

from kaas.kube.objects import Object, Ref
from kaas.loader.report import Exit, Reason
from kaas.volumes import terms
from tests.unit.volumes.virtual_api import name_of
from tests.unit.volumes.virtual_cluster import NAMESPACE, VirtualCluster

NOTES = {terms.SOURCE: "s3://models/llama/"}
GPU = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


@pytest.fixture(name="cluster")
def virtual_cluster() -> VirtualCluster:
    found = VirtualCluster()
    found.storage_class()
    return found


def waits(cluster: VirtualCluster, *names: str, **notes: str) -> None:
    """Claims whose volumes are made where their first Pod, or their loader, is to run. notes: annotations `load-*`."""
    more = {terms.PREFIX + key: value for key, value in notes.items()}
    for name in names:
        cluster.claim(name, phase="Pending", notes={**NOTES, **more}, storageClassName="later")


def secret(cluster: VirtualCluster) -> None:
    """What claims with `credentials="keys"` need to be loaded."""
    data = {"AWS_ACCESS_KEY_ID": "QQ==", "AWS_SECRET_ACCESS_KEY": "QQ=="}
    made: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "type": "kaas.internal/aws-credentials"}
    cluster.api.store({**made, "metadata": {"name": "keys", "namespace": NAMESPACE}, "data": data})


def place(cluster: VirtualCluster, claim: str = "data") -> Object:
    """The Pod spec of a claim's Job; empty when there is none."""
    jobs = [j for j in cluster.api.of("Job") if j["metadata"]["ownerReferences"][0]["name"] == claim]
    return dict(jobs[0]["spec"]["template"]["spec"]) if jobs else {}


def required(cluster: VirtualCluster, claim: str = "data") -> list[Object]:
    """Terms of the node affinity that a loader has to fulfil."""
    affinity = place(cluster, claim).get("affinity") or {}
    return list((affinity.get("nodeAffinity") or {}).get(REQUIRED, {}).get("nodeSelectorTerms") or ())


def zones(*names: str) -> Object:
    return {"key": "zone", "operator": "In", "values": list(names)}


def unplaced(cluster: VirtualCluster) -> None:
    """The scheduler finds no node for loaders."""
    cluster.kubernetes()
    entry = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    for pod in cluster.open_loaders():
        cluster.api.store({**pod, "status": {"phase": "Pending", "conditions": [entry]}})


async def later(cluster: VirtualCluster, seconds: float) -> None:
    await cluster.clock.advance(seconds)
    await cluster.settle()


# -- a volume that is made where its first Pod is to run --------------------------------------------------------------


async def test_a_pods_volumes_are_where_it_can_have_all_of_them(cluster: VirtualCluster) -> None:
    cluster.claim("old", phase="Pending", storageClassName="later")
    cluster.bind_in("old", "a")
    waits(cluster, "data")
    other = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
    cluster.pod("app", "data", "old", affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [other]}}})
    await cluster.settle()
    assert required(cluster) == [{"matchExpressions": [*other["matchExpressions"], zones("a")]}]


async def test_a_volume_that_no_watch_has_shown_is_asked_for(cluster: VirtualCluster) -> None:
    cluster.claim("old", phase="Pending", storageClassName="later")
    cluster.bind_in("old", "a")
    cluster.api.late["PersistentVolume"].clear()
    waits(cluster, "data")
    cluster.pod("app", "data", "old")
    await cluster.settle()
    assert required(cluster) == [{"matchExpressions": [zones("a")]}]


@pytest.mark.parametrize("mounted", [("a", "b"), ("b", "a")])
async def test_of_two_volumes_of_a_pod_one_follows_the_other(cluster: VirtualCluster, mounted: tuple[str, ...]) -> None:
    waits(cluster, *mounted)
    cluster.pod("app", *mounted)
    cluster.pod("other", *reversed(mounted))
    await cluster.settle()
    (job,) = cluster.api.of("Job")
    first = job["metadata"]["ownerReferences"][0]["name"]
    (second,) = {"a", "b"} - {first}
    status, reason, message = cluster.told(second)
    assert (status, reason) == ("False", "Pending")
    assert message.startswith(f"waits until claim {first}, which Pod app mounts too, has its volume")
    cluster.bind_in(first, "z")
    await cluster.settle()
    assert required(cluster, second) == [{"matchExpressions": [zones("z")]}]


async def test_one_that_begins_to_wait_later_follows_the_one_that_is_loaded(cluster: VirtualCluster) -> None:
    """Also if it would have been the first of both."""
    waits(cluster, "data")
    cluster.pod("app", "data", "a")
    await cluster.settle()
    waits(cluster, "a")
    await cluster.settle()
    assert "waits until claim data" in cluster.told("a")[2]
    cluster.bind_in("data", "z")
    await cluster.settle()
    assert required(cluster, "a") == [{"matchExpressions": [zones("z")]}]


async def test_one_that_comes_while_the_job_of_another_is_made_follows_that(
    cluster: VirtualCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = cluster.api.get

    async def slowly(ref: Ref) -> Object | None:
        if ref.name == "data" and ("PersistentVolumeClaim", NAMESPACE, "a") not in cluster.api.objects:
            waits(cluster, "a")
            cluster.hear_all()
            await cluster.reconcile(("claim", NAMESPACE, "a"))
        return await get(ref)

    monkeypatch.setattr(cluster.api, "get", slowly)
    waits(cluster, "data")
    cluster.pod("app", "data", "a")
    await cluster.settle()
    assert place(cluster, "data")
    assert not place(cluster, "a")
    assert "waits until claim data" in cluster.told("a")[2]


async def test_a_volume_that_is_made_at_once_is_followed(cluster: VirtualCluster) -> None:
    cluster.storage_class("now", "Immediate")
    cluster.claim("old", phase="Pending", storageClassName="now")
    waits(cluster, "data")
    cluster.pod("app", "data", "old")
    await cluster.settle()
    assert "waits until claim old" in cluster.told()[2]
    cluster.bind_in("old", "a")
    await cluster.settle()
    assert required(cluster) == [{"matchExpressions": [zones("a")]}]


async def test_volumes_that_come_with_the_pod_are_not_waited_for(cluster: VirtualCluster) -> None:
    """A claim that nobody loads, one that cannot be loaded, one that is going, and one that is not there."""
    cluster.claim("a-plain", phase="Pending", storageClassName="later")
    cluster.claim("a-wrong", phase="Pending", notes={terms.SOURCE: "s3:/x"}, storageClassName="later")
    cluster.claim("a-unmade", phase="Pending", notes=NOTES, storageClassName="none")
    waits(cluster, "data")
    cluster.pod("app", "a-plain", "a-wrong", "a-unmade", "a-missing", "data")
    await cluster.settle()
    assert place(cluster)


async def test_a_claim_that_has_failed_is_not_waited_for(cluster: VirtualCluster) -> None:
    waits(cluster, "a")
    cluster.pod("app", "a", "data")
    await cluster.settle()
    cluster.kubernetes()
    await cluster.settle()
    (pod,) = cluster.open_loaders()
    cluster.end(pod, Exit.PERMANENT, Reason.ACCESS_DENIED, "no")
    waits(cluster, "data")
    cluster.kubernetes()
    await cluster.settle()
    assert cluster.told("a")[1] == "AccessDenied"
    assert place(cluster)


@pytest.mark.parametrize("wait", ["true", "false"])
async def test_a_claim_that_cannot_begin_is_not_waited_for_and_follows(cluster: VirtualCluster, wait: str) -> None:
    """Its Secret is not there; the Pod may wait for the other one only."""
    waits(cluster, "a", credentials="keys", wait=wait)
    await cluster.clock.advance(5)
    waits(cluster, "data")
    cluster.pod("app", "a", "data")
    cluster.pod("other", "data")
    await cluster.settle()
    assert cluster.told("a")[2].startswith("Secret keys")
    assert place(cluster)
    secret(cluster)
    await later(cluster, 31)
    assert "waits until claim data" in cluster.told("a")[2]
    cluster.bind_in("data", "z")
    await cluster.settle()
    assert required(cluster, "a") == [{"matchExpressions": [zones("z")]}]


async def test_a_claim_that_could_not_begin_has_its_rank_again_when_its_job_was_there(cluster: VirtualCluster) -> None:
    waits(cluster, "a", credentials="keys")
    cluster.pod("app", "a", "data")
    await cluster.settle()
    secret(cluster)
    await later(cluster, 31)
    (job,) = cluster.api.of("Job")
    cluster.api.drop(name_of(job))
    waits(cluster, "data")
    cluster.hear_all()
    await cluster.reconcile(("claim", NAMESPACE, "data"))
    assert "waits until claim a" in cluster.told()[2]


async def test_a_claim_says_why_the_one_that_it_waits_for_has_no_volume(cluster: VirtualCluster) -> None:
    waits(cluster, "a")
    await cluster.clock.advance(5)
    waits(cluster, "data")
    cluster.pod("app", "a", "data")
    await cluster.settle()
    unplaced(cluster)
    for _ in range(4):
        await later(cluster, 11)
    assert "; claim a: its Pod does not start: 0/3 nodes" in cluster.told()[2]


@pytest.mark.parametrize("seed", range(60))
async def test_whoever_is_seen_first_all_volumes_of_pods_are_in_one_place(seed: int) -> None:
    chance, cluster, names = Random(seed), VirtualCluster(), ["a", "b", "c"]  # noqa: S311 - no secret
    cluster.storage_class()
    needs = {name: {"credentials": "keys"} if chance.random() < 0.3 else {} for name in names}
    makes = [partial(secret, cluster), *(partial(waits, cluster, name, **needs[name]) for name in names)]
    makes += [partial(cluster.pod, pod, *chance.sample(names, 3)) for pod in ("p", "q")]
    chance.shuffle(makes)
    where: dict[str, str] = {}
    while makes or chance.random() < 0.98:
        if makes and chance.random() < 0.2:
            makes.pop()()
        for _ in range(chance.randrange(3)):
            cluster.hear(chance.choice(HEARD))
        await cluster.work(chance.choice)
        _bind_one(cluster, where, chance)
        await cluster.clock.advance(chance.choice((0, 0, 0, 1)))
    for _ in range(60):
        await cluster.settle()
        _bind_one(cluster, where, chance)
        await cluster.clock.advance(3)
    assert set(where) == set(names), "one waits for ever"
    assert len(set(where.values())) == 1, where


HEARD = ("PersistentVolumeClaim", "PersistentVolume", "Pod", "Job", "StorageClass")


def _bind_one(cluster: VirtualCluster, where: dict[str, str], chance: Random) -> None:
    """As the scheduler decides for a loader, and the driver makes the volume there."""
    name = chance.choice(("a", "b", "c"))
    if name in where or not place(cluster, name):
        return
    found = [e["values"][0] for t in required(cluster, name) for e in t["matchExpressions"] if e["key"] == "zone"]
    where[name] = found[0] if found else chance.choice(("x", "y", "z"))
    cluster.bind_in(name, where[name])


@pytest.mark.parametrize("device", ["nvidia.com/gpu", "nvidia.com/mig-1g.10gb"])
async def test_data_of_a_pod_with_gpus_is_made_where_gpus_are(cluster: VirtualCluster, device: str) -> None:
    waits(cluster, "data")
    containers = [{"name": "a"}, {"name": "b", "resources": {"limits": {device: "8", "cpu": "4"}}}]
    cluster.pod("app", "data", tolerations=[GPU], containers=containers)
    await cluster.settle()
    gpus = {"key": "nvidia.com/gpu.present", "operator": "In", "values": ["true"]}
    spec = place(cluster)
    assert spec["affinity"] == {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [gpus]}]}}}
    assert spec["tolerations"] == [GPU]
    assert "nvidia.com" not in str(spec["containers"]), "it takes none of them"


async def test_a_pod_without_gpus_is_followed_wherever_it_may_run(cluster: VirtualCluster) -> None:
    """Nodes with GPUs too: it may be that the Pod's other needs leave no others."""
    waits(cluster, "data")
    cluster.pod("app", "data", tolerations=[GPU], containers=[{"resources": {"requests": {"nvidia.com/gpu": "0"}}}])
    await cluster.settle()
    assert "affinity" not in place(cluster)


# -- a volume that is there -------------------------------------------------------------------------------------------


def keeps_off(spec: Object) -> bool:
    """Whether GPU nodes are taken only when there is no room elsewhere."""
    gpus = {"key": "nvidia.com/gpu.present", "operator": "NotIn", "values": ["true"]}
    preference = {"weight": 100, "preference": {"matchExpressions": [gpus]}}
    return bool(spec["affinity"] == {"nodeAffinity": {PREFERRED: [preference]}})


async def test_where_all_nodes_have_gpus_it_is_loaded_too(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES)
    cluster.pod("app", "data", tolerations=[GPU])
    await cluster.settle()
    assert keeps_off(place(cluster))
    assert place(cluster)["tolerations"] == [GPU], "they may all be tainted"


async def test_a_volume_that_a_pod_uses_is_loaded_beside_it(cluster: VirtualCluster) -> None:
    """Another node does not get it meanwhile."""
    cluster.claim(notes=NOTES)
    cluster.runs("other", "another", node="n1")
    cluster.runs("done", "data", node="n2", phase="Succeeded")
    cluster.runs("app", "data", node="n3", tolerations=[GPU])
    cluster.pod("next", "data", nodeSelector={"zone": "a"})
    await cluster.settle()
    node = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n3"]}]}
    assert place(cluster)["affinity"] == {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [node]}}}
    assert place(cluster)["tolerations"] == [GPU]
    assert "nodeSelector" not in place(cluster)


async def test_a_pod_that_runs_counts_more_than_one_that_waits_for_the_volume(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES)
    cluster.runs("stuck", "data", node="n1", phase="Pending")
    cluster.runs("app", "data", node="n2")
    await cluster.settle()
    assert required(cluster) == [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}]


async def test_a_pod_that_ends_just_now_is_not_followed(cluster: VirtualCluster) -> None:
    """Its node is perhaps on its way out too."""
    cluster.claim(notes=NOTES)
    cluster.runs("app", "data", node="n1")
    cluster.api.objects["Pod", NAMESPACE, "app"]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    await cluster.settle()
    assert keeps_off(place(cluster))


async def test_a_volume_of_many_nodes_is_loaded_anywhere(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES, accessModes=["ReadWriteMany"])
    cluster.runs("app", "data", node="n1")
    await cluster.settle()
    assert keeps_off(place(cluster))


async def test_a_volume_of_one_pod_is_loaded_when_that_has_ended(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES, accessModes=["ReadWriteOncePod"])
    cluster.runs("app", "data", node="n1")
    await cluster.settle()
    assert not place(cluster)
    assert cluster.told()[1] == "Pending"
    assert cluster.told()[2].startswith("Pod app uses it, and ReadWriteOncePod lets no other one in: it is loaded when")
    cluster.api.drop(("Pod", NAMESPACE, "app"))
    await cluster.clock.advance(31)
    await cluster.settle()
    assert keeps_off(place(cluster))


async def test_of_many_claims_that_begin_at_once_one_asks_which_pods_run(cluster: VirtualCluster) -> None:
    for number in range(5):
        cluster.claim(f"c{number}", notes=NOTES)
    cluster.runs("app", "c3", node="n1")
    await cluster.settle()
    assert len(cluster.api.of("Job")) == 5
    assert len(required(cluster, "c3")) == 1
    assert cluster.api.calls.count(("list", "Pod")) == 2, "the sweep's among them"


async def test_a_pod_that_was_just_freed_is_seen_by_the_next_load(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES)
    cluster.pod("app", "data")
    await cluster.settle()
    cluster.kubernetes()
    (pod,) = cluster.open_loaders()
    cluster.end(pod)
    await cluster.settle()
    assert not cluster.gated("app")
    cluster.runs("app", "data", node="n1")
    cluster.annotate("data", id="2")
    await cluster.settle()
    assert len(required(cluster)) == 1


async def test_where_it_is_used_is_asked_once(cluster: VirtualCluster) -> None:
    """All calls of a load, but the sweep's."""
    cluster.claim(notes={**NOTES, terms.CREDENTIALS: "keys"})
    secret(cluster)
    cluster.pod("app", "data")
    await cluster.settle()
    cluster.kubernetes()
    (pod,) = cluster.open_loaders()
    cluster.running(pod)
    await cluster.settle()
    cluster.end(pod)
    await cluster.settle()
    assert not cluster.gated("app")
    calls = list(cluster.api.calls)
    calls.remove(("list", "Pod"))  # the sweep's
    assert calls.count(("list", "Pod")) == 1
    assert len(calls) <= 10, calls

"""A Cluster changes, its controller is killed, and others interfere: on the in-memory provider."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.platform import Object, Platform, until

pytestmark = pytest.mark.e2e

NAME = "changing"
CAPI_CLUSTERS = "apis/cluster.x-k8s.io/v1beta2/namespaces/default/clusters"
MACHINES = "apis/cluster.x-k8s.io/v1beta2/namespaces/default/machines"
DEPLOYMENTS = "apis/cluster.x-k8s.io/v1beta2/namespaces/default/machinedeployments"
CLASSES = "apis/cluster.x-k8s.io/v1beta2/namespaces/kaas-system/clusterclasses"
CONTROL_PLANES = "apis/controlplane.cluster.x-k8s.io/v1beta2/namespaces/default/kubeadmcontrolplanes"
INFRASTRUCTURE = "apis/infrastructure.cluster.x-k8s.io/v1beta2/namespaces/default/devclusters"
OURS = ("clusters", "sites", "releases")
OWNER = "cluster.x-k8s.io/cluster-name"


def cluster(name: str, *pools: Object, version: str = "v1.36.1") -> Object:
    spec = {
        "version": version,
        "site": "dev",
        "controlPlane": {"replicas": 1, "flavor": "m1.medium"},
        "nodePools": list(pools),
    }
    meta = {"name": name, "namespace": "default"}
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "Cluster", "metadata": meta, "spec": spec}


def pool(name: str = "cpu", replicas: int = 1, **more: Any) -> Object:
    return {"name": name, "flavor": "m1.large", "replicas": replicas, **more}


def is_settled(dev: Platform, name: str) -> bool:
    """Whether the Cluster is Ready in its newest generation."""
    found = dev.cluster(name)
    status = found.get("status", {})
    newest = status.get("observedGeneration") == found.get("metadata", {}).get("generation")
    return bool(newest and status.get("phase") == "Ready")


def settle(dev: Platform, name: str) -> Object:
    until(f"{name} is Ready", lambda: is_settled(dev, name))
    status: Object = dev.cluster(name)["status"]
    return status


def make(dev: Platform, wanted: Object) -> Object:
    dev.apply(wanted)
    return settle(dev, wanted["metadata"]["name"])


def remove(dev: Platform, *names: str) -> None:
    for name in names:
        dev.kaas("delete", name, "--wait", "--yes", "--timeout", "30m")


def capi(dev: Platform, name: str) -> Object:
    return dev.get(f"{CAPI_CLUSTERS}/{name}")


def workers_wanted(dev: Platform, name: str) -> dict[str, int]:
    """Replicas by MachineDeployment in the Cluster API Cluster."""
    found = capi(dev, name).get("spec", {}).get("topology", {}).get("workers", {}).get("machineDeployments") or []
    return {d["name"]: d["replicas"] for d in found}


def left_of(dev: Platform, name: str) -> list[str]:
    """What Cluster API still has of a Cluster."""
    kinds = (CAPI_CLUSTERS, MACHINES, DEPLOYMENTS, CONTROL_PLANES, INFRASTRUCTURE)
    found = [o["metadata"] for kind in kinds for o in dev.items(kind)]
    return [m["name"] for m in found if m["name"] == name or (m.get("labels") or {}).get(OWNER) == name]


@pytest.fixture(scope="module")
def changing(dev: Platform) -> Iterator[Platform]:
    """A Cluster that the tests change, each from whatever the one before has left."""
    make(dev, cluster(NAME, pool()))
    yield dev
    remove(dev, NAME)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param([pool()], [pool(replicas=2)], id="more replicas"),
        pytest.param([pool(replicas=2)], [pool()], id="fewer replicas"),
        pytest.param([pool()], [pool(), pool("more")], id="a new pool"),
        pytest.param([pool(), pool("more")], [pool()], id="a pool less"),
        pytest.param([pool()], [pool(labels={"team.example.com/tier": "web"})], id="labels"),
        pytest.param([pool()], [pool("renamed")], id="a pool in place of another", marks=pytest.mark.slow),
    ],
)
def test_a_change_is_one_write(changing: Platform, before: list[Object], after: list[Object]) -> None:
    make(changing, cluster(NAME, *before))
    written = changing.written()
    status = make(changing, cluster(NAME, *after))
    assert changing.written()["apply Cluster"] - written["apply Cluster"] == 1
    wanted = Counter({"apply Cluster": 1}) + _templates(before, after)
    until("as many writes as that takes", lambda: (changing.written() - written).total() >= wanted.total())
    assert changing.written() - written == wanted
    assert [(p["name"], p["ready"]) for p in status["nodePools"]] == [(p["name"], p["replicas"]) for p in after]
    machines = [m for m in changing.items(MACHINES) if m["metadata"]["labels"][OWNER] == NAME]
    assert len(machines) == 1 + sum(p["replicas"] for p in after)


def _templates(before: list[Object], after: list[Object]) -> Counter[str]:
    """Writes of how nodes are repaired, of which each pool has a template; it goes after the pool's last machine."""
    old, new = ({p["name"] for p in pools} for pools in (before, after))
    return Counter({"apply NodeRepairTemplate": len(new - old), "delete NodeRepairTemplate": len(old - new)})


@pytest.mark.slow
def test_ready_means_that_every_machine_is_as_the_spec_says(changing: Platform) -> None:
    """A label is given at registration: the pool's machines are replaced, and until then the Cluster is not Ready."""
    make(changing, cluster(NAME, pool()))
    before = workers(changing)
    make(changing, cluster(NAME, pool(labels={"team.example.com/tier": "batch"})))
    after = workers(changing)
    assert len(after) == 1
    assert not before & after


def workers(platform: Platform) -> set[str]:
    """Machines of the Cluster's pools."""
    found = [m["metadata"] for m in platform.items(MACHINES) if m["metadata"]["labels"][OWNER] == NAME]
    return {m["name"] for m in found if "kaas.internal/pool" in m["labels"]}


def test_the_same_again_is_no_write(changing: Platform) -> None:
    make(changing, cluster(NAME, pool()))
    at_rest(changing)
    written, reconciled = changing.writes(), reconciles(changing)
    changing.apply(cluster(NAME, pool()) | {"metadata": {"name": NAME, "namespace": "default", "labels": {"a": "b"}}})
    until("the Cluster was looked at", lambda: reconciles(changing) > reconciled)
    assert changing.writes() == written


def reconciles(platform: Platform) -> float:
    found = platform.metrics().items()
    return sum(number for name, number in found if name.startswith("kaas_reconciles_total"))


def versions(platform: Platform) -> dict[str, str]:
    """What tells of a write to anything that the controller writes. Of Cluster API's: its status is not ours."""
    kaas = [o["metadata"] for k in OURS for o in platform.items(f"apis/kaas.internal/v1alpha1/{k}")]
    theirs = [o["metadata"] for kind in (CAPI_CLUSTERS, CLASSES) for o in platform.items(kind)]
    found = {m["uid"]: m["resourceVersion"] for m in kaas}
    return found | {m["uid"]: str([m["generation"], m["labels"], m.get("annotations")]) for m in theirs}


def test_a_second_start_writes_nothing(changing: Platform) -> None:
    make(changing, cluster(NAME, pool()))
    at_rest(changing)
    before = versions(changing)
    changing.stop_controller()
    changing.start_controller()
    until("every Cluster was looked at", lambda: reconciles(changing) >= 1)
    until("nothing waits", lambda: not waiting(changing))
    assert changing.writes() == Counter()
    assert versions(changing) == before


def at_rest(platform: Platform) -> None:
    """Return when nothing is to be told any more, and nothing waits to be looked at.

    The in-memory server answers our watches of Nodes with a list and ends them, so that a new Node is seen late.
    """
    until("nothing is told of a node", lambda: "repair" not in platform.cluster(NAME)["status"])
    until("nothing waits", lambda: not waiting(platform))


def waiting(platform: Platform) -> float:
    found = platform.metrics().items()
    return sum(n for name, n in found if name.startswith(("kaas_queue_depth", "kaas_queue_working")))


@pytest.mark.slow
def test_an_upgrade(changing: Platform) -> None:
    make(changing, cluster(NAME, pool()))
    changing.apply(cluster(NAME, pool(), version="v1.36.3"))
    seen: list[str] = []

    def upgraded() -> bool:
        status = changing.cluster(NAME)["status"]
        if not seen or seen[-1] != status["phase"]:
            seen.append(status["phase"])
        return is_settled(changing, NAME) and status["version"] == "v1.36.3"

    until("the Cluster runs v1.36.3", upgraded)
    assert [phase for phase in seen if phase != "Ready"] == ["Updating"]
    machines = [m for m in changing.items(MACHINES) if m["metadata"]["labels"][OWNER] == NAME]
    assert {m["spec"]["version"] for m in machines} == {"v1.36.3"}


def test_what_others_edit_is_brought_back(changing: Platform) -> None:
    settle(changing, NAME)
    found = capi(changing, NAME)
    found["spec"]["topology"]["workers"]["machineDeployments"][0]["replicas"] = 3
    changing.api.request("PUT", f"{CAPI_CLUSTERS}/{NAME}", found)
    until("it is as the Cluster says", lambda: workers_wanted(changing, NAME) == {"cpu": 1})
    settle(changing, NAME)


@pytest.mark.slow
def test_what_others_delete_is_made_again(changing: Platform) -> None:
    settle(changing, NAME)
    former = capi(changing, NAME)["metadata"]["uid"]
    changing.api.request("DELETE", f"{CAPI_CLUSTERS}/{NAME}")
    until("that is told", lambda: changing.condition(NAME, "Accepted").get("reason") == "DeletedByOthers")
    until("it is there again", lambda: capi(changing, NAME).get("metadata", {}).get("uid") not in (None, former))
    settle(changing, NAME)


def _exists(kind: str, name: str) -> Callable[[Platform], bool]:
    return lambda dev: any(
        name in (o["metadata"]["name"], (o["metadata"].get("labels") or {}).get(OWNER)) for o in dev.items(kind)
    )


def _phase(name: str, phase: str) -> Callable[[Platform], bool]:
    return lambda dev: dev.phase(name) == phase


KILLED = "killed"
MOMENTS_OF_A_START = {
    "at once": lambda _: True,
    "with a finalizer": lambda dev: bool(dev.cluster(KILLED)["metadata"].get("finalizers")),
    "handed to Cluster API": _exists(CAPI_CLUSTERS, KILLED),
    "with a control plane": _exists(CONTROL_PLANES, KILLED),
    "with machines": _exists(MACHINES, KILLED),
    "Ready": _phase(KILLED, "Ready"),
}
MOMENTS_OF_AN_END = {
    "at once": lambda _: True,
    "told Cluster API": lambda dev: "deletionTimestamp" in capi(dev, KILLED).get("metadata", {"deletionTimestamp": ""}),
    "without machines": lambda dev: not _exists(MACHINES, KILLED)(dev),
    "gone from Cluster API": lambda dev: not capi(dev, KILLED),
}


def kill_at(dev: Platform, moments: dict[str, Callable[[Platform], bool]]) -> None:
    """Let the controller run until each moment and kill it there; in the end it runs."""
    for moment, reached in moments.items():
        until(moment, lambda: reached(dev))  # noqa: B023 - called before the next
        dev.stop_controller(hard=True)
        dev.start_controller()


@pytest.mark.slow
def test_killed_again_and_again_it_ends_the_same(dev: Platform) -> None:
    """Each kill costs the time after which the Lease of a dead leader is taken over."""
    make(dev, cluster("undisturbed", pool()))
    dev.apply(cluster(KILLED, pool()))
    kill_at(dev, MOMENTS_OF_A_START)
    settle(dev, KILLED)
    assert comparable(dev, KILLED) == comparable(dev, "undisturbed")
    dev.kaas("delete", KILLED, "--yes")
    kill_at(dev, MOMENTS_OF_AN_END)
    until("the Cluster is gone", lambda: not dev.cluster(KILLED))
    assert not left_of(dev, KILLED)
    remove(dev, "undisturbed")


def comparable(dev: Platform, name: str) -> Object:
    """A Cluster and what was made of it, without what has to differ."""
    ours, theirs = dev.cluster(name), capi(dev, name)
    conditions = {c["type"]: (c["status"], c["reason"]) for c in ours["status"]["conditions"]}
    counts = {k: ours["status"][k] for k in ("phase", "version", "nodePools", "controlPlane", "nodes")}
    topology = json.dumps(theirs["spec"]["topology"], sort_keys=True).replace(name, "its-name")
    kept = ours["metadata"]["finalizers"]
    return {"conditions": conditions, "counts": counts, "topology": topology, "finalizers": kept}


@pytest.mark.slow
def test_deleted_while_it_is_made(dev: Platform) -> None:
    dev.apply(cluster("short-lived", pool()))
    until("it is handed to Cluster API", lambda: capi(dev, "short-lived"))
    remove(dev, "short-lived")
    assert not left_of(dev, "short-lived")

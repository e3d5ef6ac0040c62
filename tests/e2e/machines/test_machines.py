"""The life of one cluster's machines: they join with what their user data says, and follow their servers."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import urllib3
from kaas_lab import machines, openstack, processes
from kaas_lab.api_server import Document
from kaas_lab.layout import Layout
from kaas_lab.machines import faults, mig
from kaas_lab.machines.faults import Fault

from tests.e2e.machines.by_hand import SITE, ByHand, condition, eventually, is_ready
from tests.e2e.machines.conftest import MakeCluster

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

VERSION = "v1.36.1"
GPU = "nvidia.com/gpu"


@pytest.fixture(scope="module")
def cluster(by_hand: MakeCluster) -> ByHand:
    made = by_hand("life")
    made.apply(VERSION, 1, cpu=1, gpu=1)
    made.wait_available()
    return made


@pytest.fixture
def site(layout: Layout) -> Path:
    return layout.site_state(SITE)


@pytest.fixture(scope="module")
def cloud(layout: Layout) -> Any:
    return openstack.connect(openstack.load(layout, SITE))


def node(cluster: ByHand, pool: str) -> Document:
    return cluster.nodes()[pool]


def server_id(found: Document) -> str:
    return str(found["spec"]["providerID"].rpartition("/")[2])


def wait_ready(cluster: ByHand, pool: str, status: str) -> Document:
    """The node once its Ready condition has that status."""

    def look() -> Document | None:
        found = node(cluster, pool)
        return found if condition(found, "Ready").get("status") == status else None

    return eventually(f"{pool} has Ready={status}", look, 180) or {}


def test_nodes_are_what_the_user_data_says(cluster: ByHand, cloud: Any) -> None:
    nodes = cluster.nodes()
    assert set(nodes) == {"control-plane", "cpu", "gpu"}
    for found in nodes.values():
        server = cloud.compute.get_server(server_id(found))
        assert found["metadata"]["name"] == server.name
        assert found["status"]["nodeInfo"]["kubeletVersion"] == VERSION
        assert found["status"]["nodeInfo"]["systemUUID"] == server.id
        assert found["metadata"]["labels"]["node.kubernetes.io/instance-type"] == server.flavor["original_name"]
        assert found["metadata"]["labels"]["topology.kubernetes.io/zone"] == server.availability_zone
        fixed = [a["addr"] for a in next(iter(server.addresses.values())) if a["OS-EXT-IPS:type"] == "fixed"]
        assert {"type": "InternalIP", "address": fixed[0]} in found["status"]["addresses"]
    assert nodes["cpu"]["metadata"]["labels"]["example.com/tier"] == "web"
    assert [(t["key"], t["effect"]) for t in nodes["cpu"]["spec"]["taints"]] == [
        ("example.com/dedicated", "PreferNoSchedule")
    ]
    assert [(t["key"], t["value"]) for t in nodes["gpu"]["spec"]["taints"]] == [(GPU, "present")]
    assert nodes["gpu"]["status"]["allocatable"][GPU] == "8"
    assert GPU not in nodes["cpu"]["status"]["capacity"]
    assert "node-role.kubernetes.io/control-plane" in nodes["control-plane"]["metadata"]["labels"]


def test_pods_are_played(cluster: ByHand) -> None:
    api = cluster.workload()
    container = {"name": "c", "image": "any", "resources": {"limits": {GPU: "8"}}}
    template = {"restartPolicy": "Never", "tolerations": [{"operator": "Exists"}], "containers": [container]}
    job = {"metadata": {"name": "train"}, "spec": {"template": {"spec": template}}}
    path = "apis/batch/v1/namespaces/default/jobs"
    api.request("POST", path, job)
    eventually("the job is done", lambda: api.request("GET", f"{path}/train")["status"].get("succeeded") == 1, 120)
    pods = api.request("GET", "api/v1/namespaces/default/pods?labelSelector=job-name=train")["items"]
    assert cluster.pool_of({"metadata": {"name": pods[0]["spec"]["nodeName"]}}) == "gpu"
    api.request("DELETE", f"{path}/train?propagationPolicy=Background")
    listed = "api/v1/namespaces/default/pods?labelSelector=job-name=train"
    eventually("its pods are gone", lambda: not api.request("GET", listed)["items"], 120)


def test_conditions_and_missing_gpus(cluster: ByHand, site: Path) -> None:
    name = node(cluster, "gpu")["metadata"]["name"]
    faults.break_machine(site, Fault("condition", name, condition="GPUHealthy", status="False", reason="XID79"))
    faults.break_machine(site, Fault("gpu", name, missing=3))
    eventually("an XID", lambda: condition(node(cluster, "gpu"), "GPUHealthy").get("reason") == "XID79", 60)
    found = node(cluster, "gpu")
    assert (found["status"]["capacity"][GPU], found["status"]["allocatable"][GPU]) == ("8", "5")
    assert is_ready(found)
    faults.heal_machine(site, "condition", name)
    faults.heal_machine(site, "gpu", name)
    eventually("no XID", lambda: condition(node(cluster, "gpu"), "GPUHealthy").get("status") == "True", 60)
    eventually("all GPUs", lambda: node(cluster, "gpu")["status"]["allocatable"][GPU] == "8", 60)


def test_gpus_are_laid_out_as_the_label_says(cluster: ByHand, site: Path) -> None:
    """The mode of MIG changes with a reboot of the machine by itself, its slices without."""
    before = node(cluster, "gpu")
    name = before["metadata"]["name"]
    faults.break_machine(site, Fault("mig", name, layout="reboots"))
    for layout, resource, count in (
        ("all-1g.5gb", "nvidia.com/mig-1g.5gb", "56"),
        ("all-2g.10gb", "nvidia.com/mig-2g.10gb", "24"),
        ("all-disabled", GPU, "8"),
    ):
        lay_out(cluster, name, layout)
        eventually(f"{count} {resource}", partial(offers, cluster, {resource: count}), 180)
        # After a boot whole GPUs are offered before MIG manager has looked.
        eventually(f"{layout} is said to be there", partial(is_laid_out, cluster), 180)
    after = node(cluster, "gpu")
    assert after["status"]["nodeInfo"]["bootID"] != before["status"]["nodeInfo"]["bootID"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    faults.heal_machine(site, "mig", name)


def lay_out(cluster: ByHand, name: str, layout: str) -> None:
    """Ask MIG manager for a layout, as a person does with kubectl."""
    labels = {mig.CONFIG: layout, mig.STRATEGY: mig.MIXED}
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
    cluster.workload().request("PATCH", f"api/v1/nodes/{name}?fieldManager=person&force=true", body)


def offers(cluster: ByHand, wanted: dict[str, str]) -> bool:
    """Whether these are the devices that Pods may ask for."""
    found = node(cluster, "gpu")["status"]["allocatable"]
    return {k: n for k, n in found.items() if k.startswith("nvidia.com/") and n != "0"} == wanted


def is_laid_out(cluster: ByHand) -> bool:
    """Whether MIG manager says so."""
    return bool(node(cluster, "gpu")["metadata"]["labels"][mig.STATE] == "success")


@pytest.mark.parametrize("pool", ["cpu", "control-plane"])
def test_a_reboot_is_a_new_boot(cluster: ByHand, cloud: Any, pool: str) -> None:
    """The control plane too, whose only etcd comes back with its data."""
    before = node(cluster, pool)
    cloud.compute.reboot_server(server_id(before), "HARD")

    def rebooted() -> bool:
        found = node(cluster, pool)
        return is_ready(found) and found["status"]["nodeInfo"]["bootID"] != before["status"]["nodeInfo"]["bootID"]

    eventually("a new boot ID, and Ready", rebooted, 120)
    after = node(cluster, pool)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert condition(after, "Ready")["lastTransitionTime"] > condition(before, "Ready")["lastTransitionTime"]


def test_without_heartbeats_a_node_is_unknown(cluster: ByHand, cloud: Any, site: Path) -> None:
    """A server that is off, and a kubelet that died, side by side: the real node life-cycle controller judges."""
    off, dead = node(cluster, "cpu"), node(cluster, "gpu")
    cloud.compute.stop_server(server_id(off))
    faults.break_machine(site, Fault("kubelet", dead["metadata"]["name"]))
    for pool in ("cpu", "gpu"):
        found = wait_ready(cluster, pool, "Unknown")
        assert condition(found, "Ready")["reason"] == "NodeStatusUnknown"
    cloud.compute.start_server(server_id(off))
    faults.heal_machine(site, "kubelet", dead["metadata"]["name"])
    for pool in ("cpu", "gpu"):
        wait_ready(cluster, pool, "True")


def test_a_rebuild_joins_anew(cluster: ByHand, cloud: Any) -> None:
    before = node(cluster, "cpu")
    server = cloud.compute.get_server(server_id(before))
    name = before["metadata"]["name"]
    cluster.workload().request("DELETE", f"api/v1/nodes/{name}")
    cloud.compute.rebuild_server(server, image=server.image["id"])
    eventually("the node is there again", lambda: "cpu" in cluster.nodes() and is_ready(node(cluster, "cpu")), 180)
    after = node(cluster, "cpu")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["metadata"]["labels"]["example.com/tier"] == "web"


def test_the_agent_is_killed_and_started_again(cluster: ByHand, layout: Layout) -> None:
    def named(start: str) -> dict[int, str]:
        return {pid: name for pid, name in processes.find(layout.state).items() if name.startswith(start)}

    before = named("machine/")
    boot_ids = {k: n["status"]["nodeInfo"]["bootID"] for k, n in cluster.nodes().items()}
    for pid in named(machines.agent_name(SITE)):
        os.kill(pid, signal.SIGKILL)
    eventually("the end point is away", lambda: not _answers(cluster), 30)
    machines.start(layout, SITE, 0)
    eventually("the end point answers", lambda: _answers(cluster), 60)
    assert named("machine/") == before
    assert {k: n["status"]["nodeInfo"]["bootID"] for k, n in cluster.nodes().items()} == boot_ids
    for pool in ("control-plane", "cpu", "gpu"):
        wait_ready(cluster, pool, "True")


def _answers(cluster: ByHand) -> bool:
    try:
        return cluster.workload().is_ready()
    except (urllib3.exceptions.HTTPError, OSError):
        return False


@pytest.mark.parametrize("mode", ["hang", "refuse"])
def test_an_end_point_that_is_broken(cluster: ByHand, site: Path, mode: faults.ApiMode) -> None:
    faults.break_machine(site, Fault("api", cluster.name, mode=mode))
    eventually("the end point does not answer", lambda: not _answers(cluster), 60)
    faults.heal_machine(site, "api", cluster.name)
    eventually("the end point answers", lambda: _answers(cluster), 60)
    for pool in ("control-plane", "cpu", "gpu"):
        wait_ready(cluster, pool, "True")


def test_machines_that_never_join_say_why(cluster: ByHand, site: Path, cloud: Any) -> None:
    """One because of a fault, one because its kubelet wants a label that it may not set."""
    faults.break_machine(site, Fault("join", f"{cluster.name}-cpu"))
    cluster.apply(VERSION, 1, cpu=2, gpu=1, wrong=1)

    def console(pool: str) -> str:
        mine = [s for s in cloud.compute.servers(all_projects=True) if s.name.startswith(f"{cluster.name}-{pool}-")]
        texts = [str(cloud.compute.get_server_console_output(s.id, length=100)["output"]) for s in mine]
        return "\n".join(texts)

    eventually("a fault kept it out", lambda: "a fault asked for it" in console("cpu"), 180)
    eventually("its label was refused", lambda: "is not allowed to" in console("wrong"), 180)
    assert set(cluster.nodes()) == {"control-plane", "cpu", "gpu"}
    faults.heal_machine(site, "join", f"{cluster.name}-cpu")
    cluster.apply(VERSION, 1, cpu=1, gpu=1)
    eventually("the two are gone", lambda: len(cluster.machines()) == 3, 240)
    cluster.wait_available()


def test_nothing_is_left_when_the_cluster_is_deleted(cluster: ByHand, layout: Layout, cloud: Any) -> None:
    cluster.delete()
    assert not list(cloud.compute.servers(all_projects=True))
    names = processes.find(layout.state).values
    eventually("no process is left", lambda: not [n for n in names() if n.startswith("machine/")], 60)
    disks = layout.site_state(SITE) / "machines"
    eventually("no disk is left", lambda: not [d for d in disks.iterdir() if d.is_dir()], 60)

"""`kaas lab break …` and `kaas lab heal …`, each fault once by its command, and what it does."""

from __future__ import annotations

import asyncio
import base64
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from kaas_lab.openstack import connect, faults, load
from kaas_lab.openstack.site import Site, service_named
from openstack.exceptions import SDKException

from kaas.kube import resources
from kaas.kube.client import KubeClient
from tests.e2e.platform import Object, Platform, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NAME = "faulty"
UNREACHABLE = (OSError, urllib.error.URLError)


def kaas_lab(platform: Platform, *words: str, code: int = 0) -> str:
    argv = [sys.executable, "-m", "kaas", "lab", *words, "--state", str(platform.layout.state)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


# --- machines -----------------------------------------------------------------------------------------------------


@dataclass
class Workload:
    """A Cluster with one CPU and one DGX machine, and its own API."""

    platform: Platform
    kubeconfig: Path

    def nodes(self) -> list[Object]:
        async def ask() -> list[Object]:
            async with await KubeClient.connect(self.kubeconfig) as client:
                return await client.list(resources.NODE)

        return asyncio.run(ask())

    def node(self, pool: str) -> Object:
        return next(n for n in self.nodes() if n["metadata"]["labels"].get("kaas.internal/pool") == pool)

    def condition(self, pool: str, kind: str) -> str:
        """Status of a Node's condition; empty when it has none."""
        found = [c for c in self.node(pool)["status"]["conditions"] if c["type"] == kind]
        return str(found[0]["status"]) if found else ""

    def gpus(self) -> tuple[str, str]:
        """Of the DGX machine: allocatable, and all."""
        status = self.node("dgx")["status"]
        return status["allocatable"]["nvidia.com/gpu"], status["capacity"]["nvidia.com/gpu"]

    def _trust(self) -> ssl.SSLContext:
        (named,) = yaml.safe_load(self.kubeconfig.read_text())["clusters"]
        ca = base64.b64decode(named["cluster"]["certificate-authority-data"]).decode()
        return ssl.create_default_context(cadata=ca)

    def answers(self) -> str:
        """What a client of the API sees: `answered`, `silence` or `refused`."""
        endpoint = self.platform.cluster(NAME)["status"]["endpoint"]
        url = f"https://{endpoint['host']}:{endpoint['port']}/livez"
        try:
            urllib.request.urlopen(url, timeout=3, context=self._trust()).read()
        except urllib.error.HTTPError:
            return "answered"
        except TimeoutError:
            return "silence"
        except UNREACHABLE as error:
            return "silence" if "timed out" in str(error) else "refused"
        return "answered"


def cluster(cpu: int = 1) -> Object:
    pools = [
        {"name": "cpu", "flavor": "m1.small", "replicas": cpu},
        {"name": "dgx", "flavor": "g1.a100x8", "replicas": 1},
    ]
    spec = {
        "version": "v1.36.1",
        "site": "lab",
        "controlPlane": {"replicas": 1, "flavor": "m1.small"},
        "nodePools": pools,
    }
    meta = {"name": NAME, "namespace": "default"}
    return {"apiVersion": "kaas.internal/v1alpha1", "kind": "Cluster", "metadata": meta, "spec": spec}


@pytest.fixture(scope="module")
def workload(openstack: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workload]:
    openstack.apply(cluster())
    until("it is Ready", lambda: openstack.phase(NAME) == "Ready")
    kubeconfig = tmp_path_factory.mktemp("faulty") / "kubeconfig"
    kubeconfig.write_text(openstack.kaas("kubeconfig", NAME).stdout)
    yield Workload(openstack, kubeconfig)
    kaas_lab(openstack, "heal", "machine", "all")
    openstack.kaas("delete", NAME, "--wait", "--yes", "--timeout", "30m")


def test_a_dead_kubelet(workload: Workload) -> None:
    name = workload.node("cpu")["metadata"]["name"]
    kaas_lab(workload.platform, "break", "machine", "kubelet", name)
    until("the Node is Unknown", lambda: workload.condition("cpu", "Ready") == "Unknown", 180)
    until("the reason is told", lambda: workload.platform.phase(NAME) == "Degraded", 60)
    assert name in workload.platform.condition(NAME, "WorkersReady")["message"]
    kaas_lab(workload.platform, "heal", "machine", "kubelet", name)
    until("the Node is Ready", lambda: workload.condition("cpu", "Ready") == "True", 60)
    until("the Cluster is Ready", lambda: workload.platform.phase(NAME) == "Ready", 120)


def test_a_condition_of_a_node(workload: Workload) -> None:
    name = workload.node("dgx")["metadata"]["name"]
    kaas_lab(workload.platform, "break", "machine", "condition", name, "GPUHealthy=False", "--reason", "XID79")
    until("the condition is there", lambda: workload.condition("dgx", "GPUHealthy") == "False", 60)
    kaas_lab(workload.platform, "heal", "machine", "condition", name)
    until("the condition is well", lambda: workload.condition("dgx", "GPUHealthy") == "True", 60)


def test_an_xid_that_a_power_cycle_ends(workload: Workload) -> None:
    name = workload.node("dgx")["metadata"]["name"]
    kaas_lab(workload.platform, "break", "machine", "xid", name, "79", "--until", "power-cycle")
    until("it is unhealthy", lambda: workload.condition("dgx", "GPUUnhealthy") == "True", 60)
    assert workload.gpus() == ("7", "8")
    cloud: Any = connect(load(workload.platform.layout, "lab"))
    boot = workload.node("dgx")["status"]["nodeInfo"]["bootID"]
    kaas_lab(workload.platform, "break", "machine", "server", name, "stop")
    server = next(s for s in cloud.compute.servers(all_projects=True) if s.name == name)
    until("it is off", lambda: cloud.compute.get_server(server.id).status == "SHUTOFF", 60)
    kaas_lab(workload.platform, "heal", "machine", "server", name)
    until("it has booted", lambda: workload.node("dgx")["status"]["nodeInfo"]["bootID"] != boot, 60)
    until("all are back", lambda: workload.gpus() == ("8", "8"), 60)
    assert workload.condition("dgx", "GPUUnhealthy") == "False"


def test_a_server_in_error(workload: Workload) -> None:
    name = workload.node("cpu")["metadata"]["name"]
    cloud: Any = connect(load(workload.platform.layout, "lab"))

    def status() -> str:
        return str(next(s for s in cloud.compute.servers(all_projects=True) if s.name == name).status)

    kaas_lab(workload.platform, "break", "machine", "server", name, "error")
    assert status() == "ERROR"
    assert "which was ERROR" in kaas_lab(workload.platform, "heal", "machine", "server", name)
    assert status() == "ACTIVE"
    assert "no server 'nobody'" in kaas_lab(workload.platform, "break", "machine", "server", "nobody", "stop", code=1)


def test_missing_gpus(workload: Workload) -> None:
    name = workload.node("dgx")["metadata"]["name"]
    assert workload.gpus() == ("8", "8")
    kaas_lab(workload.platform, "break", "machine", "gpu", name, "--missing", "2")
    until("two are missing", lambda: workload.gpus() == ("6", "8"), 60)
    kaas_lab(workload.platform, "heal", "machine", "gpu", name)
    until("all are back", lambda: workload.gpus() == ("8", "8"), 60)


@pytest.mark.parametrize(("mode", "seen"), [("hang", "silence"), ("refuse", "refused")])
def test_an_endpoint(workload: Workload, mode: str, seen: str) -> None:
    kaas_lab(workload.platform, "break", "machine", "api", NAME, mode)
    until("it is broken", lambda: workload.answers() == seen, 60)
    kaas_lab(workload.platform, "heal", "machine", "api", NAME)
    until("it answers", lambda: workload.answers() == "answered", 60)


def test_a_machine_that_never_joins(workload: Workload) -> None:
    """Its console says why; the Cluster says that it waits for it."""
    platform = workload.platform
    until("the Cluster is Ready", lambda: platform.phase(NAME) == "Ready", 180)
    kaas_lab(platform, "break", "machine", "join", f"{NAME}-cpu")
    platform.apply(cluster(cpu=2))
    tenant: Any = connect(load(platform.layout, "lab"), "kaas")

    def explained() -> bool:
        servers = [s for s in tenant.compute.servers() if s.name.startswith(f"{NAME}-cpu")]
        consoles = [tenant.compute.get_server_console_output(s)["output"] for s in servers if s.status == "ACTIVE"]
        return any("a fault asked for it" in (console or "") for console in consoles)

    until("the console says why", explained, 300)
    assert len(workload.nodes()) == 3
    until("the Cluster waits for it", lambda: platform.phase(NAME) == "Updating", 60)
    kaas_lab(platform, "heal", "machine", "join", f"{NAME}-cpu")
    platform.apply(cluster())
    until("the Cluster is Ready", lambda: platform.phase(NAME) == "Ready", 300)


def test_what_is_not_broken_cannot_be_healed(openstack: Platform) -> None:
    assert "no fault of kind kubelet" in kaas_lab(openstack, "heal", "machine", "kubelet", "nobody", code=1)


# --- clouds -------------------------------------------------------------------------------------------------------


@pytest.fixture
def site(openstack: Platform) -> Iterator[Site]:
    yield load(openstack.layout, "lab")
    faults.heal(openstack.layout, "lab")


def glance(site: Site) -> str:
    try:
        urllib.request.urlopen(site.url(service_named("glance")), timeout=2).read()  # noqa: S310 - of the lab
    except urllib.error.HTTPError as error:
        return str(error.code)
    except TimeoutError:
        return "silence"
    except UNREACHABLE as error:
        return "silence" if "timed out" in str(error) else "refused"
    return "answered"


@pytest.mark.parametrize(
    ("how", "seen"), [("down", "refused"), ("hang", "silence"), ("slow", "silence"), ("refuse", "503")]
)
def test_a_service(openstack: Platform, site: Site, how: str, seen: str) -> None:
    kaas_lab(openstack, "break", "cloud", "service", "glance", how)
    assert glance(site) == seen
    assert "glance" in kaas_lab(openstack, "heal", "cloud")
    until("it answers", lambda: glance(site) == "300", 60)


@pytest.mark.parametrize("how", ["password", "disabled"])
def test_a_login(openstack: Platform, site: Site, how: str) -> None:
    kaas_lab(openstack, "break", "cloud", "login", how)
    with pytest.raises(SDKException):
        connect(site, "kaas").authorize()
    kaas_lab(openstack, "heal", "cloud")
    assert connect(site, "kaas").authorize()


def test_a_quota(openstack: Platform, site: Site) -> None:
    tenant: Any = connect(site, "kaas")
    kaas_lab(openstack, "break", "cloud", "quota", "cores")
    assert tenant.compute.get_limits().absolute.total_cores == 0
    kaas_lab(openstack, "heal", "cloud")
    assert tenant.compute.get_limits().absolute.total_cores != 0


@pytest.mark.parametrize(
    ("words", "noted"),
    [
        (("server", "create"), {"create": "There are not enough hosts available."}),
        (("server", "reboot", "--reason", "no power"), {"reboot": "no power"}),
        (("server", "soft-reboot"), {"soft-reboot": "broken on purpose"}),
        (("load-balancer",), {"load-balancers": "broken on purpose"}),
    ],
)
def test_what_the_services_do_wrong(openstack: Platform, site: Site, words: tuple[str, ...], noted: Object) -> None:
    """What it does to servers and load balancers is tested with the cloud alone."""
    kaas_lab(openstack, "break", "cloud", *words)
    assert faults.in_force(site.layout, site.name) == {"servers": noted}
    kaas_lab(openstack, "heal", "cloud")
    assert faults.in_force(site.layout, site.name) == {}


def test_a_host(openstack: Platform, site: Site) -> None:
    admin: Any = connect(site)

    def state() -> str:
        (found,) = admin.compute.services(host="gpu-1", binary="nova-compute")
        return str(found.state)

    kaas_lab(openstack, "break", "cloud", "host", "gpu-1")
    assert state() == "down"
    assert "host gpu-1" in kaas_lab(openstack, "heal", "cloud")
    assert state() == "up"


def test_what_there_is_not_cannot_be_broken(openstack: Platform) -> None:
    said = kaas_lab(openstack, "break", "cloud", "service", "swift", "down", code=1)
    assert "no OpenStack service 'swift': use one of keystone" in " ".join(said.split())
    said = kaas_lab(openstack, "break", "cloud", "quota", "luck", code=1)
    assert "no quota 'luck'" in said
    said = kaas_lab(openstack, "break", "cloud", "host", "moon", code=1)
    assert "no compute host 'moon': use one of cpu-0" in " ".join(said.split())

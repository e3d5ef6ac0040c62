"""An add-on in a real Cluster: put there, brought to another version, taken back, tried again, taken out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml

from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.kube.objects import Ref
from tests.e2e.platform import Object, Platform, until
from tests.e2e.updating import Updated, release

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NAME, ADDON, SPACE = "carrier", "agent", "agent-system"
API = "kaas.internal/v1alpha1"
LABEL = {"disk": "fast"}


def _manifests(image: str, *, note: bool = False, selector: Object | None = None) -> list[Object]:
    """A Namespace and a Deployment. note: with a ConfigMap beside. selector: labels of nodes that its Pod waits for."""
    labels = {"app": "agent"}
    pod: Object = {
        "containers": [{"name": "agent", "image": f"registry.invalid/agent:{image}"}],
        "tolerations": [{"operator": "Exists"}],
        **({"nodeSelector": selector} if selector else {}),
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    meta = {"name": "agent", "namespace": SPACE}
    found: list[Object] = [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}},
    ]
    if note:
        found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "note", "namespace": SPACE}})
    return found


def _addon(*versions: str) -> Object:
    """Those that there are, by `kaas addons pack`'s names; the second supports no newer minor than 1.36."""
    each = [{"version": v, "manifests": {"configMap": f"{ADDON}-{v}"}} for v in versions]
    if len(each) > 1:
        each[1]["kubernetes"] = {"maxVersion": "1.36"}
    return {"apiVersion": API, "kind": "Addon", "metadata": {"name": ADDON}, "spec": {"versions": each}}


class Carrier:
    """The Cluster's own API, and what is said of its add-on."""

    def __init__(self, subject: Updated, files: Path) -> None:
        self.subject, self.files = subject, files
        self.kubeconfig = files / "kubeconfig"

    def pack(self, version: str, manifests: list[Object]) -> None:
        """A person packs a version, and applies it."""
        source = self.files / f"{version}.yaml"
        source.write_text(yaml.safe_dump_all(manifests))
        packed = self.subject.platform.kaas("addons", "pack", ADDON, version, "-f", source).stdout
        self.subject.platform.apply(*filter(None, yaml.safe_load_all(packed)))

    def said(self) -> Object:
        """What the Cluster's status says of it."""
        status = self.subject.platform.cluster(NAME).get("status") or {}
        return next((a for a in status.get("addOns") or () if a["name"] == ADDON), {})

    def has(self, version: str) -> bool:
        return (self.said().get("version"), self.said().get("state")) == (version, "Ready")

    def get(self, kind: str, name: str, namespace: str | None = SPACE, api: str = "v1") -> Object | None:
        async def ask() -> Object | None:
            async with await KubeClient.connect(self.kubeconfig) as client:
                return await client.get(Ref(api, kind, namespace, name))

        return asyncio.run(ask())

    def image(self) -> str:
        found = self.get("Deployment", "agent", api="apps/v1") or {"spec": {"template": {"spec": {"containers": [{}]}}}}
        return str(found["spec"]["template"]["spec"]["containers"][0].get("image")).rpartition(":")[2]

    def label_nodes(self) -> None:
        async def write() -> None:
            async with await KubeClient.connect(self.kubeconfig) as client:
                for node in await client.list(resources.NODE):
                    name = node["metadata"]["name"]
                    await client.patch(Ref("v1", "Node", None, name), {"metadata": {"labels": LABEL}})

        asyncio.run(write())


def test_an_add_on_comes_goes_back_comes_again_and_goes(openstack: Platform, tmp_path: Path) -> None:
    pools: list[Object] = [{"name": "cpu", "flavor": "m1.small", "replicas": 1}]
    subject = Updated.of(openstack, NAME, pools, site="lab")
    carrier = Carrier(subject, tmp_path)
    carrier.pack("1.0.0", _manifests("1.0.0", note=True))
    openstack.apply(_addon("1.0.0"))
    subject.apply("1.36")
    until("Ready", subject.is_ready)
    carrier.kubeconfig.write_text(openstack.kaas("kubeconfig", NAME).stdout)
    until("it is put there", lambda: carrier.has("1.0.0"))
    assert (carrier.image(), carrier.get("ConfigMap", "note") is not None) == ("1.0.0", True)
    machines = {*subject.machines(), *subject.machines("cpu")}

    _comes_and_goes_back(carrier)
    carrier.label_nodes()
    subject.apply("1.36", retry="the nodes have fast disks now")
    until("it goes on", lambda: "stopped" not in subject.update)
    until("the update is through", subject.is_through)
    assert carrier.has("1.1.0")
    assert (carrier.image(), carrier.get("ConfigMap", "note")) == ("1.1.0", None)
    assert {*subject.machines(), *subject.machines("cpu")} == machines, "no machine was replaced"
    assert not subject.update.get("rolledBack")

    _limits(subject)
    openstack.kaas("addons", "status", "-n", "default")
    openstack.api.request("DELETE", f"apis/{API}/addons/{ADDON}")
    until("it is taken out", lambda: not carrier.said())
    until("its namespace goes", lambda: carrier.get("Namespace", SPACE, None) is None)
    assert carrier.get("ConfigMap", f"kaas-add-on-{ADDON}", "kube-system") is None
    subject.delete()


def _comes_and_goes_back(carrier: Carrier) -> None:
    """A version whose Pod finds no node: the update to it stops, and the version before is there again."""
    subject = carrier.subject
    carrier.pack("1.1.0", _manifests("1.1.0", selector=LABEL))
    subject.platform.apply(_addon("1.0.0", "1.1.0"))
    until("an update begins", lambda: subject.step("AddOns").get("state") == "Running")
    assert subject.update["changes"] == ["AddOns"]
    assert [s["name"] for s in subject.update["steps"] if s["name"].startswith(("ControlPlane", "Pool"))] == []
    until("its objects are there", lambda: carrier.image() == "1.1.0")
    until("it stops", lambda: "stopped" in subject.update)
    stopped = subject.update["stopped"]
    assert (stopped["step"], stopped["reason"]) == ("AddOns", "AddOnNotReady")
    assert "add-on agent goes back from 1.1.0 to 1.0.0" in stopped["message"]
    until("it has gone back", lambda: carrier.has("1.0.0"))
    assert (carrier.image(), carrier.get("ConfigMap", "note") is not None) == ("1.0.0", True)
    assert subject.explained()["reason"] == "Stopped"


def _limits(subject: Updated) -> None:
    """A minor that the add-on does not support is not gone to."""
    new = "v1.37.0"
    subject.platform.apply(release(new, f"ubuntu-2404-kube-{new}"))
    subject.apply("1.36", kubernetes="Minor")
    until("it is told", lambda: subject.update.get("reason") == "AddOnLimit")
    found = subject.explained()
    assert found["reason"] == "AddOnLimit"
    assert "agent 1.1.0 supports no newer minor than 1.36" in found["answer"]

"""What API servers and the index give, read: budgets, tables, metrics, Machines, certificates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kaas.kube.objects import Object
from kaas.kube.resources import CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL
from kaas.runtime.index import Index
from kaas.updates.facts import Aims, Change
from kaas.updates.preflight.authorities import authority
from kaas.updates.preflight.budgets import is_never_met, kubelets, nodes_of_pods, selector_of
from kaas.updates.preflight.deprecated import deprecated_apis, writers
from kaas.updates.preflight.facts import Kubelet, MachineFacts
from kaas.updates.preflight.observed import etcd_of, image_of, machines_of
from kaas.updates.run import Case
from tests.unit.updates.preflight.cases import KEY, case
from tests.unit.updates.subjects import NOW, raw_release, site, version


def budget(spec: Object | None = None, **status: int) -> Object:
    found = {"observedGeneration": 1, "disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 2}
    meta = {"namespace": "shop", "name": "web", "generation": 1}
    return {"metadata": meta, "spec": spec or {"minAvailable": 2}, "status": {**found, "expectedPods": 2, **status}}


@pytest.mark.parametrize(
    ("status", "never"),
    [
        ({}, True),
        ({"disruptionsAllowed": 1, "desiredHealthy": 1}, False),
        ({"currentHealthy": 1}, False),  # a Pod is sick: when it is well, one may go
        ({"currentHealthy": 1, "desiredHealthy": 1}, False),
        ({"expectedPods": 0, "currentHealthy": 0, "desiredHealthy": 0}, False),
        ({"observedGeneration": 0}, False),
        ({"desiredHealthy": 3}, True),
    ],
)
def test_which_budgets_are_never_met(status: dict[str, Any], never: bool) -> None:
    assert is_never_met(budget(**status)) is never
    assert not is_never_met({"metadata": {"generation": 1}, "spec": {}})


def test_the_selector_of_a_budget() -> None:
    expressions = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "old", "operator": "NotIn", "values": ["yes"]},
        {"key": "is", "operator": "Exists"},
        {"key": "not", "operator": "DoesNotExist"},
    ]
    found = budget({"selector": {"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": expressions}})
    assert selector_of(found) == "a=1,b=2,tier in (a,b),old notin (yes),is,!not"
    assert selector_of(budget({"selector": {}})) == ""
    assert selector_of(budget({"minAvailable": 1})) is None


def table(columns: list[str], *rows: tuple[list[str], Object]) -> Object:
    definitions = [{"name": name} for name in columns]
    return {"kind": "Table", "columnDefinitions": definitions, "rows": [{"cells": c, "object": o} for c, o in rows]}


def test_kubelets_of_a_table_and_of_a_list() -> None:
    rows = table(["Name", "Status", "Version"], (["n1", "Ready", "v1.36.1"], {}))
    node = {"metadata": {"name": "n1"}, "status": {"nodeInfo": {"kubeletVersion": "v1.36.1"}}}
    assert list(kubelets(rows)) == list(kubelets({"kind": "NodeList", "items": [node]})) == [Kubelet("n1", "v1.36.1")]
    assert list(kubelets({"items": [{"metadata": {"name": "n2"}}]})) == [Kubelet("n2", "")]
    with pytest.raises(KeyError):
        list(kubelets(table(["Name"], (["n1"], {}))))


def test_nodes_of_the_pods_that_move() -> None:
    def pod(owner: str | None) -> Object:
        owners = [{"kind": owner, "controller": True}] if owner else []
        return {"metadata": {"ownerReferences": owners}}

    found = [("n1", "ReplicaSet"), ("n2", "DaemonSet"), ("n3", None), ("<none>", None), ("n4", "Node")]
    rows = table(["Name", "Node"], *(([f"p{i}", node], pod(owner)) for i, (node, owner) in enumerate(found)))
    assert nodes_of_pods(rows) == {"n1", "n3"}
    items = [{**pod(owner), "spec": {"nodeName": "" if node == "<none>" else node}} for node, owner in found]
    assert nodes_of_pods({"kind": "PodList", "items": items}) == {"n1", "n3"}


def metric(group: str, resource: str, removed: str, value: str = "1", sub: str = "") -> str:
    labels = f'group="{group}",removed_release="{removed}",resource="{resource}",subresource="{sub}",version="v1beta1"'
    return f"apiserver_requested_deprecated_apis{{{labels}}} {value}"


def test_apis_that_are_to_be_removed() -> None:
    lines = [
        metric("networking.k8s.io", "ipaddresses", "1.37"),
        metric("networking.k8s.io", "ipaddresses", "1.37", sub="status"),
        metric("batch", "cronjobs", "1.25"),
        metric("", "endpoints", ""),
        metric("resource.k8s.io", "deviceclasses", "1.38", "0"),
        metric("example.com", "widgets", "soon"),
    ]
    found = [(str(api), api.removed) for api in deprecated_apis(lines)]
    assert found == [("cronjobs.batch v1beta1", 25), ("ipaddresses.networking.k8s.io v1beta1", 37)]


def test_who_has_written_with_an_api() -> None:
    def written(name: str, *fields: tuple[str, str, str]) -> Object:
        managed = [{"manager": m, "apiVersion": v, "time": f"2027-01-0{day}T00:00:00Z"} for m, v, day in fields]
        return {"metadata": {"namespace": "shop", "name": name, "managedFields": managed}}

    items = [
        written("a", ("helm", "batch/v1beta1", "1"), ("kubectl", "batch/v1", "4")),
        written("b", ("helm", "batch/v1beta1", "3"), ("argo", "batch/v1beta1", "2")),
        {"metadata": {"name": "c"}},
    ]
    found = writers(items, "batch/v1beta1")
    said = [(c.name, c.example, c.last.day if c.last else 0) for c in found]
    assert said == [("helm", "shop/b", 3), ("argo", "shop/b", 2)]
    nameless = {"metadata": {"name": "d", "managedFields": [{"apiVersion": "batch/v1beta1"}]}}
    assert writers([nameless], "batch/v1beta1")[0].last is None


def certificate(name: str, ends: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    signed = made.not_valid_before(ends - timedelta(days=1)).not_valid_after(ends).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def test_of_a_bundle_the_authority_that_ends_last_counts() -> None:
    bundle = certificate("old", NOW) + certificate("new", NOW + timedelta(days=3650)) + certificate("mid", NOW)
    found = authority("a file", bundle)
    assert (found.name, found.ends) == ("new of a file", NOW + timedelta(days=3650))
    assert authority("a file", bundle.decode()) == found
    with pytest.raises(ValueError, match="PEM"):
        authority("a file", b"no certificate")


def machine(name: str, labels: dict[str, str], *conditions: tuple[str, str, str], **more: Any) -> Object:
    found = [{"type": t, "status": s, "reason": "R", "message": m} for t, s, m in conditions]
    meta = {"namespace": KEY[0], "name": name, "labels": {CLUSTER_NAME_LABEL: KEY[1], **labels}}
    return {
        "apiVersion": "cluster.x-k8s.io/v1beta2",
        "kind": "Machine",
        "metadata": meta | more.get("meta", {}),
        "spec": {"version": "v1.36.1"},
        "status": {"conditions": found, **more.get("status", {})},
    }


def test_machines_as_the_index_keeps_them() -> None:
    index = Index()
    ends = "2027-06-01T00:00:00Z"
    well = {"nodeRef": {"name": "n1"}, "certificatesExpiryDate": ends}
    index.put(
        machine("m1", {CONTROL_PLANE_LABEL: ""}, ("Ready", "True", "x"), ("EtcdMemberHealthy", "True", ""), status=well)
    )
    index.put(machine("m2", {"kaas.internal/pool": "cpu"}, ("Ready", "False", "* NodeHealthy:\n  * gone")))
    index.put(machine("m3", {"kaas.internal/pool": "cpu"}, meta={"deletionTimestamp": "2027-01-01T00:00:00Z"}))
    first, second, third = machines_of(index, KEY)
    assert first == MachineFacts(
        "m1", "", "v1.36.1", "n1", True, member=True, certificates=datetime(2027, 6, 1, tzinfo=UTC)
    )
    assert second == MachineFacts("m2", "cpu", "v1.36.1", None, False, "* NodeHealthy: * gone")
    assert (third.ready, third.deleting, third.member) == (None, True, None)


def test_etcd_as_the_control_plane_says() -> None:
    index = Index()
    assert etcd_of(index, KEY) == (None, "there is no KubeadmControlPlane")
    for status, expected in (("True", (True, "")), ("False", (False, "NOSPACE")), ("Unknown", (None, "NOSPACE"))):
        found = machine("cp", {}, ("EtcdClusterHealthy", status, "NOSPACE"))
        index.put({**found, "apiVersion": "controlplane.cluster.x-k8s.io/v1beta2", "kind": "KubeadmControlPlane"})
        assert etcd_of(index, KEY) == expected


def test_the_image_of_new_machines() -> None:
    def with_image(image: str | None, **where: Any) -> Case:
        aims = Aims(version("v1.36.2"), (Change.CLASS_REVISION,), image=image)
        before = case()
        return Case(KEY, before.cluster, site(**where), aims, before.running)

    index = Index()
    assert image_of(index, with_image(None)) is None
    index.put(raw_release("v1.36.2"))
    index.put(raw_release("v1.36.3"))
    assert image_of(index, with_image(None)) == "ubuntu-v1.36.2"
    assert image_of(index, with_image(None, images=[{"version": "v1.36.2", "name": "ours"}])) == "ours"
    variables = [{"name": "images", "value": {"v1.36.2": "pinned"}}]
    meta = {"namespace": KEY[0], "name": KEY[1]}
    topology = {"topology": {"version": "v1.36.2", "variables": variables}}
    index.put({"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster", "metadata": meta, "spec": topology})
    assert image_of(index, with_image(None, images=[{"version": "v1.36.2", "name": "ours"}])) == "pinned"
    assert image_of(index, with_image("new")) == "new"

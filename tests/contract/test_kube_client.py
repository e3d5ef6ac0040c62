"""The client, the differences and the Events against a real kube-apiserver."""

from __future__ import annotations

import copy
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml
from kaas_lab.management import Management

from kaas.kube.client import KubeClient
from kaas.kube.difference import differs, with_applied_hash
from kaas.kube.errors import Conflict, Forbidden, Invalid, NotFound
from kaas.kube.events import Events
from kaas.kube.objects import Object, Ref, ref_of, uid
from kaas.kube.resources import CONFIG_MAP, EVENT
from kaas.runtime.clock import SystemClock


def config_map(namespace: str, name: str = "one", **data: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"for": "test"}},
        "data": data,
    }


async def test_version(client: KubeClient, management: Management) -> None:
    assert (await client.version())["gitVersion"] == management.version


async def test_apply_makes_and_changes_and_then_changes_nothing(client: KubeClient, namespace: str) -> None:
    desired = with_applied_hash(config_map(namespace, a="1", b="2"))
    first = await client.apply(desired)
    assert first["data"] == {"a": "1", "b": "2"}
    assert {f["manager"] for f in first["metadata"]["managedFields"]} == {"kaas"}
    again = await client.apply(desired)
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_what_was_applied_does_not_differ(client: KubeClient, namespace: str) -> None:
    meta = {"namespace": namespace, "labels": {}}
    objects: list[Object] = [
        config_map(namespace, a="1"),
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "s", **meta},
            "data": {"k": "dg=="},
            "type": "Opaque",
        },
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{namespace}"}, "spec": {"taints": TAINTS}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "d", **meta},
            "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": POD},
        },
    ]
    for desired in map(with_applied_hash, objects):
        await client.apply(desired)
        live = await client.get(ref_of(desired))
        assert live is not None
        assert differs(desired, live) == []


TAINTS = [{"key": "gpu", "effect": "NoSchedule", "value": "x"}, {"key": "gpu", "effect": "NoExecute"}]
POD = {
    "metadata": {"labels": {"a": "b"}},
    "spec": {
        "containers": [
            {"name": "c", "image": "i", "ports": [{"containerPort": 80}], "env": [{"name": "E", "value": "1"}]}
        ]
    },
}


async def test_drift_is_repaired_and_what_was_removed_is_removed(client: KubeClient, namespace: str) -> None:
    desired = with_applied_hash(config_map(namespace, a="1", b="2"))
    live = await client.apply(desired)
    drifted = await client.replace({**live, "data": {"a": "other", "b": "2", "theirs": "3"}})
    assert differs(desired, drifted) == ["data.a"]
    smaller = with_applied_hash(config_map(namespace, a="1"))
    assert differs(smaller, drifted) == ["data.a", "metadata.annotations[kaas.internal/applied]"]
    repaired = await client.apply(smaller)
    assert differs(smaller, repaired) == []
    assert repaired["data"] == {"a": "1", "theirs": "3"}


async def test_removal_from_what_only_we_wrote(client: KubeClient, namespace: str) -> None:
    await client.apply(with_applied_hash(config_map(namespace, a="1", b="2")))
    assert (await client.apply(with_applied_hash(config_map(namespace, a="1"))))["data"] == {"a": "1"}


@pytest.mark.parametrize("wrong", [{"dta": {}}, {"metadata": {"labls": {}}}])
async def test_unknown_fields_are_refused(client: KubeClient, namespace: str, wrong: dict[str, Any]) -> None:
    manifest = copy.deepcopy(config_map(namespace))
    manifest["metadata"].update(wrong.get("metadata", {}))
    with pytest.raises(Invalid, match=r"ConfigMap .*one"):
        await client.apply({**manifest, **{k: v for k, v in wrong.items() if k != "metadata"}})
    assert await client.get(ref_of(manifest)) is None


async def test_unknown_fields_of_our_own_kinds_are_refused(client: KubeClient) -> None:
    release = {
        "apiVersion": "kaas.internal/v1alpha1",
        "kind": "Release",
        "metadata": {"name": "r"},
        "spec": {"vresion": "1"},
    }
    with pytest.raises(Invalid, match="vresion"):
        await client.apply(release)


async def test_a_refusal_names_the_fields(client: KubeClient, namespace: str) -> None:
    with pytest.raises(Invalid) as refusal:
        await client.create({**config_map(namespace), "metadata": {"name": "Wrong_Name", "namespace": namespace}})
    assert [c.field for c in refusal.value.causes] == ["metadata.name"]


async def test_dry_run_leaves_nothing(client: KubeClient, namespace: str) -> None:
    assert (await client.apply(config_map(namespace, a="1"), dry_run=True))["data"] == {"a": "1"}
    assert await client.get(ref_of(config_map(namespace))) is None


async def test_apply_where_nothing_is(client: KubeClient) -> None:
    with pytest.raises(NotFound, match="no-such-namespace"):
        await client.apply(config_map("no-such-namespace"))
    with pytest.raises(NotFound, match="no kind Nothing"):
        await client.apply({"apiVersion": "v1", "kind": "Nothing", "metadata": {"name": "x"}})
    assert await client.get(Ref("none.example/v1", "Nothing", None, "x")) is None


async def test_status_has_its_own_manager(client: KubeClient) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{uuid.uuid4().hex[:8]}"}}
    await client.apply(node)
    ready = {"type": "Ready", "status": "True", "reason": "Test"}
    applied = await client.apply_status({**node, "spec": {"ignored": 1}, "status": {"conditions": [ready]}})
    assert [c["type"] for c in applied["status"]["conditions"]] == ["Ready"]
    managers = {(f["manager"], f.get("subresource")) for f in applied["metadata"]["managedFields"]}
    assert ("kaas-status", "status") in managers
    assert (await client.apply_status({**node, "status": {}}))["status"].get("conditions") is None


async def test_finalizers_are_set_as_read_or_not_at_all(client: KubeClient, namespace: str) -> None:
    read = await client.apply(config_map(namespace, a="1"))
    held = await client.patch_finalizers(read, ["kaas.internal/test"])
    assert held["metadata"]["finalizers"] == ["kaas.internal/test"]
    with pytest.raises(Conflict):
        await client.patch_finalizers(read, [])
    assert await client.delete(ref_of(held))
    deleting = await client.get(ref_of(held))
    assert deleting is not None
    assert deleting["metadata"]["deletionTimestamp"]
    await client.patch_finalizers(deleting, [])
    assert await client.get(ref_of(held)) is None


async def test_create_and_replace(client: KubeClient, namespace: str) -> None:
    created = await client.create(config_map(namespace, a="1"))
    with pytest.raises(Conflict):
        await client.create(config_map(namespace))
    await client.replace({**created, "data": {"a": "2"}})
    with pytest.raises(Conflict):
        await client.replace({**created, "data": {"a": "3"}})
    generated = {**config_map(namespace), "metadata": {"generateName": "x-", "namespace": namespace}}
    names = {(await client.create(generated))["metadata"]["name"] for _ in range(2)}
    assert len(names) == 2


async def test_delete_only_the_one_that_was_meant(client: KubeClient, namespace: str) -> None:
    created = await client.create(config_map(namespace))
    with pytest.raises(Conflict):
        await client.delete(ref_of(created), uid=str(uuid.uuid4()))
    assert await client.delete(ref_of(created), uid=uid(created)) is True
    assert await client.delete(ref_of(created)) is False


async def test_list(client: KubeClient, namespace: str) -> None:
    for name in ("a", "b"):
        await client.apply(config_map(namespace, name, k="v"))
    found = await client.list(CONFIG_MAP, namespace, "for=test")
    assert [ref_of(o).name for o in found] == ["a", "b"]
    assert await client.list(CONFIG_MAP, namespace, "for=other") == []
    slim = await client.list(CONFIG_MAP, namespace, "for=test", metadata_only=True)
    assert [(o["kind"], o["metadata"]["name"], "data" in o) for o in slim] == [
        ("ConfigMap", "a", False),
        ("ConfigMap", "b", False),
    ]


async def test_discovery(client: KubeClient) -> None:
    assert "v1" in await client.group_versions("apps")
    assert any(r.kind == "Cluster" and r.namespaced for r in await client.served("kaas.internal/v1alpha1"))
    assert await client.served("none.example/v1") == []
    scale = await client.resource("apps/v1", "StatefulSet")
    assert (scale.plural, scale.namespaced) == ("statefulsets", True)


async def test_events_are_seen_with_their_object(client: KubeClient, namespace: str) -> None:
    about = await client.create(config_map(namespace))
    events = Events(client, SystemClock())
    assert await events.emit(about, "Applied", "all of it")
    assert not await events.emit(about, "Applied", "all of it")
    found = await client.list(EVENT, namespace)
    assert [(e["reason"], e["involvedObject"]["uid"]) for e in found] == [("Applied", uid(about))]


async def test_wrong_credentials(management: Management, tmp_path: Path) -> None:
    config = yaml.safe_load(management.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": "wrong"}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    async with await KubeClient.connect(tmp_path / "kubeconfig") as stranger:
        with pytest.raises(Forbidden, match="credentials"):
            await stranger.list(CONFIG_MAP)

"""Which Nodes the cloud takes out, since their servers are gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kaas_lab.machines import pki
from kaas_lab.machines.api import ApiError, kubeconfig
from kaas_lab.machines.nodelifecycle import NODES, follow, orphans, remove_orphans

from tests.unit.lab.machines.api_stub import Stub, serving

SERVERS = [("id-1", "cpu-1")]


def node(name: str, ready: str = "Unknown", provider_id: str = "") -> dict[str, Any]:
    spec = {"providerID": provider_id} if provider_id else {}
    conditions = [{"type": "MemoryPressure", "status": "True"}, {"type": "Ready", "status": ready}]
    return {"metadata": {"name": name}, "spec": spec, "status": {"conditions": conditions}}


@pytest.mark.parametrize(
    ("found", "goes"),
    [
        pytest.param(node("cpu-1"), False, id="its server is there, by name"),
        pytest.param(node("other", provider_id="openstack:///id-1"), False, id="its server is there, by provider ID"),
        pytest.param(node("cpu-2"), True, id="not initialised, and no server of its name"),
        pytest.param(
            node("cpu-1", provider_id="openstack:///id-0"), True, id="its server is gone, another has its name"
        ),
        pytest.param(node("cpu-2", ready="False"), True, id="its kubelet says that it is not Ready"),
        pytest.param(node("cpu-2", ready="True"), False, id="Ready still"),
        pytest.param({"metadata": {"name": "cpu-2"}, "spec": {}}, True, id="it never said how it is"),
    ],
)
def test_a_node_without_a_server_goes_when_it_is_not_ready(found: dict[str, Any], *, goes: bool) -> None:
    assert orphans([found], SERVERS) == ([found["metadata"]["name"]] if goes else [])


def stub_with(*nodes: dict[str, Any]) -> Stub:
    stub = Stub()
    stub.objects[NODES] = {"items": list(nodes)}
    stub.objects |= {f"{NODES}/{n['metadata']['name']}": n for n in nodes}
    return stub


async def test_orphans_are_deleted_and_nothing_else_is() -> None:
    stub = stub_with(node("cpu-1"), node("cpu-2"))
    async with serving(stub) as api:
        assert await remove_orphans(api, SERVERS) == ["cpu-2"]
    assert stub.objects.keys() == {NODES, f"{NODES}/cpu-1"}


async def test_one_that_another_has_deleted_is_no_failure() -> None:
    stub = stub_with(node("cpu-2"))
    stub.objects.pop(f"{NODES}/cpu-2")
    async with serving(stub) as api:
        assert await remove_orphans(api, SERVERS) == ["cpu-2"]


async def test_a_refusal_is_told() -> None:
    stub = stub_with(node("cpu-2"))
    stub.refuse["DELETE", NODES] = (500, "etcd is away")
    async with serving(stub) as api:
        with pytest.raises(ApiError, match="etcd is away"):
            await remove_orphans(api, SERVERS)


async def test_clusters_that_cannot_be_asked_keep_no_other_from_being_looked_at(tmp_path: Path) -> None:
    pair = pki.self_signed("admin", [])
    stub, there, away = stub_with(node("cpu-2")), tmp_path / "there", tmp_path / "away"
    async with serving(stub) as api:
        for file, server in ((there, api.server), (away, "http://127.0.0.1:1")):
            file.write_text(kubeconfig(server, pair.certificate, pair.certificate, pair.key, "admin"))
        await follow([tmp_path / "gone", away, there], SERVERS)
    assert stub.objects.keys() == {NODES}

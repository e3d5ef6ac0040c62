"""The client against an HTTP server that fails on order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from kaas.kube.client import USER_AGENT, KubeClient, Limits
from kaas.kube.errors import Conflict, Forbidden, NotFound, Unavailable
from kaas.kube.objects import Ref
from kaas.kube.resources import CONFIG_MAP
from tests.unit.web_server import serving

CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "default"}}
REF = Ref("v1", "ConfigMap", "default", "x")


@dataclass
class Server:
    """Answers from a list; when it is empty, 200 with what was sent."""

    answers: list[tuple[int, str, dict[str, str]]] = field(default_factory=list)
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    url: str = ""

    def plan(self, *codes: int, body: str = "{}", **headers: str) -> None:
        self.answers += [(code, body, headers) for code in codes]

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        self.bodies.append(json.loads(await request.text() or "null"))
        code, body, headers = self.answers.pop(0) if self.answers else (200, json.dumps(self.bodies[-1] or {}), {})
        return web.Response(status=code, text=body, headers=headers)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    fake = Server()
    async with serving(fake.answer) as fake.url:
        yield fake


@pytest.fixture
async def client(server: Server, tmp_path: Path, naps: list[float]) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect(kubeconfig(tmp_path, server.url)) as connected:
        yield connected


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that the client wanted; none is made."""
    wanted: list[float] = []
    real = asyncio.sleep

    async def nap(seconds: float, result: Any = None) -> Any:
        wanted.append(seconds)
        return await real(0, result)

    monkeypatch.setattr("kaas.kube.client.asyncio.sleep", nap)
    return wanted


def kubeconfig(directory: Path, server: str, context: str = "c") -> Path:
    file = directory / "kubeconfig"
    config = {
        "current-context": context,
        "clusters": [{"name": "k", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
    }
    file.write_text(json.dumps(config))
    return file


async def test_apply_is_forced_and_strict(server: Server, client: KubeClient) -> None:
    assert await client.apply(CONFIG) == CONFIG
    request = server.requests[0]
    assert request.method == "PATCH"
    assert request.path == "/api/v1/namespaces/default/configmaps/x"
    assert dict(request.query) == {"fieldManager": "kaas", "force": "true", "fieldValidation": "Strict"}
    assert request.headers["Content-Type"] == "application/apply-patch+yaml"
    assert request.headers["User-Agent"] == USER_AGENT
    assert request.headers["Authorization"] == "Bearer secret"
    await client.apply(CONFIG, dry_run=True)
    assert server.requests[1].query["dryRun"] == "All"


async def test_status_is_applied_alone(server: Server, client: KubeClient) -> None:
    await client.apply_status({**CONFIG, "spec": {"a": 1}, "status": {"phase": "Ready"}})
    assert server.requests[0].path.endswith("/configmaps/x/status")
    assert server.requests[0].query["fieldManager"] == "kaas-status"
    assert server.bodies[0] == {**CONFIG, "status": {"phase": "Ready"}}


async def test_writes_with_preconditions(server: Server, client: KubeClient) -> None:
    read = {**CONFIG, "metadata": {**CONFIG["metadata"], "resourceVersion": "7"}}  # type: ignore[dict-item]
    await client.patch_finalizers(read, ["a/b"])
    assert server.bodies[0] == {"metadata": {"finalizers": ["a/b"], "resourceVersion": "7"}}
    assert server.requests[0].headers["Content-Type"] == "application/merge-patch+json"
    assert await client.delete(REF, uid="u", propagation="Foreground")
    assert server.bodies[1] == {"propagationPolicy": "Foreground", "preconditions": {"uid": "u"}}


async def test_list_names_its_items(server: Server, client: KubeClient) -> None:
    server.plan(200, body='{"items": [{"metadata": {"name": "x"}}]}')
    found = await client.list(CONFIG_MAP, label_selector="a=b,c")
    assert found == [{"metadata": {"name": "x"}, "apiVersion": "v1", "kind": "ConfigMap"}]
    assert server.requests[0].query["labelSelector"] == "a=b,c"
    assert server.requests[0].path == "/api/v1/configmaps"


async def test_what_is_not_there(server: Server, client: KubeClient) -> None:
    server.plan(404, 404)
    assert await client.get(REF) is None
    assert await client.delete(REF) is False
    server.plan(404)
    with pytest.raises(NotFound, match="apply ConfigMap default/x"):
        await client.apply(CONFIG)


async def test_kinds_that_are_not_in_the_table_are_asked_for_once(server: Server, client: KubeClient) -> None:
    kinds = [{"name": "widgets", "kind": "Widget", "namespaced": True}, {"name": "widgets/status", "kind": "Widget"}]
    server.plan(200, body=json.dumps({"resources": kinds}))
    ref = Ref("example.com/v1", "Widget", "default", "w")
    await client.get(ref)
    await client.get(ref)
    assert [r.path for r in server.requests][1:] == ["/apis/example.com/v1/namespaces/default/widgets/w"] * 2
    server.plan(404)
    assert await client.get(Ref("example.com/v2", "Widget", None, "w")) is None


async def test_versions_of_a_group(server: Server, client: KubeClient) -> None:
    versions = [{"version": "v1beta1"}, {"version": "v1"}]
    server.plan(200, body=json.dumps({"preferredVersion": {"version": "v1"}, "versions": versions}))
    assert await client.group_versions("example.com") == ["v1", "v1beta1"]
    server.plan(404)
    assert await client.group_versions("none") == []


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
async def test_idempotent_calls_are_repeated(server: Server, client: KubeClient, naps: list[float], code: int) -> None:
    server.plan(code, code, code)
    await client.apply(CONFIG)
    assert len(server.requests) == 4
    assert [0.15 <= naps[0] <= 0.25, 0.45 <= naps[1] <= 0.75, 1.35 <= naps[2] <= 2.25] == [True] * 3


async def test_repetition_has_an_end(server: Server, client: KubeClient) -> None:
    server.plan(*[503] * 9)
    with pytest.raises(Unavailable):
        await client.get(REF)
    assert len(server.requests) == 4


async def test_the_server_says_when(server: Server, client: KubeClient, naps: list[float]) -> None:
    server.plan(429, **{"Retry-After": "4"})
    server.plan(429, **{"Retry-After": "9999"})
    await client.get(REF)
    assert 3 <= naps[0] <= 5
    assert naps[1] == 10


async def test_create_is_repeated_only_when_nothing_was_done(server: Server, client: KubeClient) -> None:
    server.plan(429)
    await client.create(CONFIG)
    assert len(server.requests) == 2
    server.plan(504)
    with pytest.raises(Unavailable):
        await client.create(CONFIG)
    assert len(server.requests) == 3


@pytest.mark.parametrize(("code", "kind"), [(409, Conflict), (403, Forbidden), (401, Forbidden)])
async def test_decided_is_decided(server: Server, client: KubeClient, code: int, kind: type[Exception]) -> None:
    server.plan(code)
    with pytest.raises(kind):
        await client.apply(CONFIG)
    assert len(server.requests) == 1


async def test_answers_of_something_else(server: Server, client: KubeClient) -> None:
    server.plan(200, body="<html>")
    with pytest.raises(Unavailable, match="not JSON"):
        await client.get(REF)
    server.plan(200, body="[]")
    with pytest.raises(Unavailable, match="not an object"):
        await client.get(REF)


@pytest.mark.usefixtures("naps")
async def test_nobody_answers(tmp_path: Path) -> None:
    async with await KubeClient.connect(kubeconfig(tmp_path, "http://127.0.0.1:1")) as client:
        with pytest.raises(Unavailable, match=r"get ConfigMap default/x: http://127.0.0.1:1 did not answer"):
            await client.get(REF)


@pytest.mark.usefixtures("naps")
async def test_a_proxy_of_the_environment_is_taken_but_not_for_hosts_that_it_leaves_out(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    file = kubeconfig(tmp_path, "http://cluster.invalid:1")
    async with await KubeClient.connect(file) as client:
        await client.get(REF)
    assert str(server.requests[0].url) == "http://cluster.invalid:1/api/v1/namespaces/default/configmaps/x"
    monkeypatch.setenv("no_proxy", "cluster.invalid")
    async with await KubeClient.connect(file) as client:
        with pytest.raises(Unavailable):
            await client.get(REF)


async def test_every_call_has_a_limit(tmp_path: Path, naps: list[float]) -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    hole = await asyncio.start_server(swallow, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{hole.sockets[0].getsockname()[1]}"
    limits = Limits(connect=0.05, request=0.05, attempts=2)
    async with await KubeClient.connect(kubeconfig(tmp_path, url), limits=limits) as client:
        with pytest.raises(Unavailable, match="Timeout"):
            await client.get(REF)
    assert len(naps) == 1
    hole.close()


async def test_requests_are_counted(server: Server, tmp_path: Path, naps: list[float]) -> None:
    seen: list[tuple[str, str, int]] = []
    config = kubeconfig(tmp_path, server.url)
    async with await KubeClient.connect(config, hook=lambda *request: seen.append(request[:3])) as client:
        server.plan(503)
        await client.get(REF)
    assert seen == [("get", "ConfigMap", 503), ("get", "ConfigMap", 200)]
    assert len(naps) == 1


async def test_kubeconfig_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(Forbidden, match="read kubeconfig"):
        await KubeClient.connect(tmp_path / "none")
    with pytest.raises(Forbidden, match="read kubeconfig"):
        await KubeClient.connect(kubeconfig(tmp_path, "http://x"), "no-such-context")


async def test_kubeconfig_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, "http://from-environment")))
    async with await KubeClient.connect() as client:
        assert client.server == "http://from-environment"


POD_READ = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n", "uid": "u"}}
BUDGET = "The disruption budget web needs 1 healthy pods and has 1 currently"


def refusal(code: int, message: str, cause: str = "") -> str:
    causes = [{"reason": "DisruptionBudget", "message": cause}] if cause else []
    return json.dumps({"kind": "Status", "code": code, "message": message, "details": {"causes": causes}})


async def test_eviction(server: Server, client: KubeClient, naps: list[float]) -> None:
    assert await client.evict(POD_READ) == ""
    assert server.requests[0].path == "/api/v1/namespaces/n/pods/p/eviction"
    assert server.bodies[0]["deleteOptions"] == {"preconditions": {"uid": "u"}}
    server.plan(404, 409)
    assert await client.evict(POD_READ) == "", "it is gone"
    assert await client.evict(POD_READ) == "", "another has its name"
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    server.plan(429, body=refusal(429, message, BUDGET))
    assert await client.evict(POD_READ) == f"{message}: {BUDGET}"
    server.plan(500, body=refusal(500, "This pod has more than one PodDisruptionBudget, which is not supported."))
    assert "more than one" in await client.evict(POD_READ)
    server.plan(429, body=refusal(429, "too many requests"))
    with pytest.raises(Unavailable):
        await client.evict(POD_READ)
    assert not naps, "passes repeat it"


async def test_merge_patch(server: Server, client: KubeClient) -> None:
    await client.patch(REF, {"data": {"a": None}})
    assert server.requests[0].headers["Content-Type"] == "application/merge-patch+json"
    assert server.bodies[0] == {"data": {"a": None}}
    await client.patch(REF, {"status": {}}, subresource="status")
    assert server.requests[1].path.endswith("/configmaps/x/status")
    server.plan(500, 500)
    await client.patch(REF, {})
    server.plan(500)
    with pytest.raises(Unavailable):
        await client.patch(REF, {"metadata": {"resourceVersion": "7"}})
    server.plan(404)
    with pytest.raises(NotFound):
        await client.patch(REF, {})


async def test_status_by_another_manager_and_lists_by_field(server: Server, client: KubeClient) -> None:
    await client.apply_status({**CONFIG, "status": {}}, manager="kaas-other")
    assert server.requests[0].query["fieldManager"] == "kaas-other"
    server.plan(200, body='{"items": []}')
    await client.list(CONFIG_MAP, field_selector="metadata.name=x")
    assert dict(server.requests[1].query) == {"fieldSelector": "metadata.name=x"}


async def test_pages(server: Server, client: KubeClient) -> None:
    meta = {"resourceVersion": "7", "continue": "t"}
    server.plan(200, body=json.dumps({"items": [{"metadata": {"name": "x"}}], "metadata": meta}))
    page = await client.page(CONFIG_MAP, limit=1)
    assert (page.items[0]["kind"], page.token, page.version) == ("ConfigMap", "t", "7")
    server.plan(200, body='{"items": [], "metadata": {"resourceVersion": "7"}}')
    assert (await client.page(CONFIG_MAP, limit=1, token="t")).token == ""
    assert server.requests[1].query["continue"] == "t"

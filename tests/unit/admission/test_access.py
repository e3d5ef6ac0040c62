"""How the API server is found and spoken to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from kaas.admission.access import Access, AccessError, find, from_kubeconfig, in_cluster, own_namespace
from kaas.admission.api import Api
from kaas.kube.errors import Conflict, Forbidden, Unavailable


def kubeconfig(path: Path, **user: Any) -> Path:
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1/"}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(config))
    return path


def test_a_kubeconfig_gives_server_and_token(tmp_path: Path) -> None:
    found = from_kubeconfig(kubeconfig(tmp_path / "config", token="t"))
    assert (found.server, found.token, found.tls) == ("http://127.0.0.1:1", "t", None)
    beside = from_kubeconfig(kubeconfig(tmp_path / "config", tokenFile="token"))
    assert beside.token_file == tmp_path / "token"


@pytest.mark.parametrize("text", ["", "[]", "{", "{}", '{"current-context": "x", "contexts": []}', "contexts: 1"])
def test_a_file_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(AccessError, match="config"):
        from_kubeconfig(tmp_path / "config")


def test_programs_are_not_run(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="program"):
        from_kubeconfig(kubeconfig(tmp_path / "config", exec={"command": "login"}))


def test_outside_of_a_pod_there_is_no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", "")
    with pytest.raises(AccessError, match="--kubeconfig"):
        find(None)
    with pytest.raises(AccessError):
        in_cluster(tmp_path)
    assert own_namespace("default", tmp_path) == "default"


async def test_a_token_that_was_renewed_is_read_again(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    seen = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        if seen[-1] == "Bearer old":
            token.write_text("new\n")
            return web.json_response({}, status=401)
        return web.json_response({"kind": "Secret"})

    async with server(answer) as url, Api(Access(url, None, token_file=token)) as api:
        assert await api.get("/x") == {"kind": "Secret"}
        assert await api.get("/x") == {"kind": "Secret"}
    assert seen == ["Bearer old", "Bearer new", "Bearer new"]


@pytest.mark.parametrize(("status", "error"), [(403, Forbidden), (409, Conflict), (503, Unavailable)])
async def test_refusals_have_their_class(status: int, error: type[Exception]) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"message": "no"}, status=status)

    async with server(answer) as url, Api(Access(url, None)) as api:
        with pytest.raises(error):
            await api.get("/x")


async def test_what_is_not_there_is_none_and_nobody_is_unavailable() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({}, status=404)

    async with server(answer) as url, Api(Access(url, None)) as api:
        assert await api.get("/x") is None
    async with Api(Access(url, None)) as api:
        with pytest.raises(Unavailable):
            await api.get("/x")


class server:  # noqa: N801 - used as a function
    """An HTTP server with one handler; gives its URL."""

    def __init__(self, answer: Any) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        self._server = TestServer(app)

    async def __aenter__(self) -> str:
        await self._server.start_server()
        return f"http://127.0.0.1:{self._server.port}"

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

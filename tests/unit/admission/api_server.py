"""An API server as far as a webhook's certificates go, over plain HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from tests.unit.admission.store import Object, Store
from tests.unit.web_server import refusal, serving


@asynccontextmanager
async def api_server(store: Store, kubeconfig: Path) -> AsyncIterator[None]:
    """Has the objects of a store served, and a kubeconfig that leads to them."""

    async def answer(request: web.Request) -> web.Response:
        found = await _found(store, request)
        return refusal(404, "NotFound") if found is None else web.json_response(found)

    async with serving(answer) as url:
        _write(kubeconfig, url)
        yield


def _write(kubeconfig: Path, url: str) -> None:
    config = {
        "clusters": [{"name": "it", "cluster": {"server": url}}],
        "users": [{"name": "it", "user": {}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "current-context": "it",
    }
    kubeconfig.write_text(json.dumps(config))


async def _found(store: Store, request: web.Request) -> Object | None:
    match request.method:
        case "POST":
            return await store.create(request.path, await request.json())
        case "PUT":
            return await store.replace(request.path, await request.json())
        case "PATCH":
            return await store.patch(request.path, await request.json())
    return await store.get(request.path)

"""Somebody else's webhook, which comes after ours and adds a container."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from aiohttp import web

from kaas.admission.certificates import new_ca, new_leaf
from kaas.admission.tls import Tls
from tests.contract.credentials.cluster import Cluster, Object

HOST = "127.0.0.1"
SIDECAR_PORT = 80  # from the API server's port on
NAME = "z-sidecar"  # configurations are asked in the order of their names


@asynccontextmanager
async def sidecar(
    cluster: Cluster, namespace: str, port: int, before: Callable[[], None] = lambda: None
) -> AsyncIterator[None]:
    """The webhook for one namespace, at a port. before: called before each answer."""
    now, tls = datetime.now(UTC), Tls()
    ca = new_ca(now, timedelta(days=1))
    tls.load(new_leaf(ca, [HOST], now, timedelta(days=1)))

    async def asked(request: web.Request) -> web.Response:
        before()
        return await answer(request)

    app = web.Application()
    app.router.add_post("/", asked)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port, ssl_context=tls.context).start()
    configuration = configured(namespace, port, base64.b64encode(ca.certificate).decode())
    try:
        await cluster.apply(configuration)
        yield
    finally:
        await cluster.delete(configuration)
        await runner.cleanup()


async def answer(request: web.Request) -> web.Response:
    """Add the container, once."""
    asked = json.loads(await request.read())["request"]
    response = {"uid": asked["uid"], "allowed": True}
    containers = asked["object"]["spec"]["containers"]
    if not [found for found in containers if found["name"] == "sidecar"]:
        new = {**containers[0], "name": "sidecar", "env": []}
        patch = json.dumps([{"op": "add", "path": "/spec/containers/-", "value": new}])
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(patch.encode()).decode()}
    return web.json_response({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})


def configured(namespace: str, port: int, bundle: str) -> Object:
    """Its configuration."""
    webhook = {
        "name": "sidecar.example.com",
        "clientConfig": {"url": f"https://{HOST}:{port}/", "caBundle": bundle},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    api, kind = "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"
    return {"apiVersion": api, "kind": kind, "metadata": {"name": NAME}, "webhooks": [webhook]}

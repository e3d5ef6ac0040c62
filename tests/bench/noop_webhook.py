"""A webhook in the credential webhook's framework that allows everything: what any webhook costs."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from kaas.admission.certificates import new_ca, new_leaf
from kaas.admission.tls import Tls

NAME = "no-op.example.com"
HOST = "127.0.0.1"
_CHOSEN = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["noop"]}


def configuration(port: int, bundle: str) -> dict[str, Any]:
    """For Pods of the namespace `noop`. bundle: the line that the process prints when it serves."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
    webhook = {
        "name": NAME,
        "clientConfig": {"url": f"https://{HOST}:{port}/no-op", "caBundle": bundle},
        "rules": [{**rule, "scope": "Namespaced"}],
        "namespaceSelector": {"matchExpressions": [_CHOSEN]},
        "sideEffects": "None",
        "timeoutSeconds": 5,
        "admissionReviewVersions": ["v1"],
    }
    metadata = {"name": "no-op"}
    kind = "MutatingWebhookConfiguration"
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": metadata, "webhooks": [webhook]}


async def answer(request: web.Request) -> web.Response:
    """Allow it."""
    review = json.loads(await request.read())
    response = {"uid": review["request"]["uid"], "allowed": True}
    sent = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
    return web.Response(body=json.dumps(sent).encode(), content_type="application/json")


async def main(port: int) -> None:
    """Serve until killed."""
    now, tls = datetime.now(UTC), Tls()
    ca = new_ca(now, timedelta(days=1))
    tls.load(new_leaf(ca, [HOST], now, timedelta(days=1)))
    app = web.Application()
    app.router.add_post("/no-op", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port, ssl_context=tls.context).start()
    sys.stdout.write(base64.b64encode(ca.certificate).decode() + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))

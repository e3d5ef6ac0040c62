"""What each path answers: pure reviews of Pods and claims, with what has to be looked up for them."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol

from kaas.admission.app import Response, Review, Webhook, refusal
from kaas.kube.errors import KubeError
from kaas.kube.objects import Object
from kaas.volumes.webhook import claims, lookups, pods
from kaas.volumes.webhook.lookups import Reader
from kaas.volumes.webhook.metrics import Metrics

log = logging.getLogger(__name__)

PODS: Final = "/mutate-pods"
CLAIMS: Final = "/mutate-claims"
SPEAKER: Final = "volume data"
PATIENCE: Final = 3.0
"""Seconds for which a snapshot is looked for, of the four after which a review is refused."""


@dataclass(frozen=True, slots=True)
class Birth:
    """What a claim is born of. snapshot: name in its namespace, "" for none, and then reason says why.

    came_from: namespace where that was made, "" when it is not known.
    """

    snapshot: str = ""
    key: str = ""
    came_from: str = ""
    reason: str = "NoSnapshot"


class Cradle(Protocol):
    """Finds what a claim may be born of."""

    async def birth(self, namespace: str, claim: Object, *, dry_run: bool) -> Birth:
        """A snapshot that is ready in the claim's namespace; made there from a public one unless `dry_run`.

        Raises a KubeError when it cannot be found out: the claim is then loaded as any other.
        """


def webhooks(reader: Reader, metrics: Metrics, cradle: Cradle) -> dict[str, Webhook]:
    """All webhooks by path."""
    return {
        PODS: Webhook("pods", PodReviews(reader, metrics).answer, speaker=SPEAKER),
        CLAIMS: Webhook("claims", ClaimReviews(metrics, cradle).answer, speaker=SPEAKER),
    }


class PodReviews:
    """Answers about Pods."""

    def __init__(self, reader: Reader, metrics: Metrics) -> None:
        self._reader = reader
        self._metrics = metrics

    async def answer(self, review: Review) -> Response:
        """Answer to one review. A Pod whose claims cannot be read is refused: its controller tries again."""
        request = review["request"]
        pod = request.get("object")
        if not isinstance(pod, dict) or request.get("operation") != "CREATE" or request.get("subResource"):
            return {"allowed": True}
        try:
            found = await lookups.claims(self._reader, str(request.get("namespace") or ""), pods.needs(pod).claims)
        except KubeError as failure:
            message = f"claims of the Pod could not be read ({type(failure).__name__}); try again"
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, message, SPEAKER)
        verdict = pods.verdict(pod, found)
        if verdict.denied:
            return _denied([verdict.denied])
        if verdict.patch and verdict.waits_for:
            self._metrics.gated.inc()
        return _patched(verdict.patch)


class ClaimReviews:
    """Answers about PersistentVolumeClaims."""

    def __init__(self, metrics: Metrics, cradle: Cradle, patience: float = PATIENCE) -> None:
        self._metrics, self._cradle, self._patience = metrics, cradle, patience

    async def answer(self, review: Review) -> Response:
        """Answer to one review."""
        request = review["request"]
        claim, operation = request.get("object"), request.get("operation")
        if not isinstance(claim, dict) or operation not in {"CREATE", "UPDATE"} or request.get("subResource"):
            return {"allowed": True}
        before = request.get("oldObject") if operation == "UPDATE" else None
        if found := claims.faults(claim, before):
            return _denied(found)
        if operation == "CREATE" and claims.wants_snapshot(claim):
            return await self._born(request, claim)
        return _patched(claims.no_longer_fresh(claim, before))

    async def _born(self, request: dict[str, Any], claim: Object) -> Response:
        """A claim whose snapshot cannot be used is loaded as any other: a cache never refuses anything."""
        dry_run, namespace = bool(request.get("dryRun")), str(request.get("namespace") or "")
        try:
            async with asyncio.timeout(self._patience):
                birth = await self._cradle.birth(namespace, claim, dry_run=dry_run)
        except (KubeError, TimeoutError) as failure:
            log.warning("no snapshot could be looked for: %s", failure)
            birth = Birth(reason=f"Unknown{type(failure).__name__}")
        self._metrics.born.labels("snapshot" if birth.snapshot else birth.reason).inc()
        if not birth.snapshot:
            return _patched(claims.born_of_none(claim, birth.reason))
        return _patched(claims.born_of(claim, birth.snapshot, birth.key, birth.came_from))


def _denied(faults: Sequence[str]) -> Response:
    message = "; ".join(faults)
    status = {"code": HTTPStatus.UNPROCESSABLE_ENTITY.value, "reason": "Invalid", "message": f"{SPEAKER}: {message}"}
    return {"allowed": False, "status": status}


def _patched(patch: Sequence[dict[str, Any]]) -> Response:
    if not patch:
        return {"allowed": True}
    encoded = base64.b64encode(json.dumps(list(patch), separators=(",", ":")).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": encoded}

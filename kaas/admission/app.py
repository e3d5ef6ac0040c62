"""The HTTP side: reviews come in and go out, health is told, and a stop loses no request."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web

from kaas.admission.metrics import Metrics

log = logging.getLogger(__name__)

LARGEST = 3 * 1024 * 1024  # bytes: what an API server takes (its --max-request-body-bytes is 3 MiB)
DEADLINE = 4.0  # seconds, of the five that an API server waits: it is to hear our reason, not its own time-out
MARGIN = 0.5  # seconds, of the ones that it says it waits
FAILED = "failed"  # result of a review that was not answered, whoever's fault that is

_SECONDS = re.compile(r"([1-9][0-9]?)s")  # the parameter `timeout` of a call, as client-go writes it

Review = dict[str, Any]
Response = dict[str, Any]
Answer = Callable[[Review], Awaitable[Response]]
"""Gives the `response` of an AdmissionReview without its uid."""


@dataclass(frozen=True)
class Webhook:
    """One path. name: its label in metrics. speaker: who refuses, as its messages begin.

    again: whether the API server asks a second time, by another path, when it gets no review. So what fails is not
    refused here yet.
    """

    name: str
    answer: Answer
    again: bool = False
    speaker: str = "kaas"


class State:
    """What health depends on. certified: whether a certificate is served. draining: set when the process is to end."""

    def __init__(self, certified: Callable[[], bool]) -> None:
        self._certified = certified
        self.draining = False

    def unready(self) -> str:
        """Why no request should come here; empty when it should."""
        if self.draining:
            return "stopping"
        return "" if self._certified() else "no certificate yet"


class Malformed(ValueError):
    """What came is no AdmissionReview; the message says why, without any of it."""


def application(
    webhooks: Mapping[str, Webhook], state: State, metrics: Metrics, deadline: float = DEADLINE
) -> web.Application:
    """What is served over HTTPS: webhooks by path, and health."""
    app = web.Application(client_max_size=LARGEST)
    for path, webhook in webhooks.items():
        app.router.add_post(path, Endpoint(webhook, state, metrics, deadline).handle)
    _add_health(app, state)
    return app


def observation(state: State, metrics: Metrics) -> web.Application:
    """What is served without TLS: metrics, and health for probes."""
    app = web.Application()

    async def exposed(_: web.Request) -> web.Response:
        body, content_type = metrics.text()
        return web.Response(body=body, headers={"Content-Type": content_type})

    app.router.add_get("/metrics", exposed)
    _add_health(app, state)
    return app


def _add_health(app: web.Application, state: State) -> None:
    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(_: web.Request) -> web.Response:
        reason = state.unready()
        return web.Response(text=f"{reason or 'ok'}\n", status=HTTPStatus.SERVICE_UNAVAILABLE if reason else 200)

    app.router.add_get("/healthz", healthy)
    app.router.add_get("/readyz", ready)


class Endpoint:
    """Handler of one webhook: any review is answered with a review, whatever happens."""

    def __init__(self, webhook: Webhook, state: State, metrics: Metrics, deadline: float) -> None:
        self._webhook = webhook
        self._state = state
        self._deadline = deadline
        self._metrics = metrics
        self._seconds = metrics.seconds.labels(webhook.name)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        started = time.perf_counter()
        self._metrics.in_flight.inc()
        try:
            answer = await self._answered(request)
        finally:
            self._metrics.in_flight.dec()
            self._seconds.observe(time.perf_counter() - started)
        if self._state.draining:
            answer.force_close()  # the API server's next request then goes to another replica
        return answer

    async def _answered(self, request: web.Request) -> web.Response:
        try:
            review = parsed(await request.read())
        except Malformed as problem:
            self._count("malformed")
            return web.Response(text=f"{problem}\n", status=HTTPStatus.BAD_REQUEST)
        response = await self._reviewed(review, self.patience(request))
        if self._webhook.again and _result(response) == FAILED:
            return web.Response(text=f"{response['status']['message']}\n", status=HTTPStatus.SERVICE_UNAVAILABLE)
        answer = {
            "apiVersion": review.get("apiVersion"),
            "kind": "AdmissionReview",
            "response": {"uid": review["request"]["uid"], **response},
        }
        return web.Response(body=json.dumps(answer).encode(), content_type="application/json")

    def patience(self, request: web.Request) -> float:
        """Seconds until somebody has to be told why there is no answer: API servers say how long they wait."""
        told = _SECONDS.fullmatch(request.query.get("timeout", ""))
        return min(self._deadline, int(told[1]) - MARGIN) if told else self._deadline

    async def _reviewed(self, review: Review, patience: float) -> Response:
        try:
            async with asyncio.timeout(patience):
                response = await self._webhook.answer(review)
        except TimeoutError:
            self._count(FAILED)
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "no answer in time; try again", self._webhook.speaker)
        except Exception as error:
            self._count(FAILED)
            log.error("a review failed: %s", _where(error))
            message = f"an error of the webhook ({type(error).__name__})"
            return refusal(HTTPStatus.INTERNAL_SERVER_ERROR, message, self._webhook.speaker)
        self._count(_result(response))
        return response

    def _count(self, result: str) -> None:
        self._metrics.requests.labels(self._webhook.name, result).inc()


def parsed(body: bytes) -> Review:
    """AdmissionReview in a body. Raises Malformed."""
    try:
        review = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed("the body is no JSON") from error
    request = review.get("request") if isinstance(review, dict) else None
    if not isinstance(request, dict) or not isinstance(request.get("uid"), str):
        raise Malformed("the body is no AdmissionReview with a request and its uid")
    found: Review = review
    return found


def refusal(code: HTTPStatus, message: str, speaker: str) -> Response:
    """Response that refuses an object for a reason that is not the object's."""
    reasons = {HTTPStatus.SERVICE_UNAVAILABLE: "ServiceUnavailable", HTTPStatus.INTERNAL_SERVER_ERROR: "InternalError"}
    status = {"code": int(code), "message": f"{speaker}: {message}", "reason": reasons.get(code, "Invalid")}
    return {"allowed": False, "status": status}


def _result(response: Response) -> str:
    if not response.get("allowed"):
        code = (response.get("status") or {}).get("code", 0)
        return FAILED if code >= HTTPStatus.INTERNAL_SERVER_ERROR else "denied"
    return "patched" if response.get("patch") else "allowed"


def _where(error: BaseException) -> str:
    """Type of an error and where it came from: its message may hold a value, so nobody prints that."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = " < ".join(f"{frame.name} ({frame.filename.rpartition('/')[2]}:{frame.lineno})" for frame in frames[::-1])
    return f"{type(error).__name__} in {places}"

"""One question to an API as Prometheus has it (Thanos, Mimir and VictoriaMetrics have the same)."""

from __future__ import annotations

import json
import ssl
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from kaas.kube.client import USER_AGENT
from kaas.kube.configuration import proxy_of_environment

_LONGEST: Final = 1024 * 1024  # bytes of an answer: one number has some hundred
_WORDS: Final = 300  # characters that are told of what else was answered


class QueryFailed(Exception):
    """There is no answer, or none that is one number. The words are for a person."""


async def query(url: str, expression: str, seconds: float, *, token: str = "", authority: str = "") -> float | None:
    """Value of a PromQL expression now; None when it has no data. QueryFailed in any other case.

    url: base address, below which `/api/v1/query` is asked. seconds: that all of it may take. token: sent as bearer
    token. authority: certificates in PEM that the server's is to be signed by; when empty, those of the machine.
    `HTTPS_PROXY` and its kin count as for kubectl.
    """
    headers = {"User-Agent": USER_AGENT} | ({"Authorization": f"Bearer {token}"} if token else {})
    form = {"query": expression, "timeout": f"{seconds:g}s"}
    try:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=_trust(authority)),
                timeout=aiohttp.ClientTimeout(total=seconds),
                headers=headers,
                trust_env=False,
            ) as session,
            session.post(
                f"{url.rstrip('/')}/api/v1/query", data=form, proxy=proxy_of_environment(url), allow_redirects=False
            ) as answer,
        ):
            status, body = answer.status, await _body(answer)
    except (aiohttp.ClientError, OSError, ValueError) as failure:
        said = "no answer in time" if isinstance(failure, TimeoutError) else str(failure) or type(failure).__name__
        raise QueryFailed(f"the metrics at {url} could not be asked: {said}") from failure
    return _value(status, body)


@lru_cache(maxsize=64)
def _trust(authority: str) -> ssl.SSLContext:
    """Kept, for the machine's own authorities are read from disk; a few, for an authority may be renewed."""
    return ssl.create_default_context(cadata=authority or None)


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    found = b""
    async for piece in answer.content.iter_any():
        found += piece
        if len(found) > _LONGEST:
            raise ValueError("the answer is far too long for one number")
    return found


def _value(status: int, body: bytes) -> float | None:
    """The number in an answer."""
    try:
        answer: Any = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or "status" not in answer:
        said = body.decode(errors="replace").strip()[:_WORDS]
        raise QueryFailed(f"what answers is no Prometheus (HTTP status {status}): {said}; see spec.metrics of the Site")
    if status != HTTPStatus.OK or answer["status"] != "success":
        why = f"{answer.get('errorType', status)}: {answer.get('error', '')}"
        raise QueryFailed(f"the metrics refuse the query: {why[:_WORDS]}")
    try:
        return _number(answer["data"])
    except (LookupError, TypeError, ValueError) as wrong:
        raise QueryFailed("the answer of the metrics has no number where one is to be") from wrong


def _number(data: dict[str, Any]) -> float | None:
    kind, result = data["resultType"], data["result"]
    if kind == "scalar":
        return float(result[1])
    if kind != "vector":
        raise QueryFailed(f"the query gives a {kind} and not one number: ask for an instant vector, as sum(...)")
    if len(result) > 1:
        raise QueryFailed(f"the query gives {len(result)} series and not one number: put sum(...) or max(...) around")
    return float(result[0]["value"][1]) if result else None

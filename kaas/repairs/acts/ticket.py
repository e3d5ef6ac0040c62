"""Tell whoever looks after nodes that one needs a person."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp

from kaas.api.repair import Ticket
from kaas.kube.client import USER_AGENT
from kaas.kube.objects import Object

log = logging.getLogger(__name__)

TIMEOUT = 5.0  # seconds an attempt
PAUSES = (0.5, 2.0)  # between three attempts
_LATER = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT})

Sleep = Callable[[float], Awaitable[None]]


async def send(ticket: Ticket, body: Object, *, sleep: Sleep = asyncio.sleep) -> bool:
    """POST `body` as JSON; whether it was taken. Raises nothing and lasts 18 seconds at most: run it beside the repair.

    The header Idempotency-Key is the same for the same body, so that a receiver can make one ticket of two calls: put
    no time of sending into it.
    """
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "Idempotency-Key": hashlib.sha256(text).hexdigest()[:32],
    }
    limit = aiohttp.ClientTimeout(total=TIMEOUT)
    failure = ""
    async with aiohttp.ClientSession(timeout=limit, headers=headers, trust_env=True) as session:
        for pause in (*PAUSES, None):
            failure, final = await _once(session, ticket.url, text)
            if not failure:
                return True
            if final or pause is None:
                break
            await sleep(pause)
    log.warning("ticket not sent to %s: %s", urlsplit(ticket.url).hostname, failure)  # the path may hold a secret
    return False


async def _once(session: aiohttp.ClientSession, url: str, text: bytes) -> tuple[str, bool]:
    """Why it was not taken, empty when it was; and whether asking again is of no use."""
    try:
        async with session.post(url, data=text, allow_redirects=False) as answer:
            code = answer.status
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as failure:
        return type(failure).__name__, False  # its words may have the whole address
    if code < HTTPStatus.MULTIPLE_CHOICES:
        return "", True
    later = code >= HTTPStatus.INTERNAL_SERVER_ERROR or code in {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.REQUEST_TIMEOUT,
    }
    return f"HTTP status {code}", not later

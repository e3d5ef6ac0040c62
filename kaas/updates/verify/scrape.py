"""The metrics of the API servers of one Cluster, read."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import aiohttp

from kaas.kube.client import KubeClient
from kaas.kube.errors import Unavailable, error_for
from kaas.updates.verify.counters import Counters, Reader, Unreadable

TIMEOUT: Final = 15.0
"""Seconds that one reading may take: it has some megabytes."""
_WHAT: Final = "read the metrics of the API server"
_PIECE: Final = 32 * 1024  # bytes that are taken at once: a few hundred lines, which hold up the loop for a millisecond


async def scrape(client: KubeClient) -> Counters:
    """What one API server process has counted: whichever a new connection comes to. KubeError when there is none."""
    limit = aiohttp.ClientTimeout(total=TIMEOUT)
    reader = Reader()
    try:
        async with (
            await client.watch_session(aiohttp.ClientResponse) as session,
            session.get(f"{client.server}/metrics", timeout=limit, headers={"Accept": "text/plain"}) as answer,
        ):
            if answer.status != HTTPStatus.OK:
                raise error_for(_WHAT, answer.status, await answer.content.read(_PIECE))
            async for piece in answer.content.iter_chunked(_PIECE):
                reader.feed(piece)
        return reader.counters()
    except Unreadable as wrong:
        raise Unavailable(_WHAT, str(wrong)) from wrong
    except (aiohttp.ClientError, OSError) as failure:
        said = "no answer in time" if isinstance(failure, TimeoutError) else str(failure) or type(failure).__name__
        raise Unavailable(_WHAT, f"{client.server} did not answer: {said}") from failure

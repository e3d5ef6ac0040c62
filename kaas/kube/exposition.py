"""Metrics of an API server: of several MB of text only the lines that are asked for are kept."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from typing import Final

import aiohttp

from kaas.kube.client import KubeClient
from kaas.kube.errors import Unavailable

_CHUNK: Final = 64 * 1024
_SILENCE: Final = 10.0  # seconds without a byte


async def lines(client: KubeClient, names: Collection[str], *, limit: float = 30.0) -> list[str]:
    """Lines of the metrics whose names begin with one of these, in their order. Raises KubeError.

    limit: seconds for all of it.
    """
    path = "/metrics"
    wanted = re.compile(rb"^(?:" + b"|".join(re.escape(n.encode()) for n in names) + rb").*$", re.MULTILINE)
    found: list[str] = []
    try:
        async with asyncio.timeout(limit), await client.text(path, silence=_SILENCE) as answer:
            rest = b""
            async for chunk in answer.content.iter_chunked(_CHUNK):
                whole, cut, rest = (rest + chunk).rpartition(b"\n")
                found += (line.decode() for line in wanted.findall(whole)) if cut else ()
    except (aiohttp.ClientError, TimeoutError, OSError) as failure:
        words = str(failure) or type(failure).__name__
        raise Unavailable(f"read {path}", f"{client.server} did not answer: {words}") from failure
    return found + [line.decode() for line in wanted.findall(rest)]

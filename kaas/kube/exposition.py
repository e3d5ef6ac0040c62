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
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


async def lines(
    client: KubeClient, names: Collection[str], *, path: str = "/metrics", limit: float = 30.0
) -> list[str]:
    """Lines of the metrics whose names begin with one of these, in their order. Raises KubeError.

    limit: seconds for all of it.
    """
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


def labels(line: str) -> dict[str, str]:
    """Labels of a line of metrics."""
    found = _LABEL.findall(line.partition("{")[2].rpartition("}")[0])
    return {name: re.sub(r"\\(.)", _unescaped, value) for name, value in found}


def _unescaped(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]

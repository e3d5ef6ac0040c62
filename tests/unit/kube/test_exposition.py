"""Metrics are read line by line, however they arrive, and only what is asked for is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from kaas.kube.client import KubeClient
from kaas.kube.errors import Forbidden, Unavailable
from kaas.kube.exposition import lines
from kaas.kube.samples import labels
from tests.unit.kube.node_server import kubeconfig
from tests.unit.web_server import serving

WANTED = ('deprecated_apis{group="batch",version="v1beta1"} 1', "deprecated_apis_total 7")
TEXT = "\n".join(["# HELP deprecated_apis Gauge.", WANTED[0], *(f"other{{n={n}}} 1" for n in range(9000)), WANTED[1]])


class Server:
    """Answers with a text in pieces, or not at all."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.status = 200
        self.breaks = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=self.status)
        await response.prepare(request)
        for piece in self.pieces:
            await response.write(piece)
        if self.breaks and request.transport:
            request.transport.abort()
        return response


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def client(server: Server, tmp_path: Path) -> AsyncIterator[KubeClient]:
    file = tmp_path / "kubeconfig"
    async with serving(server.answer, "/metrics") as url:
        file.write_bytes(kubeconfig(url))
        async with await KubeClient.connect(file) as connected:
            yield connected


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
async def test_lines_are_found_wherever_the_text_is_cut(server: Server, client: KubeClient, size: int) -> None:
    text = TEXT if size > 7 else TEXT[:400] + "\n" + WANTED[1]
    server.pieces = [text.encode()[n : n + size] for n in range(0, len(text), size)]
    assert await lines(client, ["deprecated_apis"]) == list(WANTED)


async def test_several_names(server: Server, client: KubeClient) -> None:
    server.pieces = [b'one{a="b"} 1\ntwo 2\nnone 3\n']
    assert await lines(client, ["two", "one"]) == ['one{a="b"} 1', "two 2"]


async def test_a_refusal_and_a_break(server: Server, client: KubeClient) -> None:
    server.status, server.pieces = 403, [b"no"]
    with pytest.raises(Forbidden, match="/metrics"):
        await lines(client, ["one"])
    server.status, server.pieces, server.breaks = 200, [b"one 1\n"], True
    with pytest.raises(Unavailable, match="/metrics"):
        await lines(client, ["one"])


def test_labels() -> None:
    assert labels('a{group="",path="C:\\\\x \\"y\\"\\nz"} 1') == {"group": "", "path": 'C:\\x "y"\nz'}
    assert labels("a 1") == {}

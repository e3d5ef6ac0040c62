"""Cloud Storage, played: listings that lie, tokens, what is stored compressed, and refusals."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from kaas.loader.address import parse
from kaas.loader.source import Changed, Denied, Entry, NotThere, Refused, SourceError, Unreachable
from kaas.loader.sources import google
from kaas.loader.sources.access import ATTEMPTS, Access
from kaas.loader.sources.gcs import GCSSource
from kaas.loader.sources.policy import Policy
from tests.unit.loader.sources.s3_played import MODIFIED
from tests.unit.loader.sources.test_http import quick
from tests.unit.web_server import serving

ENTRY = Entry("key", "key", 4, "17")
ODD = Entry("dir/", "dir/", 4, "17")


def page(*keys: str, token: str | None = None) -> web.Response:
    items = [{"name": k, "size": "4", "generation": "17", "crc32c": "AAAAAA=="} for k in keys]
    return web.json_response({"items": items} | ({"nextPageToken": token} if token else {}))


def content(request: web.Request, body: bytes = b"data", generation: str = "17") -> web.Response:
    headers = {"ETag": '"e"', "Last-Modified": MODIFIED, "x-goog-generation": generation}
    asked = request.headers.get("Range", "")
    if not asked:
        return web.Response(body=body, headers=headers)
    first, last = (int(n) for n in asked.removeprefix("bytes=").split("-"))
    part = body[first : last + 1]
    headers["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(body)}"
    return web.Response(status=206, body=part, headers=headers)


@dataclass
class Played:
    url: str = ""
    asked: list[web.Request] = field(default_factory=list)

    async def source(self, address: str = "gs://bucket/", **said: Any) -> GCSSource:
        asked: dict[str, Any] = {"endpoint": self.url, "anonymous": True}
        access = Access(**(asked | said))
        found = GCSSource(parse(address), access, quick)
        await found.open()
        return found


@asynccontextmanager
async def playing(answer: Callable[[web.Request, int], web.StreamResponse]) -> AsyncIterator[Played]:
    played = Played()

    async def one(request: web.Request) -> web.StreamResponse:
        played.asked.append(request)
        return answer(request, len(played.asked) - 1)

    async with serving(one) as played.url:
        yield played


async def names(source: GCSSource) -> list[str]:
    try:
        return [entry.name async for found in source.pages() for entry in found]
    finally:
        await source.close()


async def test_pages_are_followed() -> None:
    pages = [page("a", "b/", token="t1"), page(token="t2"), page("日 +%")]
    async with playing(lambda _, n: pages[n]) as gcs:
        assert await names(await gcs.source()) == ["a", "b/", "日 +%"]
        assert [r.query.get("pageToken") for r in gcs.asked] == [None, "t1", "t2"]


async def test_a_token_that_comes_again() -> None:
    async with playing(lambda _, n: page(f"k{n}", token=f"t{n % 3}")) as gcs:
        with pytest.raises(Refused, match="goes round in circles"):
            await names(await gcs.source())
        assert len(gcs.asked) == 4


async def test_a_key_outside_of_the_prefix() -> None:
    async with playing(lambda *_: page("models/a", "etc/passwd")) as gcs:
        with pytest.raises(Refused, match="a key outside of it, 'etc/passwd'"):
            await names(await gcs.source("gs://bucket/models/"))


async def test_a_busy_server_is_asked_again() -> None:
    async with playing(lambda _, n: page("a") if n == 2 else web.Response(status=503)) as gcs:
        assert await names(await gcs.source()) == ["a"]
    async with playing(lambda *_: web.Response(status=429)) as gcs:
        with pytest.raises(Unreachable, match="gs://bucket/: no good answer"):
            await names(await gcs.source())
        assert len(gcs.asked) == ATTEMPTS


@pytest.mark.parametrize("text", ["not JSON", "[]", '{"items": [{"name": "x"}]}'])
async def test_what_is_no_listing(text: str) -> None:
    async with playing(lambda *_: web.Response(text=text, content_type="application/json")) as gcs:
        with pytest.raises((Refused, Unreachable), match="gs://bucket/"):
            await names(await gcs.source())


OUTCOMES: list[tuple[int, type[SourceError]]] = [
    (404, Changed),
    (412, Changed),
    (416, Changed),
    (403, Denied),
    (401, Denied),
    (503, Unreachable),
    (429, Unreachable),
    (400, Refused),
]


@pytest.mark.parametrize(("status", "kind"), OUTCOMES)
@pytest.mark.parametrize("entry", [ENTRY, ODD])
async def test_outcomes(status: int, kind: type[SourceError], entry: Entry) -> None:
    async with playing(lambda *_: web.Response(status=status)) as gcs:
        source = await gcs.source()
        with pytest.raises(kind, match=f"gs://bucket/{entry.key}"):
            await source.read(entry, 0, 4)
        await source.close()


async def test_another_generation_or_size_is_noticed() -> None:
    for wrong in ({"generation": "18"}, {"body": b"longer"}):
        async with playing(lambda r, _, wrong=wrong: content(r, **wrong)) as gcs:  # type: ignore[misc]
            source = await gcs.source()
            with pytest.raises((Changed, Unreachable)):
                await source.read(ENTRY, 0, 4)
            with pytest.raises(Changed, match="not what was listed"):
                await source.read(ENTRY, 1, 2)
            await source.close()


async def test_what_is_stored_compressed_is_asked_for_as_it_is() -> None:
    async with playing(lambda r, _: content(r)) as gcs:
        source = await gcs.source()
        for entry in (ENTRY, ODD):
            assert bytes(await source.read(entry, 0, 4)) == b"data"
        assert ["gzip" in r.headers["Accept-Encoding"] for r in gcs.asked] == [True, True]
        assert gcs.asked[0].query["generation"] == "17"
        await source.close()


async def test_a_missing_object_and_bucket() -> None:
    async with playing(lambda *_: web.Response(status=404)) as gcs:
        for address in ("gs://bucket/x", "gs://bucket/x/"):
            with pytest.raises(NotThere, match="there is no such"):
                await names(await gcs.source(address))


async def test_the_token_of_a_service_account_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, account: dict[str, Any]
) -> None:
    """Of a person's file, whose token comes from where it says; in a Pod only Google's own would be asked."""

    def answer(request: web.Request, _: int) -> web.StreamResponse:
        if request.path == "/token":
            return web.json_response({"access_token": "hunter2", "expires_in": 3600, "token_type": "Bearer"})
        if request.headers.get("Authorization") != "Bearer hunter2":
            return web.Response(status=401)
        return page("key", "dir/") if request.path.endswith("/o") else content(request)

    async with playing(answer) as gcs:
        file = tmp_path / "account.json"
        file.write_text(json.dumps(account | {"token_uri": f"{gcs.url}/token"}))
        monkeypatch.setenv(google.FILE, str(file))
        source = await gcs.source(anonymous=False)
        found = [entry async for entries in source.pages() for entry in entries]
        assert [bytes(await source.read(entry, 0, 4)) for entry in found] == [b"data", b"data"]
        await source.close()
        with pytest.raises(Denied, match="token_uri is not Google's"):
            await gcs.source(anonymous=False, pod=True)


async def test_endpoints_under_a_policy() -> None:
    async with playing(lambda *_: page("a")) as gcs:
        with pytest.raises(Refused, match="no address of the public internet"):
            await gcs.source(policy=Policy())
        assert await names(await gcs.source(policy=Policy.parse(["127.0.0.0/8"]))) == ["a"]
        source = await gcs.source(policy=Policy(), endpoint="https://localhost:1")
        for entry in (ENTRY, ODD):
            with pytest.raises(Refused, match="localhost is not allowed"):
                await source.read(entry, 0, 4)
        with pytest.raises(Refused, match="localhost is not allowed"):
            await names(source)


TOLD: list[tuple[str, str, bool]] = [
    ("https://evil.example.com", "", False),
    ("https://evil.execute-api.eu-west-1.amazonaws.com", "", False),
    ("https://storage.googleapis.com.evil.example", "", False),
    ("https://evil.example.com", "192.0.2.0/24", False),
    ("https://private.googleapis.com", "", True),
    ("https://gcs.corp", "gcs.corp", True),
    ("https://192.0.2.7", "192.0.2.0/24", True),
]


@pytest.mark.parametrize(("endpoint", "allowed", "told"), TOLD)
async def test_whom_a_token_is_shown_to(
    endpoint: str,
    allowed: str,
    told: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    account: dict[str, Any],
) -> None:
    file = tmp_path / "account.json"
    file.write_text(json.dumps(account))
    monkeypatch.setenv(google.FILE, str(file))
    asked: dict[str, Any] = {"endpoint": endpoint, "policy": Policy.parse([allowed])}
    if told:
        await (await Played().source(**asked, anonymous=False, pod=True)).close()
        return
    with pytest.raises(Refused, match=f"{urlsplit(endpoint).hostname}: tokens for Cloud Storage are not shown to it"):
        await Played().source(**asked, anonymous=False, pod=True)
    await (await Played().source(**asked)).close()

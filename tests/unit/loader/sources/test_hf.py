"""A repository of Hugging Face, played: one commit, pages of its tree, contents from somewhere else."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from kaas.loader.address import parse
from kaas.loader.source import Algorithm, Changed, Checksum, Denied, Entry, NotThere, Refused
from kaas.loader.sources.access import Access
from kaas.loader.sources.hf import HFSource
from tests.unit.loader.sources.test_http import quick, ranged
from tests.unit.web_server import serving

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"README.md": b"# it", "data/a b.parquet": b"large" * 100, "data/sub/empty": b"", "data2/x": b"x"}
API = "/api/datasets/owner/name"


@dataclass
class Hub:
    """The hub and, at another address, where its contents are."""

    hub: str = ""
    cdn: str = ""
    tokens: list[tuple[str, str]] = field(default_factory=list)
    round: bool = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.tokens.append(("hub", request.headers.get("Authorization", "")))
        if request.path == f"{API}/revision/v1":
            return web.json_response({"sha": COMMIT})
        if request.path.startswith(f"{API}/tree/{COMMIT}"):
            return self._tree(request)
        place = f"/datasets/owner/name/resolve/{COMMIT}/"
        if request.path.startswith(place) and request.path.removeprefix(place) in FILES:
            where = self.cdn + "/" + request.raw_path.removeprefix(place)
            return web.Response(status=302, headers={"Location": where})
        return web.Response(status=404)

    def _tree(self, request: web.Request) -> web.StreamResponse:
        below = request.path.removeprefix(f"{API}/tree/{COMMIT}").removeprefix("/")
        items = [_item(path) for path in sorted(FILES) if path.startswith(f"{below}/" if below else "")]
        if request.query["recursive"] == "false":
            items = [i for i in items if "/" not in str(i["path"]).removeprefix(below).removeprefix("/")]
            items.append({"type": "directory", "path": "data", "oid": "x", "size": 0})
        at = int(request.query.get("cursor", "0"))
        headers = {}
        if len(items) > at + 2 or self.round:
            query = f"recursive={request.query['recursive']}&cursor={0 if self.round else at + 2}"
            headers["Link"] = f'<{self.hub}{request.path}?{query}>; rel="next"'
        return web.json_response(items[at : at + 2], headers=headers)

    async def content(self, request: web.Request) -> web.StreamResponse:
        self.tokens.append(("cdn", request.headers.get("Authorization", "")))
        return ranged(request, FILES[request.path.removeprefix("/")])


def _item(path: str) -> dict[str, object]:
    data = FILES[path]
    found: dict[str, object] = {"type": "file", "path": path, "oid": f"git-{path}", "size": len(data)}
    if path.endswith(".parquet"):
        found["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return found


@asynccontextmanager
async def playing() -> AsyncIterator[Hub]:
    hub = Hub()
    async with serving(hub.answer) as hub.hub, serving(hub.content) as hub.cdn:
        yield hub


def source_of(hub: Hub, path: str = "", **said: object) -> HFSource:
    access = Access(endpoint=hub.hub, **said)  # type: ignore[arg-type]
    return HFSource(parse(f"hf://datasets/owner/name@v1/{path}"), access, quick)


async def listed(source: HFSource) -> list[Entry]:
    return [entry async for page in source.pages() for entry in page]


async def test_all_pages_and_all_contents() -> None:
    async with playing() as hub:
        source = source_of(hub)
        entries = await listed(source)
        assert {e.name: e.size for e in entries} == {path: len(data) for path, data in FILES.items()}
        for entry in entries:
            assert bytes(await source.read(entry, 0, entry.size)) == FILES[entry.key]
        large = next(e for e in entries if e.key == "data/a b.parquet")
        assert bytes(await source.read(large, 5, 10)) == FILES[large.key][5:15]
        assert large.checksum == Checksum(Algorithm.SHA256, hashlib.sha256(FILES[large.key]).hexdigest())
        assert await source.checksum(entries[0]) is None
        await source.close()


async def test_a_directory_and_a_file() -> None:
    async with playing() as hub:
        source = source_of(hub, "data/")
        assert {e.name for e in await listed(source)} == {"a b.parquet", "sub/empty"}
        await source.close()
        source = source_of(hub, "README.md")
        assert [(e.key, e.name) for e in await listed(source)] == [("README.md", "README.md")]
        await source.close()
        for path, said in (
            ("data", "is no file but a directory"),
            ("nope", "no such file"),
            ("nope/", "nothing in it"),
        ):
            source = source_of(hub, path)
            with pytest.raises(NotThere, match=said):
                await listed(source)
            await source.close()


async def test_the_token_is_shown_to_the_hub_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hunter2")
    async with playing() as hub:
        source = source_of(hub)
        for entry in await listed(source):
            await source.read(entry, 0, entry.size)
        await source.close()
        assert {token for where, token in hub.tokens if where == "hub"} == {"Bearer hunter2"}
        assert {token for where, token in hub.tokens if where == "cdn"} == {""}
        hub.tokens.clear()
        source = source_of(hub, anonymous=True)
        await listed(source)
        await source.close()
        assert {token for _, token in hub.tokens} == {""}


async def test_a_listing_in_circles() -> None:
    async with playing() as hub:
        hub.round = True
        source = source_of(hub)
        with pytest.raises(Refused, match="goes round in circles"):
            await listed(source)
        await source.close()


@pytest.mark.parametrize(("status", "kind"), [(401, Denied), (403, Denied), (404, NotThere)])
async def test_repositories_that_are_not_for_everybody(status: int, kind: type[Exception]) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status)

    async with serving(answer) as url:
        source = source_of(Hub(url))
        with pytest.raises(kind, match="hf://datasets/owner/name@v1/"):
            await listed(source)
        await source.close()


async def test_what_is_no_hub() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(["something"])

    async with serving(answer) as url:
        source = source_of(Hub(url))
        with pytest.raises(Refused, match="no hub"):
            await listed(source)
        await source.close()


async def test_a_file_that_is_shorter_than_was_listed() -> None:
    async with playing() as hub:
        source = source_of(hub)
        (entry,) = [e for e in await listed(source) if e.key == "README.md"]
        with pytest.raises(Changed):
            await source.read(Entry(entry.key, entry.name, 100, entry.version), 50, 10)
        await source.close()

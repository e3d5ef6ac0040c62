"""Endpoints without TLS that are allowed by their address: a redirect from there leads nowhere that is not allowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from kaas.loader.address import parse
from kaas.loader.source import Entry, Refused, Source, Streaming
from kaas.loader.sources.access import Access
from kaas.loader.sources.opening import open_source
from kaas.loader.sources.policy import Policy
from tests.unit.loader.sources import s3_played, test_gcs_played
from tests.unit.loader.sources.tls import ALLOWED, INSIDE

POLICY = Policy.parse([f"{ALLOWED}/32"])
NEVER = Policy.parse(["127.0.0.0/8", f"!{INSIDE}/32"])
NOT_FOLLOWED = "is sent to another server without TLS, which is not followed"
Page = Callable[..., web.Response]
Content = Callable[[web.Request], web.Response]


@dataclass
class Server:
    """A server that plays a store. redirect: where it sends whoever reads; lists: whether a listing is answered."""

    page: Page
    content: Content
    redirect: str = ""
    lists: bool = True
    url: str = ""
    asked: list[web.Request] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        listing = "list-type" in request.query or request.path.endswith("/o")
        if self.redirect not in {"", request.path} and not (listing and self.lists):
            return web.Response(status=302, headers={"Location": self.redirect})
        return self.page("key", "dir/") if listing else self.content(request)


KINDS: dict[str, tuple[Page, Content, Entry]] = {
    "s3": (s3_played.page, s3_played.content, Entry("key", "key", 4, s3_played.ETAG)),
    "gs": (test_gcs_played.page, test_gcs_played.content, test_gcs_played.ENTRY),
}


@asynccontextmanager
async def serving(kind: str, address: str, redirect: str = "", *, lists: bool = True) -> AsyncIterator[Server]:
    server = Server(*KINDS[kind][:2], redirect, lists)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, address, 0).start()
    try:
        server.url = f"http://{address}:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()


async def opened(kind: str, server: Server, policy: Policy | None = POLICY) -> Source:
    access = Access(server.url, "us-east-1", anonymous=True, policy=policy, pod=policy is not None)
    return await open_source(parse(f"{kind}://bucket/"), access)


async def streamed(source: Source, entry: Entry) -> bytes:
    """What a thread gets."""
    assert isinstance(source, Streaming)
    found = source.stream(entry, 0, entry.size)
    assert found is not None
    return await asyncio.to_thread(lambda: b"".join(map(bytes, found.pieces)))


@pytest.mark.parametrize("policy", [POLICY, NEVER], ids=["not public", "never"])
@pytest.mark.parametrize("host", [INSIDE, "localhost"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_redirect_of_a_read_leads_nowhere(kind: str, host: str, policy: Policy) -> None:
    entry = KINDS[kind][2]
    async with serving(kind, "0.0.0.0") as secret:  # noqa: S104 - of the loopback's addresses
        there = f"http://{host}:{secret.url.rpartition(':')[2]}/secret"
        async with serving(kind, ALLOWED, there) as server:
            source = await opened(kind, server, policy)
            with pytest.raises(Refused, match=NOT_FOLLOWED):
                await source.read(entry, 0, 4)
            with pytest.raises(Refused, match=NOT_FOLLOWED):
                await streamed(source, entry)
            with pytest.raises(Refused):
                await source.read(Entry("dir/", "dir/", 4, entry.version), 0, 4)
            assert (len(server.asked) >= 3, secret.asked) == (True, [])
            await source.close()


async def test_whose_library_shows_the_key_again_is_told_why() -> None:
    odd = Entry("dir/", "dir/", 4, KINDS["gs"][2].version)
    for policy, said in ((POLICY, "no address of the public internet"), (NEVER, "never allowed")):
        async with serving("gs", ALLOWED, f"http://{INSIDE}:1/secret") as server:
            source = await opened("gs", server, policy)
            with pytest.raises(Refused, match=rf"{INSIDE} is {said}"):
                await source.read(odd, 0, 4)
            await source.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_nor_does_one_of_a_listing(kind: str) -> None:
    async with (
        serving(kind, INSIDE) as secret,
        serving(kind, ALLOWED, f"{secret.url}/o?list-type=2", lists=False) as server,
    ):
        source = await opened(kind, server)
        with pytest.raises(Refused):
            _ = [page async for page in source.pages()]
        assert (bool(server.asked), secret.asked) == (True, [])
        await source.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_one_of_the_same_server_is_followed(kind: str) -> None:
    async with serving(kind, ALLOWED, "/elsewhere/key") as server:
        source = await opened(kind, server)
        entry = KINDS[kind][2]
        assert bytes(await source.read(entry, 0, 4)) == await streamed(source, entry) == b"data"
        assert bytes(await source.read(entry, 1, 2)) == b"at"
        assert sum(request.path == "/elsewhere/key" for request in server.asked) == 3
        assert not any(name.lower().startswith("proxy-") for request in server.asked for name in request.headers)
        await source.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_without_a_policy_it_leads_there(kind: str) -> None:
    """That libraries follow redirects is why there is a guard; when they do not any more, this test says so."""
    async with serving(kind, INSIDE) as secret, serving(kind, ALLOWED, f"{secret.url}/secret") as server:
        source = await opened(kind, server, None)
        assert await streamed(source, KINDS[kind][2]) == b"data"
        assert [request.path for request in secret.asked] == ["/secret"]
        await source.close()


async def test_plain_reads_of_s3_are_made_directly() -> None:
    """Over the wire, which follows no redirect, to the address that was looked at; in other processes, too."""
    async with serving("s3", ALLOWED) as server:
        source = await opened("s3", server)
        assert [entry.key async for page in source.pages() for entry in page] == ["key", "dir/"]
        assert await streamed(source, KINDS["s3"][2]) == b"data"
        assert server.asked[-1].headers["User-Agent"] == "kaas-load"
        assert await source.reader() is not None  # type: ignore[attr-defined]
        await source.close()


async def test_a_proxy_of_the_environment_is_not_asked_for_what_is_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.9:1")
    monkeypatch.setenv("no_proxy", "*")
    async with serving("s3", ALLOWED) as server:
        source = await opened("s3", server)
        found = [entry async for page in source.pages() for entry in page]
        assert [bytes(await source.read(entry, 0, 4)) for entry in found] == [b"data", b"data"]
        await source.close()

"""S3 over TLS through the guard: what is allowed is read, and a redirect to what is not leads nowhere."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from kaas.loader.address import parse
from kaas.loader.source import Entry, Refused, Source
from kaas.loader.sources.access import Access
from kaas.loader.sources.opening import open_source
from kaas.loader.sources.policy import Policy
from tests.unit.loader.sources.s3_played import ETAG, content, names, page
from tests.unit.loader.sources.tls import ALLOWED, INSIDE, Certificate

POLICY = Policy.parse([f"{ALLOWED}/32"])


@dataclass
class Server:
    """A server with TLS at an address of loopback. asked: paths."""

    redirect: str = ""
    url: str = ""
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if "list-type" in request.query:
            return page("key", "dir/")
        if self.redirect:
            return web.Response(status=302, headers={"Location": self.redirect})
        return content(request)


@asynccontextmanager
async def serving(address: str, certificate: Certificate, redirect: str = "") -> AsyncIterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain)
    server = Server(redirect)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, address, 0, ssl_context=context).start()
    try:
        server.url = f"https://{address}:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()


async def source_of(server: Server) -> Source:
    return await open_source(parse("s3://bucket/"), Access(server.url, "us-east-1", policy=POLICY, pod=True))


@pytest.fixture
def trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    """The certificate, whose authority is trusted."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate.ca))
    return certificate


async def test_what_is_allowed_is_read(trusted: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.9:1")  # it would be asked by whoever ignores the guard
    monkeypatch.setenv("NO_PROXY", "*")
    async with serving(ALLOWED, trusted) as server:
        source = await source_of(server)
        found = [entry async for entries in source.pages() for entry in entries]
        assert [entry.key for entry in found] == ["key", "dir/"]
        assert [bytes(await source.read(entry, 0, 4)) for entry in found] == [b"data", b"data"]
        await source.close()


async def test_a_redirect_to_the_inside_leads_nowhere(trusted: Certificate) -> None:
    async with serving(INSIDE, trusted) as secret, serving(ALLOWED, trusted, f"{secret.url}/secret") as server:
        source = await source_of(server)
        for key in ("key", "dir/"):
            with pytest.raises(Refused) as refusal:
                await source.read(Entry(key, key, 4, ETAG), 0, 4)
        assert "127.0.0.3 is no address of the public internet" in str(refusal.value)
        assert not secret.asked
        await source.close()


async def test_without_a_policy_it_would_lead_there(trusted: Certificate) -> None:
    """That obstore follows redirects is why there is a guard; when it does not any more, this test says so."""
    async with serving(INSIDE, trusted) as secret, serving(ALLOWED, trusted, f"{secret.url}/secret") as server:
        source = await open_source(parse("s3://bucket/"), Access(server.url, "us-east-1"))
        await source.read(Entry("key", "key", 4, ETAG), 0, 4)
        assert secret.asked == ["/secret"]
        await source.close()


async def test_the_inside_itself(trusted: Certificate) -> None:
    async with serving(INSIDE, trusted) as server:
        with pytest.raises(Refused, match=r"127\.0\.0\.3 is no address"):
            await source_of(server)


async def test_a_certificate_that_is_not_trusted(certificate: Certificate) -> None:
    async with serving(ALLOWED, certificate) as server:
        source = await open_source(parse("s3://bucket/"), Access(server.url, "us-east-1", policy=POLICY))
        with pytest.raises(Refused, match="certificate is not trusted here: add its CA"):
            await source.read(Entry("key", "key", 4, ETAG), 0, 4)
        with pytest.raises(Refused, match="certificate is not trusted here: add its CA"):
            await names(source)

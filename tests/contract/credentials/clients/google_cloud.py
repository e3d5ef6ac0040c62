"""Google Cloud as far as clients of Cloud Storage need it, under its own names: tokens, impersonation, storage.

Programs reach it through a proxy, as in a cluster without a way out of its own, and trust the CA of its certificate:
addresses in their credentials are Google's, and stay so.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.request import Request, urlopen

from aiohttp import ClientSession, web
from gcp_storage_emulator.server import create_server

from tests.contract.credentials.clients.issuer import Issuer, Refused, verified

BUCKET: Final = "team-data"
TOKEN_URI: Final = "https://oauth2.googleapis.com/token"
EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ASSERTION: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
HOSTS: Final = tuple(f"{name}.googleapis.com" for name in ("oauth2", "storage", "sts", "iamcredentials", "www"))
_HOST: Final = "127.0.0.1"
_HOP: Final = frozenset({"connection", "transfer-encoding", "content-length", "content-encoding", "host"})
_LIFE: Final = 3600


@dataclass
class Google:
    """keys: public ones by service account. proxy: URL. log: who was given a token, and by what.

    principals: whom the pool of `audience` may act as which service account.
    """

    issuer: Issuer
    audience: str
    keys: dict[str, bytes] = field(default_factory=dict)
    principals: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    proxy: str = ""
    emulator: str = ""
    _tokens: dict[str, str] = field(default_factory=dict)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Whatever is asked under one of the names."""
        service = (request.url.host or "").partition(".")[0]
        try:
            if service in ("oauth2", "sts") and request.path.endswith("/token"):
                return self._token(await request.post())
            if service == "sts":
                return self._introspected(await request.post())
            if service == "iamcredentials":
                return self._impersonated(request)
            return await self._storage(request)
        except Refused as error:
            return web.json_response({"error": "invalid_grant", "error_description": str(error)}, status=401)

    def put(self, name: str, content: str) -> None:
        """An object that is there already."""
        url = f"{self.emulator}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={name}"
        urlopen(Request(url, content.encode(), {"Content-Type": "text/plain"})).close()  # noqa: S310 - on loopback

    def _token(self, form: Any) -> web.Response:
        if form["grant_type"] == ASSERTION:
            return self._given(self._signer(form["assertion"]), "key")
        if form["grant_type"] != EXCHANGE or form["audience"] != self.audience:
            raise Refused(f"grant {form['grant_type']}")
        return self._given(self.issuer.account(form["subject_token"], self.audience), "token")

    def _introspected(self, form: Any) -> web.Response:
        """What gcloud asks to call its user by name, RFC 7662."""
        who = self._owner(form["token"])
        return web.json_response({"active": True, "username": f"principal:{self.audience}/subject/{who}"})

    def _signer(self, assertion: str) -> str:
        """The service account whose key has signed."""
        for email, key in self.keys.items():
            try:
                claims = verified(assertion, key, TOKEN_URI)
            except Refused:
                continue
            if claims["iss"] == email:
                return email
        raise Refused("Invalid JWT Signature.")

    def _given(self, who: str, by: str) -> web.Response:
        answer = {"access_token": self._new(who, by), "expires_in": _LIFE, "token_type": "Bearer"}
        return web.json_response({**answer, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})

    def _new(self, who: str, by: str) -> str:
        token = secrets.token_urlsafe(20)
        self._tokens[token] = who
        self.log.append(f"{who} by {by}")
        return token

    def _impersonated(self, request: web.Request) -> web.Response:
        principal, email = self._caller(request), request.path.rpartition("/")[2].partition(":")[0]
        if self.principals.get(principal) != email:
            raise Refused(f"{principal} may not act as {email}")
        token = self._new(email, "impersonation")
        return web.json_response({"accessToken": token, "expireTime": "2199-01-01T00:00:00Z"})

    def _caller(self, request: web.Request) -> str:
        return self._owner(request.headers.get("Authorization", "").removeprefix("Bearer "))

    def _owner(self, token: str) -> str:
        if token not in self._tokens:
            raise Refused("Invalid Credentials")
        return self._tokens[token]

    async def _storage(self, request: web.Request) -> web.Response:
        self._caller(request)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        body = await request.read()
        async with (
            ClientSession(auto_decompress=False) as session,
            session.request(request.method, self.emulator + request.path_qs, data=body, headers=headers) as answer,
        ):
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)


@contextmanager
def google(issuer: Issuer, audience: str, tls: ssl.SSLContext) -> Iterator[Google]:
    """The cloud, served by a thread while the context lasts."""
    cloud, loop, ended = Google(issuer, audience), asyncio.new_event_loop(), asyncio.Event()
    ready = threading.Event()
    storage = create_server(_HOST, 0, in_memory=True, default_bucket=BUCKET)
    storage.start()
    cloud.emulator = f"http://{_HOST}:{storage._api._httpd.server_port}"

    async def serve() -> None:
        async with _serving(cloud, tls):
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield cloud
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()
        storage.stop()


@asynccontextmanager
async def _serving(cloud: Google, tls: ssl.SSLContext) -> AsyncIterator[None]:
    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/{path:.*}", cloud.answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, _HOST, 0, ssl_context=tls).start()
    tunnels: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tunnels.add(task)
        try:
            await _tunnel(reader, writer, runner.addresses[0][1])
        except OSError:
            pass  # either side may hang up
        finally:
            tunnels.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, _HOST, 0)
    cloud.proxy = f"http://{_HOST}:{server.sockets[0].getsockname()[1]}"
    try:
        yield
    finally:
        server.close()
        for task in tunnels:
            task.cancel()
        await asyncio.gather(*tunnels, return_exceptions=True)
        await runner.cleanup()


async def _tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """One CONNECT, RFC 9110 9.3.6; every name of Google's leads to the same server, and no other anywhere."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split()
    method, target = head[0], head[1].partition(":")[0]
    if method != "CONNECT" or target not in HOSTS:
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        return
    remote_reader, remote = await asyncio.open_connection(_HOST, port)
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    await asyncio.gather(_copy(reader, remote), _copy(remote_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()

"""Requests to web servers: each name, each redirect, is checked and connected to as it was checked."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDictProxy
from yarl import URL

from kaas.loader.source import Refused, SourceError, Unreachable
from kaas.loader.sources import failures
from kaas.loader.sources.access import CONNECT_SECONDS, STALL_SECONDS
from kaas.loader.sources.failures import Answer
from kaas.loader.sources.guard import Lookup, NotAllowed, checked, system_lookup
from kaas.loader.sources.policy import Policy

REDIRECTS: Final = 5
NO_RANGE: Final = 416
"""Of HTTP: the range that was asked for is not there."""
_MOVED: Final = frozenset({301, 302, 303, 307, 308})


class _Resolver(AbstractResolver):
    """Gives aiohttp only addresses that are allowed; it connects to just these."""

    def __init__(self, policy: Policy, lookup: Lookup) -> None:
        self._policy = policy
        self._lookup = lookup

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        found = await checked(self._policy, host, port, self._lookup)
        return [_result(host, port, address) for address in found]

    async def close(self) -> None:
        """Nothing is open."""


def _result(host: str, port: int, address: str) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with a good status, its body unread. url: where it came from in the end."""

    response: aiohttp.ClientResponse
    url: str

    @property
    def status(self) -> int:
        """Of HTTP."""
        return self.response.status

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """Of the answer."""
        return self.response.headers


class Web:
    """Connections to web servers under a policy; None lets everything through, and takes proxies of the environment."""

    def __init__(self, policy: Policy | None, lookup: Lookup = system_lookup) -> None:
        self._policy = policy
        resolver = _Resolver(policy, lookup) if policy else None
        connector = aiohttp.TCPConnector(resolver=resolver, limit=0, use_dns_cache=policy is None)
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            trust_env=policy is None,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=STALL_SECONDS),
            headers={"User-Agent": "kaas-load", "Accept-Encoding": "identity"},
            max_line_size=32 * 1024,
            max_field_size=32 * 1024,
        )

    async def ask(
        self, url: str, what: str, *, headers: Mapping[str, str] | None = None, listed: bool = False
    ) -> Reply:
        """The answer to a GET: of status 2xx, or 416 for a range that is not there; after redirects.

        An Authorization header is for the first host only. Raises a SourceError. Who gets a Reply reads or closes it.
        """
        sent, first = dict(headers or {}), urlsplit(url).netloc
        for _ in range(REDIRECTS + 1):
            self.check(url)
            if urlsplit(url).netloc != first:
                sent.pop("Authorization", None)
            try:
                response = await self._session.get(URL(url, encoded=True), headers=sent, allow_redirects=False)
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError, NotAllowed) as error:
                raise _failure(error, what) from None
            if response.status not in _MOVED:
                return self._good(response, url, what, listed=listed)
            response.release()
            url = _there(url, response.headers.get("Location", ""), what)
        raise Refused(f"{what}: is redirected more than {REDIRECTS} times: the server is wrong")

    def check(self, url: str) -> None:
        """Refused for a URL that the policy does not allow by its name alone."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Refused(f"{parts.scheme}://{parts.hostname}: is redirected to what is no web server")
        if self._policy and (refusal := self._policy.refusal(parts.scheme, parts.hostname)):
            raise Refused(f"{parts.scheme}://{parts.hostname}: {refusal}")

    def _good(self, response: aiohttp.ClientResponse, url: str, what: str, *, listed: bool) -> Reply:
        if response.ok or response.status == NO_RANGE:
            return Reply(response, url)
        response.close()
        wait = failures.seconds(response.headers.get("Retry-After"))
        raise failures.error_of(Answer(response.status, wait=wait), what, listed=listed)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


def _there(url: str, location: str, what: str) -> str:
    """Where a redirect leads. Refused when that is no URL."""
    try:
        found = urljoin(url, location)
        urlsplit(found)
    except ValueError as error:
        raise _failure(error, what) from None
    return found


def _failure(error: Exception, what: str) -> SourceError:
    """Of a connection; the text of an error may quote a URL with a token in it, so only its kind is said."""
    if isinstance(error, NotAllowed):
        return Refused(f"{what}: {error}")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Refused(f"{what}: the certificate is not trusted here: add its CA")
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        return Refused(f"{what}: is redirected to what is no URL")
    return Unreachable(f"{what}: no good answer ({type(error).__name__})")


async def part(reply: Reply, length: int, what: str) -> bytes:
    """The next so many bytes of a body, exactly."""
    try:
        return await reply.response.content.readexactly(length)
    except asyncio.IncompleteReadError as error:
        raise Unreachable(f"{what}: {len(error.partial)} bytes came instead of {length}") from None
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise _failure(error, what) from None


async def ranged(reply: Reply, start: int, length: int, what: str) -> bytes:
    """The body of an answer of status 206, which has to be the range that was asked for."""
    said = reply.headers.get("Content-Range", "")
    if not re.match(rf"bytes {start}-{start + length - 1}/", said, re.IGNORECASE):
        reply.response.close()
        raise Unreachable(f"{what}: another range came than was asked for")
    return await body(reply, length, what)


async def body(reply: Reply, length: int, what: str) -> bytes:
    """The whole body, which has to be exactly so long."""
    try:
        found = await part(reply, length, what)
        if not reply.response.content.at_eof() and await reply.response.content.read(1):
            raise Unreachable(f"{what}: more than {length} bytes came")
    except BaseException:
        reply.response.close()
        raise
    reply.response.release()
    return found

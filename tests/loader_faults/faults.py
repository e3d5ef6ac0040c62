"""Faults, one for each way in which stores and networks fail."""

from __future__ import annotations

import asyncio

from aiohttp import web

from tests.loader_faults.blobs import Blob
from tests.loader_faults.server import Fault, Store, error, span


def slow_down(wait: int = 0) -> Fault:
    """503, and the seconds to wait."""

    async def answer(store: Store, request: web.Request, key: str) -> web.StreamResponse:
        return error(503, "SlowDown", Retry_After=str(wait))

    return answer


def refuse(status: int, code: str, **headers: str) -> Fault:
    """An error: `403 ExpiredToken`, `301 PermanentRedirect` with `x_amz_bucket_region`."""

    async def answer(store: Store, request: web.Request, key: str) -> web.StreamResponse:
        return error(status, code, **headers)

    return answer


def reset(after: int) -> Fault:
    """The connection breaks after so many bytes of the body."""

    async def answer(store: Store, request: web.Request, key: str) -> web.StreamResponse:
        response, start, end = await _begun(store, request, key)
        await store.body(response, key, store.objects[key], start, min(start + after, end))
        assert request.transport is not None
        request.transport.abort()
        return response

    return answer


def stall(after: int) -> Fault:
    """Nothing more comes after so many bytes, and the connection stays."""

    async def answer(store: Store, request: web.Request, key: str) -> web.StreamResponse:
        response, start, end = await _begun(store, request, key)
        await store.body(response, key, store.objects[key], start, min(start + after, end))
        await asyncio.sleep(3600)
        return response

    return answer


def cut(by: int) -> Fault:
    """A body that is shorter than was asked for, with a length that says so."""

    async def answer(store: Store, request: web.Request, key: str) -> web.StreamResponse:
        found = store.objects[key]
        start, end, status = span(request, found.size)
        headers = store.headers(request, found, start, end - by)
        return web.Response(status=status, headers=headers, body=found.read(start, end - by - start))

    return answer


def damage() -> Fault:
    """One bit of the body is not as it was."""

    async def answer(store: Store, request: web.Request, key: str) -> web.StreamResponse:
        found = store.objects[key]
        start, end, status = span(request, found.size)
        body = bytearray(found.read(start, end - start))
        body[len(body) // 2] ^= 1
        store.gets[key] += 1
        store.served[key] += len(body)
        return web.Response(status=status, headers=store.headers(request, found, start, end), body=bytes(body))

    return answer


def change(to: Blob) -> Fault:
    """Somebody puts another object at this moment; it is what is asked for from now on."""

    async def answer(store: Store, request: web.Request, key: str) -> None:
        store.objects[key] = to

    return answer


def swap(to: Blob) -> Fault:
    """Another version, from a server that knows no conditions."""

    async def answer(store: Store, request: web.Request, key: str) -> web.StreamResponse:
        start, end, status = span(request, to.size)
        headers = store.headers(request, to, start, end)
        return web.Response(status=status, headers=headers, body=to.read(start, end - start))

    return answer


def endless(token: str) -> Fault:
    """A page that says there is more: how, by this token, or not at all with ""."""

    async def answer(store: Store, request: web.Request, key: str) -> web.StreamResponse:
        page = store.list(request, more=token or "x")
        assert isinstance(page.body, bytes)
        if not token:
            page.body = page.body.replace(b"<NextContinuationToken>x</NextContinuationToken>", b"")
        return page

    return answer


async def _begun(store: Store, request: web.Request, key: str) -> tuple[web.StreamResponse, int, int]:
    found = store.objects[key]
    start, end, status = span(request, found.size)
    response = web.StreamResponse(status=status, headers=store.headers(request, found, start, end))
    response.content_length = end - start
    store.gets[key] += 1
    await response.prepare(request)
    return response, start, end

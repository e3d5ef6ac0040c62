"""Files of a repository at Hugging Face, as of one commit: that of the revision when the listing began."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urljoin

import aiohttp

from kaas.loader.address import Address
from kaas.loader.source import Algorithm, Buffer, Changed, Checksum, Entry, NotThere, Refused, Unreachable
from kaas.loader.sources.access import Access
from kaas.loader.sources.guard import Lookup, system_lookup
from kaas.loader.sources.patience import Sleep, patiently
from kaas.loader.sources.web import NO_RANGE, Reply, Web, body, ranged

HUB: Final = "https://huggingface.co"
_TREE_BYTES: Final = 64 * 1024 * 1024
_PARTIAL: Final = 206


class HFSource:
    """One repository and directory, or one file. Made by `open_source`.

    The token comes from HF_TOKEN and is shown to the hub only, never to where it sends us for a file's content.
    """

    def __init__(
        self, address: Address, access: Access, sleep: Sleep = asyncio.sleep, lookup: Lookup = system_lookup
    ) -> None:
        self._address = address
        self._sleep = sleep
        self._web = Web(access.policy, lookup)
        self._hub = (access.endpoint or HUB).rstrip("/")
        token = "" if access.anonymous else os.environ.get("HF_TOKEN", "")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._commit = ""

    @property
    def label(self) -> str:
        """URL without credentials, for people."""
        return str(self._address)

    async def open(self) -> None:
        """Refused when the policy does not allow it."""
        self._web.check(self._hub)

    async def pages(self) -> AsyncIterator[Sequence[Entry]]:
        """All files, a page of the listing at a time; of a single file one page with one entry."""
        await self._pin()
        prefix = self._address.key
        if not self._address.directory:
            yield [await self._single()]
            return
        some = False
        async for page in self._tree(prefix.removesuffix("/"), recursive=True):
            entries = [self._entry(item, prefix) for item in page if item.get("type") == "file"]
            some = some or bool(entries)
            if entries:
                yield entries
        if not some:
            raise NotThere(f"{self.label}: there is nothing in it: correct the address")

    async def _pin(self) -> None:
        """Find the commit that is loaded, whatever is pushed meanwhile."""
        revision = self._address.revision or "main"
        found, _ = await self._json(f"{self._hub}/api/{self._address.place}/revision/{revision}")
        commit = found.get("sha") if isinstance(found, dict) else None
        if not isinstance(commit, str) or not commit.isalnum():
            raise Refused(f"{self.label}: what answers is no hub: correct the endpoint")
        self._commit = commit

    async def _tree(self, path: str, *, recursive: bool) -> AsyncIterator[list[Mapping[str, Any]]]:
        below = f"/{quote(path, safe='')}" if path else ""
        url = f"{self._hub}/api/{self._address.place}/tree/{self._commit}{below}?recursive={str(recursive).lower()}"
        seen: set[str] = set()
        while url:
            seen.add(url)
            found, following = await self._json(url)
            if not isinstance(found, list):
                raise Refused(f"{self.label}: what answers is no listing: correct the endpoint")
            yield found
            url = following
            if url in seen:
                raise Refused(f"{self.label}: the listing goes round in circles: the server is wrong")

    async def _single(self) -> Entry:
        key = self._address.key
        async for page in self._tree(key.rpartition("/")[0], recursive=False):
            for item in (i for i in page if i.get("path") == key):
                if item.get("type") != "file":
                    raise NotThere(f"{self.label}: is no file but a directory: write {self.label}/")
                return self._entry(item, key.removesuffix(self._address.name))
        raise NotThere(f"{self.label}: there is no such file: correct the address")

    def _entry(self, item: Mapping[str, Any], prefix: str) -> Entry:
        """Of a file. Large ones are kept beside git, by SHA-256; the others' sum is git's, of more than the content."""
        try:
            key, size, version = str(item["path"]), int(item["size"]), str(item["oid"])
            large: Mapping[str, Any] = dict(item.get("lfs") or ())
            found = Checksum(Algorithm.SHA256, str(large["oid"]).lower()) if large else None
        except (KeyError, TypeError, ValueError):
            raise Refused(f"{self.label}: what answers is no listing: correct the endpoint") from None
        if not key.startswith(prefix):
            raise Refused(f"{self.label}: the listing has a path outside of it, {key!r}: the server is wrong")
        return Entry(key, key[len(prefix) :], size, version, found)

    async def _json(self, url: str) -> tuple[Any, str]:
        """A document, and the URL of the next page or ""."""

        async def once() -> tuple[Any, str]:
            reply = await self._web.ask(url, self.label, headers=self._headers)
            text = await _limited(reply, self.label)
            try:
                found = json.loads(text)
            except ValueError:
                raise Unreachable(f"{self.label}: what was answered makes no sense") from None
            following = _next(reply)
            return found, urljoin(url, following) if following else ""

        return await patiently(once, self._sleep)

    async def read(self, entry: Entry, start: int, length: int) -> Buffer:
        """So many bytes from `start` on, exactly."""
        if not length:
            return b""
        kind, _, name = self._address.place.partition("/")
        place = name if kind == "models" else self._address.place
        url = f"{self._hub}/{place}/resolve/{self._commit}/{quote(entry.key)}"
        what = f"hf://{self._address.place}/{entry.key}"
        partly = bool(start) or length != entry.size
        headers = self._headers | ({"Range": f"bytes={start}-{start + length - 1}"} if partly else {})
        reply = await self._web.ask(url, what, headers=headers, listed=True)
        if reply.status == NO_RANGE or (partly and reply.status != _PARTIAL):
            reply.response.close()
            raise Changed(f"{what}: is shorter than was listed, or the server answers no ranges")
        return await (ranged(reply, start, length, what) if partly else body(reply, length, what))

    async def checksum(self, entry: Entry) -> Checksum | None:
        """What the listing said; nothing of files that are kept in git itself."""
        return entry.checksum

    async def close(self) -> None:
        """Close all connections."""
        await self._web.close()


def _next(reply: Reply) -> str:
    """The URL of the next page, as the header Link says, or ""."""
    found = reply.response.links.get("next")
    return str(found["url"]) if found and "url" in found else ""


async def _limited(reply: Reply, what: str) -> bytes:
    try:
        found = bytearray()
        async for piece in reply.response.content.iter_any():
            found += piece
            if len(found) > _TREE_BYTES:
                raise Refused(f"{what}: a page of the listing is longer than {_TREE_BYTES} bytes")
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Unreachable(f"{what}: no good answer ({type(error).__name__})") from None
    finally:
        reply.response.release()
    return bytes(found)

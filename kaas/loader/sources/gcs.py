"""Objects of a bucket of Cloud Storage: listed by Google's library, read by obstore.

What obstore cannot name, or a server that plays Cloud Storage does not answer well enough for it, is read by Google's
library. Objects that are stored compressed come as they are stored: their size and sum are of that.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import obstore
import requests
from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError, InvalidOperation, RefreshError
from google.auth.transport.requests import AuthorizedSession
from google.cloud import storage
from obstore.exceptions import UnauthenticatedError
from obstore.store import GCSStore

from kaas.loader.address import Address
from kaas.loader.proof import proof_of
from kaas.loader.source import Algorithm, Buffer, Changed, Checksum, Entry, NotThere, Refused, Unreachable
from kaas.loader.sources import failures, google
from kaas.loader.sources.access import CONNECT_SECONDS, PAGE, STALL_SECONDS, Access
from kaas.loader.sources.bucket import OBSTORE, Bucket
from kaas.loader.sources.exactly import exact, plain
from kaas.loader.sources.failures import Answer, of_obstore
from kaas.loader.sources.patience import Sleep, patiently
from kaas.loader.sources.sums import of_base64

T = TypeVar("T")
_FIELDS: Final = "items(name,size,generation,crc32c,md5Hash),nextPageToken"
_GOOGLE: Final = (GoogleAPICallError, GoogleAuthError, requests.RequestException)
_NO_METADATA: Final = "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"
"""Else Google's library asks for the bucket's location on the side, to tell it to tracing that nobody has."""
_TIMES: Final = (CONNECT_SECONDS, STALL_SECONDS)


class GCSSource(Bucket):
    """One bucket and prefix, or one object. Made by `open_source`."""

    def __init__(self, address: Address, access: Access, sleep: Sleep = asyncio.sleep) -> None:
        super().__init__(address, access, sleep)
        named = access.endpoint or os.environ.get("STORAGE_EMULATOR_HOST", "")
        self._url = named if "://" in named or not named else f"http://{named}"
        self._by_obstore = True
        self._session: requests.Session | None = None
        self._tokens: google.Tokens | None = None

    async def open(self) -> None:
        """Make the clients. Denied without credentials, Refused for an endpoint that is not allowed."""
        url = urlsplit(self._url or "https://storage.googleapis.com")
        await self._door.let(url.scheme, url.hostname or "")
        google.check_endpoint(self._access, url.hostname or "")
        credentials = await self._in_thread(lambda: google.credentials_of(self._access))
        self._session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
        self._session.trust_env = self._door.proxy is None
        plain_session = google.session_of(self._door.proxy)
        self._session.proxies = plain_session.proxies
        os.environ.setdefault(_NO_METADATA, "true")
        project = getattr(credentials, "project_id", None) or os.environ.get("GOOGLE_CLOUD_PROJECT")
        self._client = storage.Client(
            project=project or "none",
            credentials=credentials,
            client_options={"api_endpoint": self._url} if self._url else None,
            _http=self._session,
        )
        pays = project if self._access.requester_pays else None
        self._bucket = self._client.bucket(self._address.place, user_project=pays)
        anonymous = self._access.anonymous
        self._tokens = None if anonymous else google.Tokens(credentials, plain_session)
        self._store = self._made_store(self._tokens, pays)

    def _made_store(self, tokens: google.Tokens | None, pays: str | None) -> GCSStore:
        headers = {"accept-encoding": "gzip"} | ({"x-goog-user-project": pays} if pays else {})
        options: dict[str, Any] = {
            "allow_http": self._url.startswith("http://"),
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "read_timeout": timedelta(seconds=STALL_SECONDS),
            "timeout": timedelta(hours=1),
            "default_headers": headers,
        }
        if self._door.proxy:
            options["proxy_url"] = self._door.proxy
        return GCSStore(
            self._address.place,
            config={"skip_signature": tokens is None, **({"base_url": self._url} if self._url else {})},
            client_options=options,  # type: ignore[arg-type]
            retry_config={"max_retries": 0},
            credential_provider=tokens,
        )

    async def pages(self) -> AsyncIterator[Sequence[Entry]]:
        """All objects, a page of the listing at a time; of a single object one page with one entry."""
        if not self._address.directory:
            yield [await self._single()]
            return
        some, token, seen = False, None, set[str]()
        while True:
            page, token = await self._page(token)
            if token in seen:
                raise Refused(f"{self.label}: the listing goes round in circles: the server is wrong")
            some = some or bool(page)
            if page:
                yield page
            if not token:
                break
            seen.add(token)
        if not some:
            raise NotThere(f"{self.label}: there is nothing in it: correct the address")

    async def _page(self, token: str | None) -> tuple[list[Entry], str | None]:
        def list_one() -> tuple[list[Any], str | None]:
            found = self._list(self._address.key, PAGE, token)
            blobs = list(next(iter(found.pages), ()))
            return blobs, found.next_page_token

        blobs, following = await patiently(lambda: self._ask(list_one, self.label), self._sleep)
        try:
            entries = [self._entry(blob) for blob in blobs]
        except (TypeError, ValueError):
            raise Refused(f"{self.label}: what answers is no listing: correct the endpoint") from None
        return [entry for entry in entries if entry.name or entry.size], following

    def _list(self, prefix: str, size: int, token: str | None) -> Any:
        return self._client.list_blobs(
            self._bucket, prefix=prefix, page_size=size, page_token=token, fields=_FIELDS, retry=None, timeout=_TIMES
        )

    def _entry(self, blob: Any, name: str | None = None) -> Entry:
        key, prefix = str(blob.name), self._address.key
        if name is None and not key.startswith(prefix):
            raise Refused(f"{self.label}: the listing has a key outside of it, {key!r}: the server is wrong")
        below = key[len(prefix) :] if name is None else name
        return Entry(key, below, int(blob.size), str(blob.generation), _sum(blob))

    async def _single(self) -> Entry:
        key = self._address.key
        find = lambda: self._bucket.get_blob(key, retry=None, timeout=_TIMES)  # noqa: E731
        found = await patiently(lambda: self._ask(find, self.label), self._sleep)
        if found is not None:
            return self._entry(found, self._address.name)
        below = await self._ask(lambda: list(next(iter(self._list(f"{key}/", 1, None).pages), ())), self.label)
        if below:
            raise NotThere(f"{self.label}: is no object but a directory: write {self.label}/")
        raise NotThere(f"{self.label}: there is no such object: correct the address")

    async def read(self, entry: Entry, start: int, length: int) -> Buffer:
        """So many bytes from `start` on, exactly."""
        if not length:
            return b""
        if self._is_for_obstore(entry):
            try:
                return await self._read(entry, start, length)
            except _Poor:
                self._by_obstore = False
        return await self._read_odd(entry, start, length)

    async def _read(self, entry: Entry, start: int, length: int) -> Buffer:
        what = self._what(entry.key)
        try:
            result = await obstore.get_async(self._store, entry.key, options=self._options(entry, start, length))
            self._check(entry, result.meta)
            return exact(memoryview(await result.buffer_async()), length, what)
        except OBSTORE as error:
            if "Header missing from response" in str(error):
                raise _Poor from None
            raise self._error(self._answer(error), what, listed=True) from None

    def _answer(self, error: Exception) -> Answer:
        failure = self._tokens.failure if self._tokens and isinstance(error, UnauthenticatedError) else None
        return of_google(failure) if failure else of_obstore(error)

    def _is_for_obstore(self, entry: Entry) -> bool:
        return self._by_obstore and plain(entry.key)

    def _of_version(self, entry: Entry) -> obstore.GetOptions:
        return {"version": entry.version}

    def _check(self, entry: Entry, meta: obstore.ObjectMeta) -> None:
        if int(meta["size"]) != entry.size or meta["version"] not in {None, entry.version}:
            raise Changed(f"{self._what(entry.key)}: is not what was listed any more")

    async def _read_odd(self, entry: Entry, start: int, length: int) -> Buffer:
        what = self._what(entry.key)

        def get() -> bytes:
            blob = self._bucket.blob(entry.key, generation=int(entry.version))
            last = start + length - 1
            found: bytes = blob.download_as_bytes(
                start=start, end=last, raw_download=True, checksum=None, retry=None, timeout=_TIMES
            )
            return found

        return exact(await self._ask(get, what, listed=True), length, what)

    async def checksum(self, entry: Entry) -> Checksum | None:
        """What the listing said: Cloud Storage has a CRC32C of every object."""
        return entry.checksum

    async def proof(self, entry: Entry) -> Checksum | None:
        """The MD5 of an object that was not composed of others, by one request."""
        find = lambda: self._bucket.get_blob(  # noqa: E731
            entry.key, generation=int(entry.version), retry=None, timeout=_TIMES
        )
        found = await self._ask(find, self._what(entry.key), listed=True)
        if found is None:
            raise Changed(f"{self._what(entry.key)}: is not what was listed any more")
        return proof_of(of_base64(Algorithm.MD5, found.md5_hash))

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            self._session.close()
        await super().close()

    async def _ask(self, request: Callable[[], T], what: str, *, listed: bool = False) -> T:
        try:
            return await self._in_thread(request)
        except _GOOGLE as error:
            answer = of_google(error)
        except (AttributeError, TypeError, ValueError) as error:  # of a library that met what is no JSON object
            raise Unreachable(f"{what}: what was answered makes no sense ({type(error).__name__})") from None
        raise self._error(answer, what, listed=listed)


class _Poor(Exception):
    """The server leaves out a header that Cloud Storage has and obstore needs."""


def of_google(error: Exception) -> Answer:
    """What an error of Google's libraries says."""
    if isinstance(error, GoogleAPICallError):
        headers = getattr(error.response, "headers", None) or {}
        gone = "there is no such bucket or object" if error.code == 404 else ""  # noqa: PLR2004 - of HTTP
        return Answer(int(error.code or 0), wait=failures.seconds(headers.get("retry-after")), detail=gone)
    if isinstance(error, InvalidOperation):
        return Answer(401, detail="it is not public")
    if isinstance(error, RefreshError) and not getattr(error, "retryable", False):
        return Answer(403, detail="Google gives no token for these credentials")
    if isinstance(error, requests.exceptions.SSLError):
        return Answer(495, detail="its certificate is not trusted here: add its CA")
    return Answer(0, detail=type(error).__name__)


def _sum(blob: Any) -> Checksum | None:
    return of_base64(Algorithm.CRC32C, blob.crc32c) or of_base64(Algorithm.MD5, blob.md5_hash)

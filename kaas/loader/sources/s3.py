"""Objects of a bucket of S3, or of what speaks like it: listed by botocore, read over the wire and by obstore.

obstore reads several times as fast as botocore, and the wire twice as fast as that; it cannot name keys with empty or
dot segments, control characters or a slash at an end, and gives no listing when there is one. Those are read by
botocore. Whatever the wire does not understand goes to obstore, which also knows why there is no answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import obstore
from botocore.exceptions import BotoCoreError, ClientError
from obstore.exceptions import UnauthenticatedError
from obstore.store import S3Store

from kaas.loader.address import Address
from kaas.loader.source import Buffer, Changed, Checksum, Entry, NotThere, Reader, Stream, Unreachable
from kaas.loader.sources import aws, sums
from kaas.loader.sources.access import Access
from kaas.loader.sources.bucket import OBSTORE, THREADS, Bucket
from kaas.loader.sources.exactly import exact, plain
from kaas.loader.sources.failures import ELSEWHERE, EXPIRED, Answer, of_botocore, of_obstore
from kaas.loader.sources.patience import Sleep, patiently
from kaas.loader.sources.s3_listing import Pages, plain_etag, request_of
from kaas.loader.sources.s3_reads import Reads, S3Reader, is_direct
from kaas.loader.sources.signing import Secret

if TYPE_CHECKING:
    from obstore import GetOptions

T = TypeVar("T")
_FRESH: Final = 60.0
"""Seconds for which other processes use the keys that they were given; those that end are renewed minutes before."""
_BOTO: Final = (BotoCoreError, ClientError, OSError)


@dataclass(frozen=True, slots=True)
class _Clients:
    """What asks one place: botocore and obstore."""

    client: Any
    store: S3Store
    place: aws.Place


class S3Source(Bucket):
    """One bucket and prefix, or one object. Made by `open_source`."""

    def __init__(self, address: Address, access: Access, sleep: Sleep = asyncio.sleep) -> None:
        super().__init__(address, access, sleep)
        self._keys = aws.Keys(access)
        self._client: Any = None
        self._reads: Reads | None = None
        self._reader: tuple[float, S3Reader] | None = None
        self._region = access.region
        self._moved = False
        self._generation = 0
        self._changing = asyncio.Lock()
        self._heads: dict[str, Checksum | None] = {}

    async def open(self) -> None:
        """Make the clients; Refused for an endpoint that is not allowed. Nothing is asked yet."""
        await self._connect()

    async def _connect(self) -> None:
        """Make the clients, if they may go where they would: what is configured may have changed meanwhile."""
        made, proxy = await self._made(), self._door.proxy
        await self._door.let(made.place.scheme, made.place.host)
        if self._door.proxy != proxy:
            made = await self._made()
        self._client, self._store, self._place = made.client, made.store, made.place
        direct = self._door.is_plain(self._place.host) if self._door.proxy else is_direct(self._place)
        self._reads = Reads(self._place, self._address, self._access, self._secret) if direct else None
        self._reader = None

    def _secret(self) -> Secret | None:
        return None if self._access.anonymous else self._keys.secret()

    async def _made(self) -> _Clients:
        proxy = self._door.proxy
        try:
            client, place = await self._in_thread(
                lambda: aws.client_of(self._keys.session, self._access, self._region, proxy)
            )
        except _BOTO as error:
            raise self._error(of_botocore(error), self.label, listed=False) from None
        credentials: dict[str, Any] = {} if self._access.anonymous else {"credential_provider": self._keys}
        store = S3Store(
            self._address.place,
            config={
                "region": place.region,
                "aws_endpoint_url_s3": place.url,
                "virtual_hosted_style_request": False,
                "skip_signature": self._access.anonymous,
                "request_payer": self._access.requester_pays,
            },
            client_options=aws.store_options(place, proxy),  # type: ignore[arg-type]
            retry_config={"max_retries": 0},
            **credentials,
        )
        return _Clients(client, store, place)

    async def pages(self) -> AsyncIterator[Sequence[Entry]]:
        """All objects, a page of the listing at a time; of a single object one page with one entry."""
        if not self._address.directory:
            yield [await self._single()]
            return
        reading = Pages(self.label, self._address.key)
        ahead: asyncio.Task[list[Entry]] | None = asyncio.ensure_future(self._page(reading))
        some = False
        try:
            while ahead is not None:
                page = await ahead
                ahead = None if reading.ended else asyncio.ensure_future(self._page(reading))
                some = some or bool(page)
                if page:
                    yield page
        finally:
            if ahead is not None:
                ahead.cancel()
        if not some:
            raise NotThere(f"{self.label}: there is nothing in it: correct the address")

    async def _page(self, reading: Pages) -> list[Entry]:
        async def once() -> list[Entry]:
            pays = self._access.requester_pays
            asked = request_of(self._address.place, reading.prefix, reading.token, requester_pays=pays)
            answer = await self._ask(lambda: self._client.list_objects_v2(**asked), self.label)
            return reading.take(answer)

        return await patiently(once, self._sleep)

    async def _single(self) -> Entry:
        key, bucket = self._address.key, self._address.place
        try:
            head = await patiently(lambda: self._head(key, None), self._sleep)
        except NotThere:
            asked = request_of(bucket, f"{key}/", None, requester_pays=self._access.requester_pays) | {"MaxKeys": 1}
            below = await self._ask(lambda: self._client.list_objects_v2(**asked), self.label)
            if below.get("Contents"):
                raise NotThere(f"{self.label}: is no object but a directory: write {self.label}/") from None
            raise NotThere(f"{self.label}: there is no such object: correct the address") from None
        etag = plain_etag(str(head.get("ETag", "")))
        entry = Entry(key, self._address.name, int(head.get("ContentLength", 0)), etag)
        found = self._heads[key] = await self._best(entry, head)
        return entry if found is None or found.parts else replace(entry, checksum=found)

    async def _head(self, key: str, version: str | None) -> dict[str, Any]:
        asked = self._object(key, version) | {"ChecksumMode": "ENABLED"}
        what = self._what(key)
        return await self._ask(lambda: self._client.head_object(**asked), what, listed=version is not None)

    def _object(self, key: str, version: str | None) -> dict[str, Any]:
        """Parameters of a request for an object in the version that was listed."""
        asked: dict[str, Any] = {"Bucket": self._address.place, "Key": key}
        if version and not version.startswith("W/"):
            asked["IfMatch"] = f'"{version}"'
        if self._access.requester_pays:
            asked["RequestPayer"] = "requester"
        return asked

    async def read(self, entry: Entry, start: int, length: int) -> Buffer:
        """So many bytes from `start` on, exactly."""
        if not length:
            return b""
        return await (
            self._read(entry, start, length) if self._is_for_obstore(entry) else self._read_odd(entry, start, length)
        )

    async def _read(self, entry: Entry, start: int, length: int) -> Buffer:
        what = self._what(entry.key)
        result = await self._get(entry.key, self._options(entry, start, length), what)
        self._check(entry, result.meta)
        try:
            return exact(memoryview(await result.buffer_async()), length, what)
        except OBSTORE as error:
            raise self._error(self._answer(error), what, listed=True) from None

    async def _get(self, key: str, options: GetOptions, what: str) -> obstore.GetResult:
        seen = self._generation
        while True:
            try:
                return await obstore.get_async(self._store, key, options=options)
            except OBSTORE as error:
                answer = self._answer(error)
            if not await self._can_go_on(answer, seen):
                raise self._error(answer, what, listed=True) from None
            seen = -1

    async def _read_odd(self, entry: Entry, start: int, length: int) -> Buffer:
        asked = self._object(entry.key, entry.version) | {"Range": f"bytes={start}-{start + length - 1}"}
        what = self._what(entry.key)

        def get() -> tuple[dict[str, Any], bytes]:
            answer = self._client.get_object(**asked)
            return answer, answer["Body"].read()

        answer, body = await self._ask(get, what, listed=True)
        self._compare(entry, answer.get("ETag"), None)
        return exact(body, length, what)

    def stream(self, entry: Entry, start: int, length: int) -> Stream | None:
        """The bytes that `read` gives, for a thread: over the wire, where that gives them."""
        reads = self._reads
        if not length or reads is None or reads.rest or not self._is_for_obstore(entry):
            return super().stream(entry, start, length)
        return reads.stream(entry, start, length, lambda: self._pieces(entry, start, length))

    async def reader(self) -> Reader | None:
        """For other processes, which read over the wire alone; None when this one has to read in another way."""
        if self._reads is None or self._reads.rest:
            return None
        now = time.monotonic()
        if self._reader is None or now > self._reader[0]:
            try:
                secret = await self._in_thread(self._secret)
            except _BOTO:
                return None  # obstore will tell why there are no keys
            self._reader = now + _FRESH, S3Reader(self._place, self._address, self._access, secret)
        return self._reader[1]

    def _is_for_obstore(self, entry: Entry) -> bool:
        return plain(entry.key)

    def _of_version(self, entry: Entry) -> GetOptions:
        known = entry.version and not entry.version.startswith("W/")
        return {"if_match": f'"{entry.version}"'} if known else {}

    def _check(self, entry: Entry, meta: obstore.ObjectMeta) -> None:
        self._compare(entry, meta["e_tag"], int(meta["size"]))

    def _compare(self, entry: Entry, etag: str | None, size: int | None) -> None:
        """Refuse what is not the version that was listed: a server may not know conditions, or send us elsewhere."""
        other = entry.version and etag is not None and plain_etag(etag) != entry.version
        if other or (entry.version and etag is None) or (size is not None and size != entry.size):
            raise Changed(f"{self._what(entry.key)}: is not what was listed any more")

    async def checksum(self, entry: Entry) -> Checksum | None:
        """The best sum that the store has of the whole object, by one request; None when it has none."""
        if entry.key not in self._heads:
            return await self._best(entry, await self._head(entry.key, entry.version))
        return self._heads[entry.key]

    async def _best(self, entry: Entry, head: Mapping[str, Any]) -> Checksum | None:
        """The best sum in the answer to a HEAD. Of a sum of sums the length of the first part takes another request."""
        found = sums.of_head(head)
        if found or not (of_parts := sums.of_sums(head)):
            return found
        found, count = of_parts
        first = await self._part(entry, 1)
        if parts := sums.alike(entry.size, first, count):
            return replace(found, parts=parts)
        return await self.measured(entry, replace(found, parts=(0,) * count)) if 0 < first < entry.size else None

    async def measured(self, entry: Entry, checksum: Checksum) -> Checksum | None:
        """A sum of sums with the lengths that the parts have: a request for each."""
        lengths: list[int] = []
        numbers = range(1, len(checksum.parts) + 1)
        while some := numbers[len(lengths) : len(lengths) + THREADS]:
            lengths += await asyncio.gather(*(self._part(entry, number) for number in some))
        return replace(checksum, parts=tuple(lengths)) if sum(lengths) == entry.size else None

    async def _part(self, entry: Entry, number: int) -> int:
        """Length of a part of an object; 0 when the server does not say."""
        # Of any version: the length of another one's part proves nothing, and some servers compare the part's own ETag.
        asked = self._object(entry.key, None) | {"PartNumber": number}
        found = await self._ask(lambda: self._client.head_object(**asked), self._what(entry.key), listed=True)
        return int(found.get("ContentLength", 0))

    async def proof(self, entry: Entry) -> Checksum | None:
        """What its ETag proves: it is the MD5 of the object, or of its parts, whose length takes a request."""
        if whole := sums.of_etag(entry.version):
            return whole
        if not sums.in_parts(entry.version):
            return None
        return sums.of_parts(entry.version, entry.size, await self._part(entry, 1))

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            self._client.close()
        if self._reads is not None:
            self._reads.close()
        await super().close()

    async def _ask(self, request: Callable[[], T], what: str, *, listed: bool = False) -> T:
        """Have botocore ask in a thread, and once more when it may go better with other keys or another region."""
        seen = self._generation
        while True:
            try:
                return await self._in_thread(lambda: aws.asked(request))
            except _BOTO as error:
                answer = of_botocore(error)
            except ValueError as error:
                raise Unreachable(f"{what}: what was answered makes no sense ({type(error).__name__})") from None
            if not await self._can_go_on(answer, seen):
                raise self._error(answer, what, listed=listed) from None
            seen = -1

    def _answer(self, error: Exception) -> Answer:
        failure = self._keys.failure if isinstance(error, UnauthenticatedError) else None
        return of_botocore(failure) if failure else of_obstore(error)

    async def _can_go_on(self, answer: Answer, seen: int) -> bool:
        """Whether a request may be made again: with keys that are new, or where the bucket really is.

        seen: the generation of clients that the request was made with; -1 when it was made again already.
        """
        if seen < 0 or not (answer.code in EXPIRED or self._elsewhere(answer)):
            return False
        async with self._changing:
            if seen != self._generation:
                return True
            if answer.code in EXPIRED:
                if not await self._has_new_keys():
                    return False
            elif self._moved:
                return False
            else:
                self._moved, self._region = True, answer.region
            await self._connect()
            self._generation += 1
            return True

    async def _has_new_keys(self) -> bool:
        if self._access.anonymous:
            return False
        try:
            return await self._in_thread(self._keys.anew)
        except _BOTO:
            return False  # the old ones have expired: that is what is told

    def _elsewhere(self, answer: Answer) -> bool:
        moved = answer.code in ELSEWHERE or answer.status in {301, 307, 400}
        return moved and bool(answer.region) and answer.region != self._place.region

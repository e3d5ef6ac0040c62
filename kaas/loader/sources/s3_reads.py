"""Reads of a bucket of S3 over the wire: the plain ones, which are nearly all."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import get_cert_path

from kaas.loader.address import Address
from kaas.loader.source import Buffer, Checksum, Entry, Refused, Stream, Streaming, Unreachable
from kaas.loader.sources import failures, sums
from kaas.loader.sources.access import Access
from kaas.loader.sources.aws import Place
from kaas.loader.sources.exactly import object_of, plain
from kaas.loader.sources.failures import Answer as Answered
from kaas.loader.sources.failures import seconds
from kaas.loader.sources.s3_listing import plain_etag
from kaas.loader.sources.signing import Headers, Secret, Signer, path_of
from kaas.loader.sources.wire import LATER, Answer, Odd, Wire

Otherwise = Callable[[], Iterator[Buffer]]
_AGENT: Final = ("user-agent", "kaas-load")


class Reads:
    """Asks for objects of one bucket where `place` is. secret: gives keys to sign with; None for none."""

    def __init__(self, place: Place, address: Address, access: Access, secret: Callable[[], Secret | None]) -> None:
        self._address = address
        self._access = access
        self._secret = secret
        self._signer = Signer(place.region)
        self._wire = Wire(place.url, _authorities(place))

    @property
    def rest(self) -> bool:
        """Whether it should not be asked now: the server does not answer as it must here."""
        return self._wire.rests

    def stream(self, entry: Entry, start: int, length: int, otherwise: Otherwise) -> Stream:
        """Bytes of an object, for a thread. otherwise: gives them when the wire does not, or tells why not."""
        told: list[Checksum] = []
        return Stream(self._pieces(told, entry, start, length, otherwise), told)

    def _pieces(
        self, told: list[Checksum], entry: Entry, start: int, length: int, otherwise: Otherwise
    ) -> Iterator[Buffer]:
        what = object_of(self._address, entry.key)
        try:
            answer = self.ask(entry, start, length)
        except Odd as odd:
            if odd.status in LATER:
                raise failures.error_of(Answered(odd.status, wait=seconds(odd.wait)), what, listed=True) from None
            if self._wire.closed:
                raise Unreachable(f"{what}: nothing is asked any more") from None
            yield from otherwise()
            return
        except TimeoutError:
            raise Unreachable(f"{what}: no answer in time") from None
        if length == entry.size and (found := sums.of_answer(answer.headers)):
            told.append(found)
        try:
            yield from answer.pieces
        except OSError as error:
            raise Unreachable(f"{what}: {error}") from None

    def ask(self, entry: Entry, start: int, length: int) -> Answer:
        """The bytes of an object in the version that was listed. Odd when they are to be had some other way, if at all.

        TimeoutError when the server does not answer.
        """
        whole = length == entry.size
        span = f"bytes {start}-{start + length - 1}/{entry.size}"

        def fits(status: int, headers: dict[str, str]) -> bool:
            right = status == 200 if whole else headers.get("content-range") == span  # noqa: PLR2004 - of HTTP
            return right and (not entry.version or plain_etag(headers.get("etag", "")) == entry.version)

        return self._wire.get(self._request(entry, start, length, whole=whole), length, fits)

    def _request(self, entry: Entry, start: int, length: int, *, whole: bool) -> bytes:
        headers: Headers = [("host", self._wire.host), _AGENT]
        if whole:
            headers.append(("x-amz-checksum-mode", "ENABLED"))
        else:
            headers.append(("range", f"bytes={start}-{start + length - 1}"))
        if entry.version and not entry.version.startswith("W/"):
            headers.append(("if-match", f'"{entry.version}"'))
        if self._access.requester_pays:
            headers.append(("x-amz-request-payer", "requester"))
        try:
            return self._signer.get(path_of(self._wire.path, self._address.place, entry.key), headers, self._secret())
        except (BotoCoreError, ClientError, OSError, UnicodeError) as error:
            raise Odd("it cannot be signed") from error

    def close(self) -> None:
        """End all connections."""
        self._wire.close()


@dataclass(frozen=True, slots=True)
class S3Reader:
    """What another process needs to read a bucket over the wire, and in no other way."""

    place: Place
    address: Address
    access: Access
    secret: Secret | None

    def open(self) -> Streaming:
        """What reads so."""
        return _WireOnly(Reads(self.place, self.address, self.access, lambda: self.secret))


@dataclass(frozen=True, slots=True)
class _WireOnly:
    reads: Reads

    def stream(self, entry: Entry, start: int, length: int) -> Stream | None:
        """None for a key that has to be named in another way, and while the wire rests."""
        if self.reads.rest or not plain(entry.key):
            return None
        return self.reads.stream(entry, start, length, _in_another_way)


def _in_another_way() -> Iterator[Buffer]:
    raise Refused("it has to be read in another way")


def is_direct(place: Place) -> bool:
    """Whether a server is asked without a proxy of the environment."""
    named = urllib.request.getproxies()
    return not {place.scheme, "all"} & named.keys() or bool(urllib.request.proxy_bypass(place.host))


def _authorities(place: Place) -> str:
    """A file with those that botocore believes."""
    return place.ca or os.environ.get("REQUESTS_CA_BUNDLE") or str(get_cert_path(True))

"""Reads of a bucket of S3 over the wire: the plain ones, which are nearly all."""

from __future__ import annotations

import os
import urllib.request
from typing import Final

from awscrt.exceptions import AwsCrtError
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import get_cert_path

from kaas.loader.address import Address
from kaas.loader.source import Entry
from kaas.loader.sources.access import Access
from kaas.loader.sources.aws import Keys, Place
from kaas.loader.sources.s3_listing import plain_etag
from kaas.loader.sources.signing import Headers, Signer, path_of
from kaas.loader.sources.wire import Answer, Odd, Wire

_AGENT: Final = ("user-agent", "kaas-load")


class Reads:
    """Asks for objects of one bucket where `place` is, with keys, or without where access is anonymous."""

    def __init__(self, place: Place, address: Address, access: Access, keys: Keys) -> None:
        self._bucket = address.place
        self._access = access
        self._keys = keys
        self._signer = Signer(place.region)
        self._wire = Wire(place.url, _authorities(place))

    @property
    def rest(self) -> bool:
        """Whether it should not be asked now: the server does not answer as it must here."""
        return self._wire.rests

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
            secret = None if self._access.anonymous else self._keys.secret()
            return self._signer.get(path_of(self._wire.path, self._bucket, entry.key), headers, secret)
        except (AwsCrtError, BotoCoreError, ClientError, OSError, UnicodeError, RuntimeError) as error:
            raise Odd("it cannot be signed") from error

    @property
    def closed(self) -> bool:
        """Whether nothing is asked any more."""
        return self._wire.closed

    def close(self) -> None:
        """End all connections."""
        self._wire.close()


def is_direct(place: Place, proxy: str | None) -> bool:
    """Whether a server is asked without a proxy: neither that of the source nor one of the environment."""
    named = urllib.request.getproxies()
    return proxy is None and (not {place.scheme, "all"} & named.keys() or bool(urllib.request.proxy_bypass(place.host)))


def _authorities(place: Place) -> str:
    """A file with those that botocore believes."""
    return place.ca or os.environ.get("REQUESTS_CA_BUNDLE") or str(get_cert_path(True))

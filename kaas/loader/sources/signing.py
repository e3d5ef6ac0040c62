"""Requests for objects of S3 as they go over the wire, signed with Signature Version 4.

By hand, since all of it is four hashes and a header, while a library takes as long for it as a small file takes to be
written. What libraries sign is what this signs, by test. Source: Amazon S3 API reference, signature calculations for
the Authorization header.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass
from functools import reduce
from typing import Final
from urllib.parse import quote

_UNRESERVED: Final = "/-._~"
"""What stands in a path as it is, besides letters and digits."""
_FRESH: Final = 5.0
"""Seconds for which one time is signed; a server takes fifteen minutes for wrong."""
_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_SERVICE: Final = "s3"
_END: Final = "aws4_request"
_NOTHING: Final = hashlib.sha256().hexdigest()
"""Sum of a request's content, which has none."""
_NOT_SIGNED: Final = frozenset({"user-agent"})
"""Headers that those between may change."""

Headers = list[tuple[str, str]]
"""Names in lower case."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Keys that a request is signed with."""

    access: str
    secret: str
    token: str | None


class Signer:
    """Signs for one region. For many threads."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._known: _Known | None = None

    def get(self, path: str, headers: Headers, secret: Secret | None) -> bytes:
        """A GET of a path that is encoded and asks for nothing behind it; not signed without keys."""
        if secret is not None:
            headers = self._signed(path, headers, secret)
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
        return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")

    def _signed(self, path: str, headers: Headers, secret: Secret) -> Headers:
        known = self._signing(secret)
        headers = [*headers, ("x-amz-content-sha256", _NOTHING), ("x-amz-date", known.time)]
        if secret.token:
            headers.append(("x-amz-security-token", secret.token))
        told = sorted([header for header in headers if header[0] not in _NOT_SIGNED])
        names = ";".join([name for name, _ in told])
        lines = "".join([f"{name}:{' '.join(value.split())}\n" for name, value in told])
        request = f"GET\n{path}\n\n{lines}\n{names}\n{_NOTHING}"
        sum_ = hashlib.sha256(request.encode()).hexdigest()
        signature = _keyed(known.key, f"{_ALGORITHM}\n{known.time}\n{known.scope}\n{sum_}").hex()
        credential = f"{secret.access}/{known.scope}"
        said = f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
        return [*headers, ("authorization", said)]

    def _signing(self, secret: Secret) -> _Known:
        """How to sign. It has the time in it, which may be a little behind."""
        known = self._known
        if known is None or known.secret != secret or time.monotonic() > known.until:
            known = self._known = _known(secret, self._region)
        return known


@dataclass(frozen=True, slots=True)
class _Known:
    """How to sign with keys, until when. time: as requests name it; scope: what the key is good for."""

    secret: Secret
    until: float
    time: str
    scope: str
    key: bytes


def _known(secret: Secret, region: str) -> _Known:
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    parts = (now[:8], region, _SERVICE, _END)
    key = reduce(_keyed, parts, f"AWS4{secret.secret}".encode())
    return _Known(secret, time.monotonic() + _FRESH, now, "/".join(parts), key)


def _keyed(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def path_of(base: str, bucket: str, key: str) -> str:
    """Path of an object below that of its server."""
    return f"{base}/{bucket}/{quote(key, safe=_UNRESERVED)}"

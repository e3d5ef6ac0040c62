"""Requests for objects of S3 as they go over the wire, signed by the library that AWS gives to its own programs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from awscrt.auth import (
    AwsCredentialsProvider,
    AwsSignatureType,
    AwsSignedBodyHeaderType,
    AwsSignedBodyValue,
    AwsSigningAlgorithm,
    AwsSigningConfig,
    aws_sign_request,
)
from awscrt.http import HttpHeaders, HttpRequest

_UNRESERVED: Final = "/-._~"
"""What stands in a path as it is, besides letters and digits. Source: Amazon S3 API reference, signature version 4."""
_SECONDS: Final = 10
_FRESH: Final = 5.0
"""Seconds for which one time is signed; a server takes fifteen minutes for wrong."""

Headers = list[tuple[str, str]]


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
        """A GET of a path that is encoded; not signed without keys. RuntimeError when it cannot be signed."""
        if secret is not None:
            request = HttpRequest("GET", path, HttpHeaders(headers))
            aws_sign_request(request, self._signing(secret)).result(_SECONDS)
            headers = list(request.headers)
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
        return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")

    def _signing(self, secret: Secret) -> Any:
        """How to sign. It has the time in it, which may be a little behind."""
        known = self._known
        if known is None or known.secret != secret or time.monotonic() > known.until:
            known = self._known = _Known(secret, time.monotonic() + _FRESH, self._made(secret))
        return known.signing

    def _made(self, secret: Secret) -> Any:
        return AwsSigningConfig(
            algorithm=AwsSigningAlgorithm.V4,
            signature_type=AwsSignatureType.HTTP_REQUEST_HEADERS,
            credentials_provider=AwsCredentialsProvider.new_static(secret.access, secret.secret, secret.token),
            region=self._region,
            service="s3",
            use_double_uri_encode=False,
            should_normalize_uri_path=False,
            signed_body_value=AwsSignedBodyValue.EMPTY_SHA256,
            signed_body_header_type=AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
        )


@dataclass(frozen=True, slots=True)
class _Known:
    """How to sign with keys, until when."""

    secret: Secret
    until: float
    signing: Any


def path_of(base: str, bucket: str, key: str) -> str:
    """Path of an object below that of its server."""
    return f"{base}/{bucket}/{quote(key, safe=_UNRESERVED)}"

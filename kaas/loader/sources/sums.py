"""Sums of whole objects as stores tell them. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, Final

from kaas.loader.source import Algorithm, Checksum

_MD5: Final = re.compile(r"[0-9a-f]{32}")
_OF_PARTS: Final = re.compile(r"([0-9a-f]{32})-([1-9][0-9]{0,4})")
_COUNT: Final = re.compile(r"[1-9][0-9]{0,4}")
_BYTES: Final = {
    Algorithm.CRC64NVME: 8,
    Algorithm.CRC32C: 4,
    Algorithm.CRC32: 4,
    Algorithm.SHA256: 32,
    Algorithm.SHA1: 20,
    Algorithm.MD5: 16,
}
_S3: Final = {
    "ChecksumCRC64NVME": Algorithm.CRC64NVME,
    "ChecksumCRC32C": Algorithm.CRC32C,
    "ChecksumCRC32": Algorithm.CRC32,
    "ChecksumSHA256": Algorithm.SHA256,
    "ChecksumSHA1": Algorithm.SHA1,
}
"""Fields of HeadObject's answer, the cheapest to compute first."""
_ANSWERED: Final = {f"x-amz-checksum-{algorithm}": algorithm for algorithm in _S3.values()}
_TYPE: Final = "x-amz-checksum-type"
SUMS: Final = (_TYPE, *_ANSWERED)
"""The same as headers."""


def of_base64(algorithm: Algorithm, text: object) -> Checksum | None:
    """A sum that was sent in base64; None when it is none of this algorithm."""
    try:
        raw = base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        return None
    return Checksum(algorithm, raw.hex()) if len(raw) == _BYTES[algorithm] else None


def of_etag(etag: str) -> Checksum | None:
    """MD5 of an ETag that looks like one; those of objects in several parts do not."""
    return Checksum(Algorithm.MD5, etag) if _MD5.fullmatch(etag) else None


def in_parts(etag: str) -> int:
    """How many parts an object came in whose ETag is the MD5 of the MD5s of its parts; 0 for any other ETag.

    Source: Amazon S3 user guide, checking object integrity, multipart uploads.
    """
    found = _OF_PARTS.fullmatch(etag)
    return int(found[2]) if found else 0


def of_parts(etag: str, size: int, first: int) -> Checksum | None:
    """What such an ETag says of an object whose first part has so many bytes; None when the others have not."""
    parts = alike(size, first, in_parts(etag))
    return Checksum(Algorithm.MD5, etag.partition("-")[0], parts) if parts else None


def alike(size: int, first: int, count: int) -> tuple[int, ...]:
    """Lengths of so many parts of an object, all but the last as the first; none when they cannot be."""
    if first <= 0 or -(-size // first) != count:
        return ()
    return (*[first] * (count - 1), size - first * (count - 1))


def of_head(head: Mapping[str, Any]) -> Checksum | None:
    """The best sum in an answer of S3's HeadObject, with ChecksumMode.

    Not a sum of sums of parts (COMPOSITE), for which see `of_sums`. The ETag is a sum of the content unless that is
    encrypted with a key of KMS or of the customer. Source: Amazon S3 user guide, checking object integrity; API
    reference, Object.
    """
    if head.get("ChecksumType") != "COMPOSITE":
        for name, algorithm in _S3.items():
            if found := of_base64(algorithm, head.get(name)):
                return found
    plain = head.get("ServerSideEncryption", "AES256") == "AES256" and not head.get("SSECustomerAlgorithm")
    return of_etag(str(head.get("ETag", "")).strip('"')) if plain else None


def of_sums(head: Mapping[str, Any]) -> tuple[Checksum, int] | None:
    """The best sum of sums in such an answer, and of how many parts; their lengths it does not tell.

    S3 makes it of the sums that came with the parts: `AAAAAA==-2`. Source: Amazon S3 user guide, checking object
    integrity, composite checksums.
    """
    for name, algorithm in _S3.items():
        text, _, count = str(head.get(name) or "").rpartition("-")
        if _COUNT.fullmatch(count) and (found := of_base64(algorithm, text)):
            return found, int(count)
    return None


def of_answer(headers: Mapping[str, str]) -> Checksum | None:
    """The best sum in the headers of S3's answer to a GET of a whole object, their names in lower case."""
    if headers.get(_TYPE) == "COMPOSITE":
        return None
    for name, algorithm in _ANSWERED.items():
        if name in headers and (found := of_base64(algorithm, headers[name])):
            return found
    return None


def of_headers(headers: Mapping[str, str]) -> Checksum | None:
    """What a web server says of a file: RFC 9530, RFC 3230, and Cloud Storage's own header."""
    for name, pattern in _HEADERS.items():
        for text in (headers.get(name) or "").split(","):
            if (found := pattern.fullmatch(text.strip())) and (sum_ := of_base64(_NAMES[found[1].lower()], found[2])):
                return sum_
    return None


_HEADERS: Final = {
    "x-goog-hash": re.compile(r"(crc32c)=(\S+)"),
    "repr-digest": re.compile(r"(sha-256|md5|sha)=:(\S+):"),
    "digest": re.compile(r"(sha-256|md5|sha)=(\S+)", re.IGNORECASE),
}
_NAMES: Final = {
    "crc32c": Algorithm.CRC32C,
    "sha-256": Algorithm.SHA256,
    "sha": Algorithm.SHA1,
    "md5": Algorithm.MD5,
}

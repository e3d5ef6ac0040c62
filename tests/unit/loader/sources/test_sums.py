"""Sums of objects as stores tell them."""

from __future__ import annotations

import pytest

from kaas.loader.source import Algorithm, Checksum
from kaas.loader.sources.sums import of_base64, of_etag, of_head, of_headers, of_parts, of_sums

SHA1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
MD5 = "d41d8cd98f00b204e9800998ecf8427e"
HEADS = [
    ({"ETag": f'"{MD5}"'}, Checksum(Algorithm.MD5, MD5)),
    ({"ETag": f'"{MD5}"', "ServerSideEncryption": "AES256"}, Checksum(Algorithm.MD5, MD5)),
    ({"ETag": f'"{MD5}"', "ServerSideEncryption": "aws:kms"}, None),
    ({"ETag": f'"{MD5}"', "ServerSideEncryption": "aws:kms:dsse"}, None),
    ({"ETag": f'"{MD5}"', "SSECustomerAlgorithm": "AES256"}, None),
    ({"ETag": f'"{MD5}-2"'}, None),
    ({}, None),
    ({"ETag": f'"{MD5}"', "ChecksumCRC32C": "AAAAAA=="}, Checksum(Algorithm.CRC32C, "00000000")),
    ({"ChecksumCRC32": "/////w==", "ChecksumType": "FULL_OBJECT"}, Checksum(Algorithm.CRC32, "ffffffff")),
    ({"ChecksumCRC32C": "AAAAAA==-2", "ChecksumType": "COMPOSITE", "ETag": f'"{MD5}-2"'}, None),
    ({"ChecksumCRC32C": "AAAAAA==", "ChecksumType": "COMPOSITE", "ETag": f'"{MD5}"'}, Checksum(Algorithm.MD5, MD5)),
    ({"ChecksumCRC32C": "AAAAAA==-2", "ETag": f'"{MD5}-2"'}, None),
    ({"ChecksumSHA256": "", "ChecksumSHA1": "2jmj7l5rSw0yVb/vlWAYkK/YBwk="}, Checksum(Algorithm.SHA1, SHA1)),
    ({"ChecksumCRC64NVME": "AAAAAAAAAAA=", "ChecksumSHA256": "x"}, Checksum(Algorithm.CRC64NVME, "0" * 16)),
]  # fmt: skip


@pytest.mark.parametrize(("head", "expected"), HEADS)
def test_of_head(head: dict[str, str], expected: Checksum | None) -> None:
    assert of_head(head) == expected


def test_of_etag() -> None:
    assert of_etag(MD5) == Checksum(Algorithm.MD5, MD5)
    assert of_etag(MD5.upper()) is None
    assert of_etag(f"W/{MD5}") is None


@pytest.mark.parametrize(
    ("etag", "size", "first", "parts"),
    [
        (f"{MD5}-3", 25, 10, (10, 10, 5)),
        (f"{MD5}-3", 30, 10, (10, 10, 10)),
        (f"{MD5}-1", 10, 10, (10,)),
        (f"{MD5}-3", 31, 10, ()),  # its parts differ in length
        (f"{MD5}-3", 25, 25, ()),  # a server that knows no parts
        (f"{MD5}-3", 25, 0, ()),
        (f"{MD5}-0", 25, 10, ()),
        (MD5, 25, 25, ()),
    ],
)
def test_of_parts(etag: str, size: int, first: int, parts: tuple[int, ...]) -> None:
    assert of_parts(etag, size, first) == (Checksum(Algorithm.MD5, MD5, parts) if parts else None)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ({"ChecksumCRC32C": "AAAAAA==-2"}, (Checksum(Algorithm.CRC32C, "00000000"), 2)),
        ({"ChecksumSHA1": "2jmj7l5rSw0yVb/vlWAYkK/YBwk=-10000"}, (Checksum(Algorithm.SHA1, SHA1), 10_000)),
        ({"ChecksumCRC32C": "AAAAAA=="}, None),
        ({"ChecksumCRC32C": "AAAAAA==-"}, None),
        ({"ChecksumCRC32C": "AAAAAA==-0"}, None),
        ({"ChecksumCRC32C": "AAAAAA==-999999999"}, None),
        ({"ChecksumCRC32C": "x-2"}, None),
        ({}, None),
    ],
)
def test_of_sums(head: dict[str, str], expected: tuple[Checksum, int] | None) -> None:
    assert of_sums(head) == expected


@pytest.mark.parametrize("text", ["", "AAAA", "????", "AAAAAA==\n", None, 7])
def test_what_is_no_sum(text: object) -> None:
    assert of_base64(Algorithm.CRC32C, text) is None


@pytest.mark.parametrize(
    ("headers", "algorithm"),
    [
        ({"x-goog-hash": "crc32c=AAAAAA==,md5=1B2M2Y8AsgTpgAmY7PhCfg=="}, Algorithm.CRC32C),
        ({"repr-digest": "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"}, Algorithm.SHA256),
        ({"digest": "SHA-256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}, Algorithm.SHA256),
        ({"digest": "unixsum=3, md5=1B2M2Y8AsgTpgAmY7PhCfg=="}, Algorithm.MD5),
        ({"digest": "md5=tooshort"}, None),
        ({}, None),
    ],
)
def test_of_headers(headers: dict[str, str], algorithm: Algorithm | None) -> None:
    found = of_headers(headers)
    assert (found.algorithm if found else None) == algorithm

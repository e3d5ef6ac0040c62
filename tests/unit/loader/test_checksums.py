from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.loader import checksums
from kaas.loader.source import Algorithm, Checksum

# Source: RFC 3720 B.4 and the catalogue of parametrised CRC algorithms, the check values of "123456789".
KNOWN = {
    Algorithm.CRC32: "cbf43926",
    Algorithm.CRC32C: "e3069283",
    Algorithm.CRC64NVME: "ae8b14860a799888",
    Algorithm.MD5: "25f9e794323b453885f5181f1b624d0b",
    Algorithm.SHA1: "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    Algorithm.SHA256: "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
}


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_known_sums(algorithm: Algorithm) -> None:
    assert checksums.of(algorithm, b"123456789") == KNOWN[algorithm]
    assert checksums.matches(Checksum(algorithm, KNOWN[algorithm]), memoryview(b"123456789"))
    assert not checksums.matches(Checksum(algorithm, KNOWN[algorithm]), b"123456780")


@given(st.sampled_from(sorted(checksums.CYCLIC)), st.binary(max_size=200), st.integers(1, 50))
def test_sums_of_ranges_give_that_of_the_whole(algorithm: Algorithm, data: bytes, piece: int) -> None:
    cyclic = checksums.CYCLIC[algorithm]
    sums = [cyclic.of(data[at : at + piece], 0) for at in range(0, len(data), piece)]
    assert cyclic.whole(sums, piece, len(data)) == cyclic.of(data, 0)


def test_crc32_is_that_of_zlib() -> None:
    data = os.urandom(1000)
    assert int(checksums.of(Algorithm.CRC32, data), 16) == zlib.crc32(data)


def test_a_file_is_read_back(tmp_path: Path) -> None:
    data = os.urandom(2 * checksums.BLOCK + 5)
    (tmp_path / "f").write_bytes(data + b"more")
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    for algorithm in Algorithm:
        right = Checksum(algorithm, checksums.of(algorithm, data))
        assert checksums.file_matches(right, fd, len(data))
        assert not checksums.file_matches(right, fd, len(data) - 1)
        all_there = Checksum(algorithm, checksums.of(algorithm, data + b"more"))
        assert checksums.file_matches(all_there, fd, 10**9), "what is there, when that is less"
    os.close(fd)


# Source: zlib and hashlib over the sums of parts, as the Amazon S3 user guide tells composite checksums.
@pytest.mark.parametrize("algorithm", [Algorithm.CRC32, Algorithm.SHA256, Algorithm.MD5])
def test_sums_of_sums(algorithm: Algorithm, tmp_path: Path) -> None:
    data, parts = os.urandom(25), (10, 10, 5)
    pieces = data[:10], data[10:20], data[20:]
    if algorithm is Algorithm.CRC32:
        value = f"{zlib.crc32(b''.join(zlib.crc32(p).to_bytes(4, 'big') for p in pieces)):08x}"
    else:
        each = [hashlib.new(algorithm.value, p, usedforsecurity=False).digest() for p in pieces]
        value = hashlib.new(algorithm.value, b"".join(each), usedforsecurity=False).hexdigest()
    expected = Checksum(algorithm, value, parts)
    (tmp_path / "f").write_bytes(data)
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    try:
        assert checksums.matches(expected, data)
        assert checksums.file_matches(expected, fd, len(data))
        for wrong in (Checksum(algorithm, value, (10, 5, 10)), Checksum(algorithm, value)):
            assert not checksums.matches(wrong, data)
            assert not checksums.file_matches(wrong, fd, len(data))
        assert not checksums.matches(expected, data[::-1])
    finally:
        os.close(fd)

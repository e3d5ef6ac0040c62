"""S3 as a source, on a real server: every key, every byte, and sums that are those of the content."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import zlib
from pathlib import Path

import awscrt.checksums as crt
import pytest

from kaas.loader.source import Algorithm, Changed, Checksum, Denied, Entry, NotThere, Refused, Unreachable
from kaas.loader.sources.access import Access
from tests.contract.loader.buckets import BUCKET, NO_NAMES, ODD, content, listed, opened, whole
from tests.contract.loader.conftest import S3

PART = 5 * 1024 * 1024


def put(s3: S3, *keys: str) -> None:
    for key in keys:
        s3.client.put_object(Bucket=BUCKET, Key=key, Body=content(key))


def access(s3: S3, **said: object) -> Access:
    return Access(endpoint=s3.url, region="us-east-1", **said)  # type: ignore[arg-type]


async def test_every_odd_key_is_listed_and_read(s3: S3) -> None:
    keys = {*ODD, *NO_NAMES, "a//b", "/x", "a/./b"}
    put(s3, *keys)
    async with opened(f"s3://{BUCKET}", access(s3)) as source:
        found = await listed(source)
        assert {entry.name for entry in found} == keys
        for entry in found:
            assert await whole(source, entry) == content(entry.key), entry
            assert bytes(await source.read(entry, 1, entry.size - 2)) == entry.key.encode()


async def test_zero_bytes_and_markers(s3: S3) -> None:
    for key in ("empty", "dir/", "dir/sub/", "top/"):
        s3.client.put_object(Bucket=BUCKET, Key=key, Body=b"")
    async with opened(f"s3://{BUCKET}", access(s3)) as source:
        found = await listed(source)
        assert {(e.name, e.size) for e in found} == {("empty", 0), ("dir/", 0), ("dir/sub/", 0), ("top/", 0)}
        assert [await whole(source, entry) for entry in found] == [b""] * 4
    async with opened(f"s3://{BUCKET}/dir/", access(s3)) as source:
        assert [e.name for e in await listed(source)] == ["sub/"]


async def test_more_than_a_page_of_keys(s3: S3) -> None:
    keys = [f"data/{n:04}/part" for n in range(1501)]
    await asyncio.to_thread(put, s3, *keys)
    async with opened(f"s3://{BUCKET}/data/", access(s3)) as source:
        pages = [page async for page in source.pages()]
        assert [len(page) for page in pages] == [1000, 501]
        assert [e.key for page in pages for e in page] == keys


async def test_a_prefix_ends_at_a_slash(s3: S3) -> None:
    put(s3, "models/foo", "models/foo/a", "models/foobar/b", "models/foo.txt")
    async with opened(f"s3://{BUCKET}/models/foo/", access(s3)) as source:
        assert [e.name for e in await listed(source)] == ["a"]
    async with opened(f"s3://{BUCKET}/models/foo", access(s3)) as source:
        (entry,) = await listed(source)
        assert (entry.key, entry.name) == ("models/foo", "foo")
        assert await whole(source, entry) == content("models/foo")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (f"s3://{BUCKET}/dir", "is no object but a directory: write s3://bucket/dir/"),
        (f"s3://{BUCKET}/nothing", "there is no such object"),
        (f"s3://{BUCKET}/nothing/", "there is nothing in it"),
        ("s3://other-bucket/", "there is no such bucket"),
    ],
)
async def test_what_is_not_there(s3: S3, address: str, said: str) -> None:
    put(s3, "dir/x")
    async with opened(address, access(s3)) as source:
        with pytest.raises(NotThere) as error:
            await listed(source)
    assert said in str(error.value)
    assert address in str(error.value)


def crc(kind: str, data: bytes) -> str:
    sums = {"CRC64NVME": (crt.crc64nvme, 8), "CRC32C": (crt.crc32c, 4), "CRC32": (zlib.crc32, 4)}
    function, size = sums[kind]
    return int(function(data)).to_bytes(size, "big").hex()


@pytest.mark.parametrize("kind", ["CRC64NVME", "CRC32C", "CRC32"])
async def test_sums_that_the_store_has(s3: S3, kind: str) -> None:
    data = bytes(range(256)) * 100
    s3.client.put_object(Bucket=BUCKET, Key="x", Body=data, ChecksumAlgorithm=kind)
    async with opened(f"s3://{BUCKET}/", access(s3)) as source:
        (entry,) = await listed(source)
        assert entry.checksum == Checksum(Algorithm.MD5, hashlib.md5(data).hexdigest())  # noqa: S324
        assert await source.checksum(entry) == Checksum(Algorithm[kind], crc(kind, data))


async def test_an_object_in_parts(s3: S3) -> None:
    """Its ETag is no MD5 of the content, and a sum of sums is not one of the content."""
    made = s3.client.create_multipart_upload(Bucket=BUCKET, Key="big")["UploadId"]
    pieces = [b"a" * PART, b"b" * 1000]
    upload = {"Bucket": BUCKET, "Key": "big", "UploadId": made}
    parts = [
        {"PartNumber": n, "ETag": s3.client.upload_part(**upload, PartNumber=n, Body=piece)["ETag"]}
        for n, piece in enumerate(pieces, start=1)
    ]
    s3.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    async with opened(f"s3://{BUCKET}/", access(s3)) as source:
        (entry,) = await listed(source)
        assert entry.size == PART + 1000
        assert entry.version.endswith("-2")
        assert entry.checksum is None
        found = await source.checksum(entry)
        assert found is None or found.value == crc(found.algorithm.name, b"".join(pieces))
        assert bytes(await source.read(entry, PART - 2, 4)) == b"aabb"


async def test_an_etag_under_kms_is_no_sum(s3: S3) -> None:
    s3.client.put_object(
        Bucket=BUCKET, Key="x", Body=b"data", ServerSideEncryption="aws:kms", ChecksumAlgorithm="SHA256"
    )
    async with opened(f"s3://{BUCKET}/x", access(s3)) as source:
        (entry,) = await listed(source)
        assert entry.checksum == Checksum(Algorithm.SHA256, hashlib.sha256(b"data").hexdigest())


@pytest.mark.parametrize("key", ["x", "odd\tx"])
async def test_an_object_that_is_written_anew_is_noticed(s3: S3, key: str) -> None:
    put(s3, key)
    async with opened(f"s3://{BUCKET}/", access(s3)) as source:
        (entry,) = await listed(source)
        s3.client.put_object(Bucket=BUCKET, Key=key, Body=b"X" * entry.size)
        for start, length in ((0, entry.size), (1, 1)):
            with pytest.raises(Changed, match="not what was listed"):
                await source.read(entry, start, length)
        s3.client.delete_object(Bucket=BUCKET, Key=key)
        with pytest.raises(Changed, match="not what was listed"):
            await source.read(entry, 0, entry.size)
        with pytest.raises(Changed, match="not what was listed"):
            await source.checksum(entry)


async def test_a_range_that_is_not_there(s3: S3) -> None:
    put(s3, "x")
    async with opened(f"s3://{BUCKET}/", access(s3)) as source:
        (entry,) = await listed(source)
        with pytest.raises((Changed, Unreachable)):
            await source.read(entry, entry.size, 5)


async def test_anonymous_requests_have_no_signature(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("x", "odd\tx"):
        s3.client.put_object(Bucket=BUCKET, Key=key, Body=content(key), ACL="public-read")
    s3.client.put_bucket_acl(Bucket=BUCKET, ACL="public-read")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    async with opened(f"s3://{BUCKET}/", access(s3, anonymous=True)) as source:
        for entry in await listed(source):
            assert await whole(source, entry) == content(entry.key)
    async with opened(f"s3://{BUCKET}/", access(s3)) as source:
        with pytest.raises(Denied, match="no credentials were found"):
            await listed(source)


async def test_in_a_pod_the_endpoint_of_the_secret_counts(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    put(s3, "x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
    async with opened(f"s3://{BUCKET}/", Access(pod=True)) as source:
        assert [e.key for e in await listed(source)] == ["x"]


async def test_nobody_answers() -> None:
    async with opened(f"s3://{BUCKET}/x", Access(endpoint="http://127.0.0.1:1", anonymous=True)) as source:
        with pytest.raises(Unreachable, match="s3://bucket/x"):
            await source.read(Entry("x", "x", 5, "v"), 0, 5)


async def test_an_endpoint_that_is_none() -> None:
    with pytest.raises(Refused, match="endpoint"):
        async with opened(f"s3://{BUCKET}/x", Access(endpoint="minio:9000", anonymous=True)):
            pass


async def test_a_program_gives_new_keys(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in mode `file` of the credential webhook: a configuration that names a program."""
    put(s3, "x")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "keys").write_text(json.dumps({"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b"}))
    (tmp_path / "config").write_text(f"[default]\ncredential_process = cat {tmp_path / 'keys'}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    async with opened(f"s3://{BUCKET}/", access(s3, pod=True)) as source:
        (entry,) = await listed(source)
        assert await whole(source, entry) == content("x")


def test_the_sums_of_this_test_are_right() -> None:
    assert base64.b64encode(bytes.fromhex(crc("CRC32C", b"123456789"))) == b"4waSgw=="

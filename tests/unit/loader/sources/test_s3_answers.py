"""What S3 answers to reads: regions, keys that expire, redirects, and what is not what was asked for."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web

from kaas.loader.source import Changed, Denied, Entry, NotThere, Refused, SourceError, Unreachable
from kaas.loader.sources.policy import Policy
from tests.unit.loader.sources.s3_played import ETAG, MODIFIED, content, error, names, page, playing

ENTRY = Entry("key", "key", 4, ETAG)
ODD = Entry("dir/", "dir/", 4, ETAG)


def credential(request: web.Request) -> str:
    return request.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]


def region(request: web.Request) -> str:
    return request.headers.get("Authorization", "").partition("Credential=")[2].split("/")[2]


def elsewhere(request: web.Request) -> web.Response | None:
    if region(request) == "eu-west-1":
        return None
    return error(301, "PermanentRedirect", {"x-amz-bucket-region": "eu-west-1"})


async def test_a_bucket_of_another_region_is_followed_once() -> None:
    async with playing(lambda r, _: elsewhere(r) or page("a")) as s3:
        assert await names(await s3.source()) == ["a"]
        assert region(s3.asked[-1]) == "eu-west-1"


async def test_reads_follow_it_too() -> None:
    malformed = error(400, "AuthorizationHeaderMalformed", inner="<Region>eu-west-1</Region>")

    def answer(request: web.Request, _: int) -> web.Response:
        if region(request) != "eu-west-1":
            return malformed if "list-type" in request.query else error(301, "PermanentRedirect")
        return page("key") if "list-type" in request.query else content(request)

    async with playing(answer) as s3:
        source = await s3.source()
        assert [e.key async for found in source.pages() for e in found] == ["key"]
        assert bytes(await source.read(ENTRY, 0, 4)) == b"data"
        assert bytes(await source.read(ODD, 0, 4)) == b"data"
        await source.close()


async def test_a_bucket_that_is_moved_again_and_again_is_told() -> None:
    def answer(request: web.Request, _: int) -> web.Response:
        other = "eu-west-1" if region(request) != "eu-west-1" else "eu-west-2"
        return error(301, "PermanentRedirect", {"x-amz-bucket-region": other})

    async with playing(answer) as s3:
        with pytest.raises(Refused, match=r"the bucket is in region eu-west-\d: name that region"):
            await names(await s3.source())


async def test_a_region_that_nobody_tells() -> None:
    async with playing(lambda *_: error(301, "PermanentRedirect")) as s3:
        with pytest.raises(Refused, match="elsewhere: name its region"):
            await names(await s3.source())


@pytest.mark.parametrize(("status", "code"), [(400, "ExpiredToken"), (403, "ExpiredToken"), (403, "InvalidToken")])
@pytest.mark.parametrize("entry", [ENTRY, ODD])
async def test_keys_that_expire_are_read_anew(
    status: int, code: str, entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a program, as the credential webhook sets it up; the Secret behind it has changed."""
    keys = tmp_path / "keys"
    keys.write_text(json.dumps({"Version": 1, "AccessKeyId": "OLD", "SecretAccessKey": "b", "SessionToken": "t"}))
    (tmp_path / "config").write_text(f"[default]\ncredential_process = cat {keys}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    def answer(request: web.Request, _: int) -> web.StreamResponse:
        return content(request) if credential(request) == "NEW" else error(status, code)

    async with playing(answer) as s3:
        source = await s3.source(pod=True)
        with pytest.raises(Denied, match=code):
            await source.read(entry, 0, 4)
        keys.write_text(json.dumps({"Version": 1, "AccessKeyId": "NEW", "SecretAccessKey": "b"}))
        many = await asyncio.gather(*(source.read(entry, n, 1) for n in range(4)))
        assert b"".join(map(bytes, many)) == b"data"
        await source.close()


@pytest.mark.parametrize("pod", [True, False])
async def test_keys_that_are_renewed_and_have_expired_still(
    pod: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their program keeps what it once got, or a clock is wrong. Told alike by who lists and by all who read."""
    past = {"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "b", "Expiration": "2020-01-01T00:00:00Z"}
    (tmp_path / "keys").write_text(json.dumps(past))
    (tmp_path / "config").write_text(f"[default]\ncredential_process = cat {tmp_path}/keys\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    said = "keys were renewed and have expired still: see who gives them"
    async with playing(lambda request, _: content(request)) as s3:
        source = await s3.source(pod=pod)
        with pytest.raises(Denied, match=said):
            await anext(aiter(source.pages()))
        for entry in (ENTRY, ODD):
            with pytest.raises(Denied, match=said):
                await source.read(entry, 0, 4)
        stream = source.stream(ENTRY, 0, 4)
        assert stream is not None
        with pytest.raises(Denied, match=said):
            await asyncio.to_thread(list, stream.pieces)
        assert await source.reader() is None
        assert not s3.asked
        await source.close()


FAILS = "[default]\ncredential_process = sh -c 'echo hunter2 >&2; exit 3'"
SETTINGS: list[tuple[dict[str, str], str, str]] = [
    ({"AWS_PROFILE": "nope"}, "", "there is no such profile: correct AWS_PROFILE"),
    ({"AWS_SECRET_ACCESS_KEY": ""}, "", "set both, AWS_ACCESS_KEY_ID and"),
    ({}, "not [ a file", "correct the file that AWS_CONFIG_FILE"),
    (
        {"AWS_ACCESS_KEY_ID": ""},
        "[default]\ncredential_process = sh -c 'echo hunter2 >&2; exit 3'",
        "see why credential",
    ),
]


@pytest.mark.parametrize(("environment", "config", "said"), SETTINGS)
async def test_settings_that_give_no_credentials(
    environment: dict[str, str], config: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    (tmp_path / "config").write_text(config)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    async with playing(lambda *_: page("a")) as s3:
        with pytest.raises(Denied) as denied:
            await s3.source()
    assert said in str(denied.value)
    assert "hunter2" not in str(denied.value)


@pytest.mark.parametrize("region", ["x.evil.com/", "a b", "eu_west"])
async def test_a_region_that_is_none(region: str) -> None:
    async with playing(lambda *_: page("a")) as s3:
        with pytest.raises(Refused, match="region"):
            await s3.source(region=region)


async def test_authorities_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with playing(lambda *_: page("a")) as s3:
        for content, said in ((None, "cannot be read"), ("no PEM", "has no certificate")):
            file = tmp_path / "ca"
            if content is not None:
                file.write_text(content)
            monkeypatch.setenv("AWS_CA_BUNDLE", str(file))
            with pytest.raises(Refused, match=f"AWS_CA_BUNDLE .*{said}"):
                await s3.source()


async def test_another_content_is_noticed_by_its_etag() -> None:
    """Also when the server knows nothing of conditions, or sends us to somebody else."""
    async with playing(lambda r, _: content(r, b"DATA", etag="f" * 32)) as s3:
        source = await s3.source()
        for entry in (ENTRY, ODD):
            with pytest.raises(Changed, match="not what was listed"):
                await source.read(entry, 0, 4)
            with pytest.raises(Changed, match="not what was listed"):
                await source.read(entry, 1, 2)
        await source.close()


async def test_another_size_is_noticed() -> None:
    async with playing(lambda r, _: content(r, b"longer data")) as s3:
        source = await s3.source()
        with pytest.raises((Changed, Unreachable)):
            await source.read(ENTRY, 0, 4)
        with pytest.raises(Changed, match="not what was listed"):
            await source.read(ENTRY, 1, 2)
        await source.close()


async def test_more_or_fewer_bytes_than_the_range_says() -> None:
    def answer(request: web.Request, _: int) -> web.Response:
        headers = {"ETag": f'"{ETAG}"', "Last-Modified": MODIFIED, "Content-Range": "bytes 1-2/4"}
        return web.Response(status=206, body=b"ataata" if "key" in request.path else b"a", headers=headers)

    async with playing(answer) as s3:
        source = await s3.source()
        for entry in (ENTRY, ODD):
            with pytest.raises(Unreachable, match=r"\d bytes came instead of 2"):
                await source.read(entry, 1, 2)
        await source.close()


OUTCOMES: list[tuple[int, str, type[SourceError], str]] = [
    (404, "NoSuchKey", Changed, "not what was listed"),
    (404, "NoSuchBucket", NotThere, "there is no such bucket"),
    (412, "PreconditionFailed", Changed, "not what was listed"),
    (416, "InvalidRange", Changed, "not what was listed"),
    (403, "AccessDenied", Denied, "AccessDenied"),
    (403, "InvalidObjectState", Refused, "it is archived: restore it"),
    (429, "TooManyRequests", Unreachable, "429"),
    (500, "InternalError", Unreachable, "InternalError"),
    (503, "SlowDown", Unreachable, "SlowDown"),
    (400, "RequestTimeout", Unreachable, "RequestTimeout"),
    (400, "InvalidRequest", Refused, "InvalidRequest, 400"),
    (501, "NotImplemented", Unreachable, "501"),
    (503, "", Unreachable, "503"),
    (403, "", Denied, "403"),
]


@pytest.mark.parametrize(("status", "code", "kind", "said"), OUTCOMES)
@pytest.mark.parametrize("entry", [ENTRY, ODD])
async def test_outcomes(status: int, code: str, kind: type[SourceError], said: str, entry: Entry) -> None:
    async with playing(lambda *_: error(status, code) if code else web.Response(status=status)) as s3:
        source = await s3.source()
        with pytest.raises(kind) as raised:
            await source.read(entry, 0, 4)
        assert len(s3.asked) == 1
        await source.close()
    assert type(raised.value) is kind
    assert said in str(raised.value)
    assert f"s3://bucket/{entry.key}" in str(raised.value)


async def test_an_endpoint_that_is_refused_by_its_name_alone() -> None:
    with pytest.raises(Refused, match="without TLS"):
        async with playing(lambda *_: page("a")) as s3:
            await s3.source(endpoint="http://minio.example.com:9000", policy=Policy())
    with pytest.raises(Refused, match=r"169\.254\.169\.254 is no address of the public internet"):
        async with playing(lambda *_: page("a")) as s3:
            await s3.source(endpoint="https://169.254.169.254", policy=Policy())


async def test_a_name_that_leads_inside_is_refused_when_it_is_asked() -> None:
    async with playing(lambda *_: page("a")) as s3:
        source = await s3.source(endpoint="https://localhost:1", policy=Policy())
        with pytest.raises(Refused, match="localhost is not allowed"):
            await source.read(ENTRY, 0, 4)
        with pytest.raises(Refused, match="localhost is not allowed"):
            await names(source)


async def test_an_endpoint_that_is_allowed_is_asked_directly() -> None:
    async with playing(lambda *_: page("a")) as s3:
        assert await names(await s3.source(policy=Policy.parse(["127.0.0.0/8"]))) == ["a"]


async def test_a_zero_byte_object_is_not_asked_for() -> None:
    async with playing(lambda *_: error(500, "InternalError")) as s3:
        source = await s3.source()
        assert bytes(await source.read(Entry("empty", "empty", 0, ETAG), 0, 0)) == b""
        assert not s3.asked
        await source.close()


async def test_anonymous_and_requester_pays() -> None:
    def answer(request: web.Request, _: int) -> web.Response:
        return page("key") if "list-type" in request.query else content(request)

    async with playing(answer) as s3:
        source = await s3.source(anonymous=True)
        assert await names(source) == ["key"]
        assert "Authorization" not in s3.asked[0].headers
        source = await s3.source(requester_pays=True)
        await source.read(ENTRY, 0, 4)
        await source.read(ODD, 0, 4)
        await names(source)
        assert [r.headers.get("x-amz-request-payer") for r in s3.asked[1:]] == ["requester"] * 3

"""Reads of S3 over the wire: signed as AWS wants it, of the version that was listed, and by obstore where they fail."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from kaas.loader.address import parse
from kaas.loader.source import Algorithm, Changed, Checksum, Entry, Refused, Stream, Unreachable
from kaas.loader.sources.access import Access
from kaas.loader.sources.aws import Keys
from kaas.loader.sources.failures import Answer
from kaas.loader.sources.policy import Policy
from kaas.loader.sources.s3 import S3Source
from kaas.loader.sources.signing import Secret, Signer, path_of
from tests.unit.loader.sources.s3_played import ETAG, content, error, playing

BODY = b"0123456789" * 10_000
KEY = Entry("key", "key", len(BODY), ETAG)
AGENT = "kaas-load"
CRC = {"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="}
SUM = Checksum(Algorithm.CRC64NVME, "0" * 16)


async def streamed(source: S3Source, entry: Entry = KEY, start: int = 0, length: int = len(BODY)) -> tuple[bytes, Any]:
    """Content and sum, as a thread gets them."""

    def read() -> tuple[bytes, Stream]:
        found = source.stream(entry, start, length)
        assert found is not None
        return b"".join(map(bytes, found.pieces)), found

    data, found = await asyncio.to_thread(read)
    return data, found.checksum


def agents(asked: list[web.Request]) -> list[bool]:
    """Which requests came over the wire."""
    return [request.headers.get("User-Agent") == AGENT for request in asked]


def with_headers(request: web.Request, headers: dict[str, str], **said: Any) -> web.StreamResponse:
    found = content(request, BODY, **said)
    found.headers.update(headers)
    return found


@pytest.mark.parametrize("token", [None, "token/of+somebody="])
@pytest.mark.parametrize("key", ["key", "a b/+%41&=~$@;:,!'()*", "ünï/コード", "deep/" * 40 + "x", "a\u0301"])
def test_it_signs_as_botocore_does(key: str, token: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Secret("AKIDEXAMPLE", "secret/+key", token)
    headers = [("host", "127.0.0.1:9000"), ("range", "bytes=0-9"), ("if-match", f'"{ETAG}"')]
    said = Signer("eu-west-1").get(path_of("/base", "bucket", key), headers, secret).decode("latin-1")
    line, *lines = said.split("\r\n")[:-2]
    found = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
    assert line.startswith("GET /base/bucket/")
    assert line.isascii()

    path = line.split(" ")[1]
    asked = AWSRequest("GET", f"http://127.0.0.1:9000{path}", headers=dict(headers[1:]))
    then = datetime.strptime(found["x-amz-date"], "%Y%m%dT%H%M%SZ")
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: then)
    S3SigV4Auth(Credentials(secret.access, secret.secret, token), "s3", "eu-west-1").add_auth(asked)
    theirs = asked.headers["Authorization"]
    assert found["authorization"].replace(" ", "") == theirs.replace(" ", "")
    assert found.get("x-amz-security-token") == token


def test_keys_that_are_renewed_sign_what_follows() -> None:
    signer, headers = Signer("eu-west-1"), [("host", "h")]
    for access in ("AKIDONE", "AKIDTWO", "AKIDONE"):
        assert f"Credential={access}/" in signer.get("/b/k", headers, Secret(access, "s", None)).decode()


def test_what_is_not_signed() -> None:
    assert Signer("eu-west-1").get("/b/k", [("host", "h")], None) == b"GET /b/k HTTP/1.1\r\nhost: h\r\n\r\n"


async def test_plain_reads_go_over_the_wire() -> None:
    async with playing(lambda request, _: with_headers(request, CRC)) as server:
        source = await server.source()
        assert await streamed(source) == (BODY, SUM)
        assert await streamed(source, KEY, 5, 10) == (BODY[5:15], None)
        whole, part = (request.headers for request in server.asked)
        assert agents(server.asked) == [True, True]
        assert whole["If-Match"] == part["If-Match"] == f'"{ETAG}"'
        assert (whole.get("x-amz-checksum-mode"), whole.get("Range")) == ("ENABLED", None)
        assert (part.get("x-amz-checksum-mode"), part.get("Range")) == (None, "bytes=5-14")
        assert all("Signature=" in request.headers["Authorization"] for request in server.asked)
        await source.close()


@pytest.mark.parametrize("said", [{"anonymous": True}, {"requester_pays": True}])
async def test_as_whom_it_asks(said: dict[str, Any]) -> None:
    async with playing(lambda request, _: content(request, BODY)) as server:
        source = await server.source(**said)
        await streamed(source)
        headers = server.asked[0].headers
        assert agents(server.asked) == [True]
        assert ("Authorization" in headers) is not said.get("anonymous", False)
        assert headers.get("x-amz-request-payer") == ("requester" if said.get("requester_pays") else None)
        await source.close()


async def test_a_weak_version_is_no_condition() -> None:
    weak = f'W/"{ETAG}"'
    async with playing(lambda request, _: with_headers(request, {"ETag": weak})) as server:
        source = await server.source()
        assert (await streamed(source, Entry("key", "key", len(BODY), weak)))[0] == BODY
        assert agents(server.asked) == [True]
        assert "If-Match" not in server.asked[0].headers
        await source.close()


OTHERS: dict[str, Callable[[web.Request], web.StreamResponse]] = {
    "refused": lambda request: error(400, "InvalidRequest"),
    "another version": lambda request: content(request, BODY, etag="f" * 32),
    "another size": lambda request: content(request, BODY + b"x"),
    "no range": lambda request: web.Response(body=BODY[:10], headers={"ETag": f'"{ETAG}"'}),
    "another range": lambda request: with_headers(request, {"Content-Range": f"bytes 6-15/{len(BODY)}"}),
}


@pytest.mark.parametrize("answer", OTHERS.values(), ids=OTHERS.keys())
async def test_what_fails_once_comes_by_obstore(answer: Callable[[web.Request], web.StreamResponse]) -> None:
    async with playing(lambda request, number: content(request, BODY) if number else answer(request)) as server:
        source = await server.source()
        assert (await streamed(source, KEY, 5, 10))[0] == BODY[5:15]
        assert agents(server.asked) == [True, False]
        await source.close()


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_server_that_is_busy_is_not_asked_twice(status: int) -> None:
    async with playing(lambda request, _: error(status, "SlowDown")) as server:
        source = await server.source()
        with pytest.raises(Unreachable, match=str(status)):
            await streamed(source)
        assert len(server.asked) == 1
        await source.close()


async def test_what_changed_is_told_by_obstore() -> None:
    async with playing(lambda request, _: error(412, "PreconditionFailed")) as server:
        source = await server.source()
        with pytest.raises(Changed):
            await streamed(source)
        await source.close()


async def test_nothing_is_asked_when_it_is_closed() -> None:
    async with playing(lambda request, _: content(request, BODY)) as server:
        source = await server.source()
        found = source.stream(KEY, 0, len(BODY))
        assert found is not None
        await source.close()
        with pytest.raises(Unreachable, match="nothing is asked any more"):
            await asyncio.to_thread(next, found.pieces)
        assert not server.asked


async def test_keys_that_are_read_anew_are_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of many threads would start the program that gives them."""
    keys = {"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "b", "Expiration": "2099-01-01T00:00:00Z"}
    program = f"echo >> {tmp_path}/runs; sleep 0.2; cat {tmp_path}/keys"
    (tmp_path / "keys").write_text(json.dumps(keys))
    (tmp_path / "config").write_text(f"[default]\ncredential_process = sh -c '{program}'\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    found = Keys(Access())
    found.secret()
    before = len((tmp_path / "runs").read_text())
    with ThreadPoolExecutor(9) as pool:
        anew = pool.submit(found.anew)
        while not anew.done():
            list(pool.map(lambda _: found.secret(), range(8)))
    assert len((tmp_path / "runs").read_text()) == before + 1


@pytest.mark.parametrize("before", ["", "endpoint_url = https://bucket.example.com"], ids=["of the cloud", "guarded"])
async def test_what_is_configured_meanwhile_leads_nowhere_else(
    before: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint that would have been refused is, also when it comes with new keys."""
    config = tmp_path / "config"
    config.write_text(f"[default]\n{before}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    async with playing(lambda request, _: content(request, BODY)) as server:
        source = S3Source(parse("s3://bucket/"), Access(region="us-east-1", policy=Policy.parse([]), pod=True))
        await source.open()
        host = source._place.host
        config.write_text(f"[default]\nendpoint_url = {server.url}\n")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDOFANOTHER")
        with pytest.raises(Refused, match="endpoint"):
            await source._can_go_on(Answer(400, "ExpiredToken"), 0)
        assert source._place.host == host == ("bucket.example.com" if before else "s3.amazonaws.com")
        await source.close()


@pytest.mark.parametrize("variable", ["all_proxy", "ALL_PROXY"])
async def test_a_proxy_for_all(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with playing(lambda request, _: content(request, BODY)) as server:
        monkeypatch.setenv(variable, server.url)
        source = await server.source()
        assert (await streamed(source))[0] == BODY
        assert agents(server.asked) == [False]
        await source.close()


@pytest.mark.parametrize(("bypass", "over_the_wire"), [("", False), ("127.0.0.1", True)])
async def test_a_proxy_of_the_environment_is_for_obstore(
    bypass: str, over_the_wire: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with playing(lambda request, _: content(request, BODY)) as server:
        monkeypatch.setenv("http_proxy", server.url)
        monkeypatch.setenv("no_proxy", bypass)
        source = await server.source()
        assert (await streamed(source))[0] == BODY
        assert agents(server.asked) == [over_the_wire]
        await source.close()


async def test_a_sum_of_sums_is_no_sum_of_the_content() -> None:
    composite = {"x-amz-checksum-crc32": "AAAAAA==-2", "x-amz-checksum-type": "COMPOSITE"}
    async with playing(lambda request, _: with_headers(request, composite)) as server:
        source = await server.source()
        assert await streamed(source) == (BODY, None)
        await source.close()

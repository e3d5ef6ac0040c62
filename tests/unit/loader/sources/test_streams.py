"""What threads read by themselves, and what they are told when it cannot be had."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from google.auth import exceptions as auth

from kaas.loader.source import Changed, Denied, Entry, Refused, SourceError, Streaming, Unreachable
from kaas.loader.sources import google
from kaas.loader.sources.exactly import PIECE
from tests.unit.loader.sources import s3_played, test_gcs_played
from tests.unit.loader.sources.s3_played import ETAG

DATA = bytes(range(256)) * (3 * PIECE // 256) + b"end"
S3 = Entry("key", "key", len(DATA), ETAG)
GCS = Entry("key", "key", len(DATA), "17")
PLAYED = pytest.mark.parametrize(("played", "entry"), [(s3_played, S3), (test_gcs_played, GCS)], ids=["s3", "gcs"])
Answer = Callable[[web.Request], web.StreamResponse]


async def streamed(source: Streaming, entry: Entry, start: int, length: int) -> bytes:
    """A range, as a thread reads it."""

    def read() -> bytes:
        found = source.stream(entry, start, length)
        assert found is not None
        return b"".join(map(bytes, found.pieces))

    return await asyncio.to_thread(read)


@PLAYED
@pytest.mark.parametrize("span", [(0, len(DATA)), (5, 10), (PIECE - 1, 2 * PIECE), (len(DATA) - 1, 1)])
async def test_ranges(played: Any, entry: Entry, span: tuple[int, int]) -> None:
    async with played.playing(lambda request, _: played.content(request, DATA)) as server:
        source = await server.source()
        start, length = span
        assert await streamed(source, entry, start, length) == DATA[start : start + length]
        assert source.stream(Entry("odd/", "odd/", 4, "17"), 0, 4) is None
        await source.close()


OUTCOMES: list[tuple[Answer, type[SourceError]]] = [
    (lambda request: web.Response(status=503), Unreachable),
    (lambda request: web.Response(status=403), Denied),
    (lambda request: web.Response(status=404), Changed),
    (lambda request: web.Response(status=412), Changed),
    (lambda request: web.Response(status=400), Refused),
]


@PLAYED
@pytest.mark.parametrize(("answer", "kind"), OUTCOMES)
async def test_outcomes(played: Any, entry: Entry, answer: Answer, kind: type[SourceError]) -> None:
    async with played.playing(lambda request, _: answer(request)) as server:
        source = await server.source()
        with pytest.raises(kind):
            await streamed(source, entry, 0, 10)
        await source.close()


@PLAYED
async def test_another_length_than_was_listed(played: Any, entry: Entry) -> None:
    async with played.playing(lambda request, _: played.content(request, DATA[:-1])) as server:
        source = await server.source()
        for start, length in [(0, len(DATA)), (0, 10)]:
            with pytest.raises(Changed):
                await streamed(source, entry, start, length)
        await source.close()


@pytest.mark.parametrize("way", ["stream", "read"])
async def test_a_program_that_gives_no_keys_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """Nobody is told what it has said."""
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho hunter2 status code: 500 >&2; exit 3\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    keys = json.dumps({"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "b", "Expiration": "2020-01-01T00:00:00Z"})
    (tmp_path / "keys").write_text(keys)
    (tmp_path / "config").write_text(f"[default]\ncredential_process = sh -c 'cat {tmp_path}/keys || exec {program}'\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    async with s3_played.playing(lambda request, _: s3_played.content(request, DATA)) as server:
        source = await server.source(pod=True)
        (tmp_path / "keys").unlink()
        with pytest.raises(Denied, match="see why credential_process gives none") as denied:
            await (streamed(source, S3, 0, 4) if way == "stream" else source.read(S3, 0, 4))
        assert "hunter2" not in str(denied.value)
        assert not server.asked
        await source.close()


@pytest.mark.parametrize("way", ["stream", "read"])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (auth.TransportError("hunter2"), Unreachable),  # type: ignore[no-untyped-call]
        (auth.RefreshError("hunter2", retryable=True), Unreachable),  # type: ignore[no-untyped-call]
        (auth.RefreshError("hunter2", retryable=False), Denied),  # type: ignore[no-untyped-call]
    ],
)
async def test_a_token_that_does_not_come(
    account: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    error: auth.GoogleAuthError,
    kind: type[SourceError],
) -> None:
    """A network that fails for a moment does not end a load for good."""
    (tmp_path / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv(google.FILE, str(tmp_path / "account.json"))

    def refresh(*_: object) -> None:
        raise error

    async with test_gcs_played.playing(lambda request, _: test_gcs_played.content(request, DATA)) as server:
        source = await server.source(anonymous=False)
        monkeypatch.setattr("google.oauth2.service_account.Credentials.refresh", refresh)
        with pytest.raises(kind) as raised:
            await (streamed(source, GCS, 0, 4) if way == "stream" else source.read(GCS, 0, 4))
        assert "hunter2" not in str(raised.value)
        await source.close()

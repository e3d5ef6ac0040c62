"""Tickets against a receiver that fails on order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from kaas.api.repair import Ticket
from kaas.repairs.acts import ticket as module
from kaas.repairs.acts.ticket import send
from tests.unit.web_server import serving

BODY = {"node": "dgx-1", "tried": ["HardReboot"]}


@dataclass
class Receiver:
    codes: list[int] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    url: str = ""

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        self.keys.append(request.headers["Idempotency-Key"])
        code = self.codes.pop(0) if self.codes else 201
        return web.Response(status=code, headers={"Location": self.url} if code == 302 else {})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    async with serving(made.take, "/hook") as url:
        made.url = f"{url}/hook"
        yield made


@dataclass
class Naps:
    wanted: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.wanted.append(seconds)


@pytest.mark.parametrize(
    ("codes", "taken", "calls"),
    [
        ([], True, 1),
        ([503, 429], True, 3),
        ([500, 500, 500], False, 3),
        ([400], False, 1),
        ([302], False, 1),
    ],
)
async def test_tickets(receiver: Receiver, codes: list[int], taken: bool, calls: int) -> None:
    receiver.codes = list(codes)
    assert await send(Ticket(url=receiver.url), BODY, sleep=Naps()) is taken
    assert receiver.bodies == [BODY] * calls
    assert len(set(receiver.keys)) == 1


async def test_the_same_body_has_the_same_key(receiver: Receiver) -> None:
    for body in (BODY, dict(reversed(BODY.items())), {**BODY, "node": "dgx-2"}):
        assert await send(Ticket(url=receiver.url), body)
    assert receiver.keys[0] == receiver.keys[1] != receiver.keys[2]


async def test_nobody_answers(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    naps = Naps()
    monkeypatch.setattr(module, "TIMEOUT", 0.5)
    assert not await send(Ticket(url="http://127.0.0.1:1/secret-token"), BODY, sleep=naps)
    assert naps.wanted == [0.5, 2.0]
    assert "127.0.0.1" in caplog.text
    assert "secret-token" not in caplog.text

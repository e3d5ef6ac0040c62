"""When the API server is asked, and what is kept of its answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kaas.credentials.server.lookups import KEPT, KEPT_SECONDS, Lookups
from kaas.kube.errors import Unavailable

SECRET = {"type": "kaas.internal/aws-credentials", "data": {"AWS_ROLE_ARN": "eA=="}}


class Reader:
    """Answers when it is let."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def get(self, path: str) -> dict[str, Any] | None:
        self.asked.append(path)
        answer = self.answers.pop(0) if self.answers else SECRET
        await self.gate.wait()
        if isinstance(answer, Exception):
            raise answer
        found: dict[str, Any] | None = answer
        return found


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_an_account_is_asked_for_each_time() -> None:
    reader = Reader({"metadata": {}}, None)
    lookups = Lookups(reader)
    assert await lookups.service_account("a", "job") == {"metadata": {}}
    assert await lookups.service_account("a", "job") is None
    assert reader.asked == ["/api/v1/namespaces/a/serviceaccounts/job"] * 2


async def test_facts_are_good_for_two_seconds() -> None:
    reader, clock = Reader(), Time()
    lookups = Lookups(reader, clock)
    for now, asked in ((0.0, 1), (KEPT_SECONDS - 0.1, 1), (KEPT_SECONDS, 2)):
        clock.now = now
        facts = await lookups.secret("a", "s3")
        assert facts is not None
        assert facts.keys == {"AWS_ROLE_ARN"}
        assert len(reader.asked) == asked


async def test_absence_is_never_kept() -> None:
    lookups = Lookups(Reader(None))
    assert await lookups.secret("a", "s3") is None
    assert await lookups.secret("a", "s3") is not None


async def test_who_asks_at_once_asks_once() -> None:
    reader = Reader()
    reader.gate.clear()
    lookups = Lookups(reader)
    waiting = [asyncio.create_task(lookups.secret("a", "s3")) for _ in range(50)]
    await asyncio.sleep(0)
    reader.gate.set()
    assert all(await asyncio.gather(*waiting))
    assert len(reader.asked) == 1


async def test_an_absence_that_was_asked_for_earlier_is_not_believed() -> None:
    """Between that question and this Pod the Secret may have been made."""
    reader = Reader(None, SECRET)
    reader.gate.clear()
    lookups = Lookups(reader)
    first = asyncio.create_task(lookups.secret("a", "s3"))
    await asyncio.sleep(0)
    second = asyncio.create_task(lookups.secret("a", "s3"))
    await asyncio.sleep(0)
    reader.gate.set()
    assert await first is None
    assert await second is not None


async def test_a_failure_is_everyones_and_forgotten() -> None:
    reader = Reader(Unavailable("GET", "no answer"))
    lookups = Lookups(reader)
    with pytest.raises(Unavailable):
        await lookups.secret("a", "s3")
    assert await lookups.secret("a", "s3") is not None


async def test_who_gives_up_takes_the_answer_from_nobody() -> None:
    reader = Reader()
    reader.gate.clear()
    lookups = Lookups(reader)
    impatient = asyncio.create_task(lookups.secret("a", "s3"))
    patient = asyncio.create_task(lookups.secret("a", "s3"))
    await asyncio.sleep(0)
    impatient.cancel()
    reader.gate.set()
    assert await patient is not None


async def test_memory_is_bounded() -> None:
    lookups = Lookups(Reader())
    for number in range(KEPT + 10):
        await lookups.secret("a", f"s{number}")
    assert len(lookups._kept) <= KEPT

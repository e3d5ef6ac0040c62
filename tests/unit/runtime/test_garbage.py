"""What has come to stay is taken out of the garbage collector's sight, and only for as long as it is asked."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from kaas.runtime import garbage


@pytest.fixture(autouse=True)
def _thawed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(garbage, "EVERY", 0.0)
    gc.unfreeze()
    yield
    gc.unfreeze()


class Cycle:
    """Something that only the collector frees."""

    def __init__(self) -> None:
        self.own = self


def answers(*given: bool) -> Iterator[bool]:
    yield from given


async def test_freezes_until_it_holds() -> None:
    asked = answers(False, False, True)
    await garbage.freeze_until(lambda: next(asked))
    assert gc.get_freeze_count() > 0
    assert next(asked, None) is None


async def test_freezes_nothing_when_it_holds_already() -> None:
    await garbage.freeze_until(lambda: True)
    assert gc.get_freeze_count() == 0


async def test_goes_on_waiting_when_it_froze_often_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "MOST", 1)
    asked = answers(False, False, False, True)
    await garbage.freeze_until(lambda: next(asked))
    assert next(asked, None) is None


async def test_everything_is_cleaned_at_rest_what_is_frozen_too_and_not_while_there_is_work() -> None:
    now, resting = 0.0, False
    before = gc.get_threshold()
    cycle = weakref.ref(Cycle())
    gc.freeze()
    tidying = asyncio.create_task(garbage.tidy(lambda: resting, lambda: now))

    async def turns() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    await turns()
    now = garbage.TIDY_EVERY + 1
    await turns()
    assert cycle() is not None
    resting = True
    await turns()
    assert cycle() is None
    assert gc.get_freeze_count() > 0
    tidying.cancel()
    await asyncio.gather(tidying, return_exceptions=True)
    assert gc.get_threshold() == before


async def test_who_never_rests_is_cleaned_at_last() -> None:
    now = 0.0
    tidying = asyncio.create_task(garbage.tidy(lambda: False, lambda: now))
    await asyncio.sleep(0)
    cycle = weakref.ref(Cycle())
    now = garbage.TIDY_AT_LATEST + 1
    for _ in range(10):
        await asyncio.sleep(0)
    assert cycle() is None
    tidying.cancel()
    await asyncio.gather(tidying, return_exceptions=True)

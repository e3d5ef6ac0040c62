"""What has come to stay is taken out of the garbage collector's sight, and only for as long as it is asked."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from kaas.runtime import garbage


@pytest.fixture(autouse=True)
def _thawed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(garbage, "EVERY", 0.0)
    gc.unfreeze()
    yield
    gc.unfreeze()


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

"""A disk that takes its time: what is written is waited for, and nobody takes it for a source that is slow."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from kaas.loader import large, small
from kaas.loader.hands import Turn
from kaas.loader.journal import Journal
from kaas.loader.ledger import Ledger
from kaas.loader.options import Options
from kaas.loader.report import Reason
from kaas.loader.run import load
from kaas.loader.source import Algorithm
from tests.unit.loader.bucket import MIB, QUICK, SMALL, Bucket, tree
from tests.unit.loader.test_lane import Quick
from tests.unit.loader.test_tree import opened


async def some_turns() -> None:
    """Let others of the event loop work."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_end_of_a_turn_waits_for_what_is_written_however_often_it_is_cancelled() -> None:
    turn, begun, done = Turn(1.0, lambda: 0.0), threading.Event(), threading.Event()

    def write() -> None:
        with turn.writing():
            begun.set()
            done.wait(10)

    threading.Thread(target=write).start()
    assert begun.wait(10)
    ending = asyncio.ensure_future(turn.end())
    for _ in range(3):
        await some_turns()
        ending.cancel()
    await some_turns()
    assert not ending.done()
    done.set()
    with pytest.raises(asyncio.CancelledError):
        await ending
    with turn.writing() as may:
        assert not may


@pytest.mark.parametrize("kind", [Bucket, Quick])
async def test_what_is_written_when_a_load_is_told_twice_to_stop_keeps_its_files_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Bucket]
) -> None:
    begun, gate = threading.Event(), threading.Event()
    found: list[OSError] = []

    def slowly(*place: object) -> int | None:
        begun.set()
        gate.wait(2)
        try:
            mtime = store(*place)  # type: ignore[arg-type]
        except OSError as error:
            found.append(error)
            raise
        return mtime

    store = small.store
    monkeypatch.setattr(small, "store", slowly)
    bucket = kind({"a": b"content"}, listed=Algorithm.MD5)
    running = asyncio.ensure_future(load(bucket, tmp_path, Options(limits=SMALL)))
    while not begun.is_set():  # noqa: ASYNC110 - a thread sets it
        await asyncio.sleep(0.01)
    for _ in range(2):
        running.cancel()
        await some_turns()
    await asyncio.wait({running}, timeout=0.3)
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not found
    assert tree(tmp_path) == bucket.objects


def test_time_that_a_disk_takes_is_not_the_sources() -> None:
    """A volume that takes less than comes is no reason to read anything twice."""
    clock = [3.0]
    turn = Turn(5.0, lambda: clock[0])
    with turn.writing():
        clock[0] = 100.0
        assert turn.deadline > clock[0]
    assert turn.deadline == 102.0


OPENING = [(Journal, "open"), (large, "created"), (large, "opened"), (Ledger, "pieces")]


@pytest.mark.parametrize("where", OPENING, ids=lambda where: where[1])
async def test_what_is_opened_when_a_load_is_stopped_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: tuple[Any, str]
) -> None:
    bucket = Bucket({"large": bytes(3 * MIB)})
    if where[1] in {"opened", "pieces"}:
        bucket.stuck = {"large"}
        assert (await load(bucket, tmp_path, Options(limits=SMALL, patience=QUICK))).reason is Reason.UNREACHABLE
        bucket.stuck.clear()
    begun, gate, real = threading.Event(), threading.Event(), getattr(*where)

    def slowly(*given: Any, **named: Any) -> Any:
        begun.set()
        gate.wait(10)
        return real(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(*where, slowly)
        running = asyncio.ensure_future(load(bucket, tmp_path, Options(limits=SMALL)))
        while not begun.is_set():  # noqa: ASYNC110 - a thread sets it
            await asyncio.sleep(0.01)
        running.cancel()
        await some_turns()
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert not opened(tmp_path)
    assert (await load(bucket, tmp_path, Options(limits=SMALL))).reason is Reason.LOADED

"""The queue with a test's clock: workers, pauses, stopping."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaas.runtime.clock import FakeClock, settle
from kaas.runtime.queue import Outcome, Queue


class Work:
    """A reconcile that a test steers: it ends when `let` says so, or at once."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.started: list[tuple[str, float]] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.results: dict[str, list[float | Exception | None]] = defaultdict(list)
        self.running: set[str] = set()
        self.most = 0

    async def __call__(self, key: str) -> float | None:
        assert key not in self.running
        self.running.add(key)
        self.most = max(self.most, len(self.running))
        self.started.append((key, self.clock.monotonic()))
        try:
            if key in self.gates:
                await self.gates[key].wait()
            result = self.results[key].pop(0) if self.results[key] else None
            if isinstance(result, Exception):
                raise result
            return result
        finally:
            self.running.discard(key)


async def started(workers: int = 2) -> tuple[Queue[str], Work, FakeClock, list[Outcome], asyncio.Task[None]]:
    clock = FakeClock()
    outcomes: list[Outcome] = []
    work = Work(clock)
    queue: Queue[str] = Queue(work, workers=workers, clock=clock, observe=outcomes.append)
    return queue, work, clock, outcomes, asyncio.create_task(queue.run())


async def test_added_before_it_runs() -> None:
    queue: Queue[str] = Queue(work := Work(FakeClock()), clock=FakeClock())
    queue.add("a")
    queue.add("a")
    task = asyncio.create_task(queue.run())
    await settle()
    assert [k for k, _ in work.started] == ["a"]
    assert queue.idle
    await queue.stop()
    await task


async def test_one_at_a_time_per_key_and_again_for_what_came_meanwhile() -> None:
    queue, work, _, _, task = await started()
    work.gates["a"] = asyncio.Event()
    queue.add("a")
    await settle()
    queue.add("a")
    queue.add("a")
    await settle()
    assert len(work.started) == 1
    assert queue.depth == 1
    work.gates["a"].set()
    await settle()
    assert len(work.started) == 2
    await queue.stop()
    await task


async def test_urgent_keys_go_before_those_that_wait_for_a_worker() -> None:
    queue, work, _, _, task = await started(workers=1)
    work.gates["a"] = asyncio.Event()
    for key in "abc":
        queue.add(key)
    await settle()
    queue.hurry("d")
    queue.hurry("c")
    work.gates["a"].set()
    await settle()
    assert [key for key, _ in work.started] == ["a", "d", "c", "b"]
    await queue.stop()
    await task


async def test_no_more_than_its_workers() -> None:
    queue, work, _, _, task = await started(workers=2)
    for key in "abcde":
        work.gates[key] = asyncio.Event()
        queue.add(key)
    await settle()
    assert (queue.working, queue.depth) == (2, 3)
    for gate in work.gates.values():
        gate.set()
    await settle()
    assert len(work.started) == 5
    assert work.most == 2
    await queue.stop()
    await task


async def test_looks_again_when_asked() -> None:
    queue, work, clock, _, task = await started()
    work.results["a"] = [60.0, None]
    queue.add("a")
    await clock.advance(59)
    assert len(work.started) == 1
    await clock.advance(1)
    assert work.started == [("a", 0), ("a", 60)]
    await clock.advance(1000)
    assert len(work.started) == 2
    await queue.stop()
    await task


async def test_errors_are_repeated_with_growing_pauses() -> None:
    queue, work, clock, outcomes, task = await started()
    work.results["a"] = [ValueError("x"), KeyError("y"), ValueError("z"), None]
    queue.add("a")
    await clock.advance(60)
    times = [t for _, t in work.started]
    pauses = [b - a for a, b in pairwise(times)]
    assert [0.8 <= pauses[0] <= 1.2, 1.6 <= pauses[1] <= 2.4, 3.2 <= pauses[2] <= 4.8] == [True] * 3
    assert [o.error for o in outcomes] == ["ValueError", "KeyError", "ValueError", None]
    await queue.stop()
    await task


async def test_an_earlier_key_does_not_wait_for_a_later_one() -> None:
    queue, work, clock, _, task = await started()
    queue.add_after("late", 100)
    await settle()
    queue.add_after("early", 10)
    await clock.advance(10)
    assert work.started == [("early", 10)]
    await queue.stop()
    await task


async def test_age_of_the_oldest() -> None:
    queue, work, clock, _, task = await started(workers=1)
    work.gates["a"] = asyncio.Event()
    queue.add("a")
    await settle()
    queue.add("b")
    await clock.advance(7)
    assert queue.oldest() == 7
    await queue.stop(patience=0)
    await task


async def test_stop_lets_what_runs_end() -> None:
    queue, work, _, outcomes, task = await started()
    work.gates["a"] = asyncio.Event()
    queue.add("a")
    await settle()
    queue.add("b_after")
    stopping = asyncio.create_task(queue.stop(patience=60))
    await settle()
    queue.add("late")
    work.gates["a"].set()
    await stopping
    await task
    assert "late" not in [k for k, _ in work.started]
    assert "a" in [o.key for o in outcomes]


async def test_stop_cancels_what_does_not_end() -> None:
    queue, work, _, outcomes, task = await started()
    work.gates["a"] = asyncio.Event()
    queue.add("a")
    await settle()
    await queue.stop(patience=0)
    await task
    assert work.running == set()
    assert outcomes == []


async def test_cancelling_the_queue_cancels_its_work() -> None:
    queue, work, _, _, task = await started()
    work.gates["a"] = asyncio.Event()
    queue.add("a")
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.running == set()


EVENTS = st.lists(
    st.tuples(st.sampled_from(["add", "fail", "again"]), st.sampled_from("abc"), st.integers(0, 5)), max_size=30
)


@settings(max_examples=60)
@given(EVENTS, st.integers(1, 3))
def test_any_interleaving_ends_with_everything_seen(events: list[tuple[str, str, int]], workers: int) -> None:
    async def play() -> None:
        queue, work, clock, _, task = await started(workers)
        seen_after: dict[str, float] = {}
        for what, key, seconds in events:
            if what == "fail":
                work.results[key].append(RuntimeError("x"))
            elif what == "again":
                work.results[key].append(float(seconds))
            queue.add(key)
            seen_after[key] = clock.monotonic()
            await clock.advance(seconds)
        await clock.advance(2000)
        last = dict(work.started)
        assert all(last[key] >= at for key, at in seen_after.items())
        assert work.most <= workers
        assert queue.idle
        assert not any(work.results.values())
        await queue.stop()
        await task

    run(play())


def run(play: Awaitable[None]) -> None:
    async def main() -> None:
        await play

    asyncio.run(main())

"""Turns: who has much to compute begins alone."""

from __future__ import annotations

import asyncio

from kaas.runtime.turns import Turns


async def test_no_two_begin_in_the_same_turn_of_the_loop_and_the_first_to_come_is_first() -> None:
    turns, begun, number = Turns(), list[tuple[int, int]](), 0

    async def work(own: int) -> None:
        await turns.take()
        begun.append((own, number))

    tasks = [asyncio.create_task(work(n)) for n in range(5)]
    while not all(task.done() for task in tasks):
        number += 1
        await asyncio.sleep(0)
    assert [own for own, _ in begun] == list(range(5))
    assert len({at for _, at in begun}) == len(begun)


async def test_one_that_is_cancelled_while_it_waits_holds_up_nobody() -> None:
    turns = Turns()
    await turns.take()
    waiting = asyncio.create_task(turns.take())
    waiting.cancel()
    async with asyncio.timeout(60):
        await turns.take()

"""Python's garbage collector, kept away from what has come to stay, and from busy times.

It stops every thread while it walks over all containers: a quarter of a second for a fleet of 1,000 Clusters, again and
again while much changes. So what there is gets frozen while the fleet is read and reconciled. From then on only the
young are cleaned at any time, which is quick; the whole is when nothing is to be done, which frees what is frozen too.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable

EVERY = 0.5  # seconds
TIDY_EVERY, TIDY_AT_LATEST = 600.0, 3600.0  # seconds between two cleanings of everything: at rest, and at any rate
NEVER = 1_000_000_000  # collections of the middle generation until Python cleans everything by itself
MOST = 240  # times; whoever is never at rest has a heap that changes all the time anyway
YOUNG = 1  # generations that are cleaned first, which is quick: what is garbage already is not frozen


async def freeze_until(holds: Callable[[], bool]) -> None:
    """Freeze what there is, again and again, until `holds()`, for two minutes at most before it just waits."""
    times = 0
    while not holds():
        await asyncio.sleep(EVERY)
        if times < MOST:
            gc.collect(YOUNG)
            gc.freeze()
        times += 1


async def tidy(at_rest: Callable[[], bool], seconds: Callable[[], float] = time.monotonic) -> None:
    """From now on, clean everything only at rest, and freeze it again; for ever. seconds: a clock."""
    young, middle, old = gc.get_threshold()
    gc.set_threshold(young, middle, NEVER)
    try:
        last = seconds()
        while True:
            await asyncio.sleep(EVERY)
            waited = seconds() - last
            if waited > TIDY_AT_LATEST or (waited > TIDY_EVERY and at_rest()):
                gc.unfreeze()
                gc.collect()
                gc.freeze()
                last = seconds()
    finally:
        gc.set_threshold(young, middle, old)

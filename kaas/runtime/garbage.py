"""Python's garbage collector, kept away from what has come to stay.

It stops every thread while it walks over all containers: a quarter of a second for a fleet of 1,000 Clusters, again and
again while the fleet is read. What is frozen is freed as before when nobody refers to it; only a cycle that is frozen
and given up later stays, and so nothing is frozen once the fleet has been read and reconciled.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

EVERY = 0.5  # seconds
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

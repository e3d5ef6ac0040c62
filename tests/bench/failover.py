"""How long a fleet is without a controller when its leader is killed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from tests.bench import fleet
from tests.bench.bare import bare, fill
from tests.bench.bench import Bench
from tests.bench.changes import Changes, watching
from tests.bench.controllers import Controller, controller, until
from tests.bench.figures import Figure, Limit
from tests.e2e.platform import Platform

CLUSTERS = 20


def run(bench: Bench) -> Sequence[Figure]:
    """Kill the leader, change a Cluster, wait until the standby has brought the change to Cluster API."""
    kills = bench.size(5, 1)
    with bare(bench, "failover") as platform:
        fill(bench, platform, CLUSTERS)
        times = _times(bench, platform, kills)
    note = f"slowest of {kills}: from kill -9 of the leader to the change of a Cluster made by the standby"
    return [Figure("fail-over to the standby", max(times), "s", Limit(15.0, below=True), note)]


def _times(bench: Bench, platform: Platform, kills: int) -> list[float]:
    times = []
    with ExitStack() as stack:
        changes = stack.enter_context(watching(platform))
        leader = stack.enter_context(controller(platform, 0))
        until("a leader", lambda: leader.leads)
        for number in range(1, kills + 1):
            standby = stack.enter_context(controller(platform, number))
            until("a standby with a full index", partial(_is_warm, standby))
            bench.say(f"kill {number} of {kills}")
            times.append(_killed(leader, changes))
            leader = standby
    return times


def _killed(leader: Controller, changes: Changes) -> float:
    leader.process.kill()
    start = time.monotonic()
    changes.send([fleet.name_of(0)])
    changes.latencies()
    return time.monotonic() - start


def _is_warm(standby: Controller) -> bool:
    return standby.metrics().get("kaas_indexed_objects", 0) > CLUSTERS * fleet.MACHINES and not standby.leads

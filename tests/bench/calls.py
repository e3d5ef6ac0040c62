"""Requests for one changed Cluster: its own API server counts them, and nobody else acts on the objects."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tests import metrics
from tests.bench import fleet
from tests.bench.bare import bare, fill
from tests.bench.bench import Bench
from tests.bench.changes import Changes, watching
from tests.bench.controllers import Controller, controller, until
from tests.bench.figures import Figure, Limit
from tests.e2e.platform import Platform

CLUSTERS = 5
CHANGED_OBJECTS = 1  # the Cluster API Cluster; the status that tells of it counts among the rest
QUIET = 3.0  # seconds without a request after which a change counts as done


def run(bench: Bench) -> Sequence[Figure]:
    """Changes one after the other; a start of the controller before them is not counted."""
    changes = bench.size(20, 3)
    with bare(bench, "calls") as platform:
        fill(bench, platform, CLUSTERS)
        counts = _measure(platform, changes)
    most = max(server for server, _ in counts)
    own = max(own for _, own in counts)
    note = f"most of {changes} changes of a pool; what is left is its status and its Event"
    return [
        Figure("API calls for a changed spec beyond the object", most - CHANGED_OBJECTS, "", Limit(2.0), note),
        Figure("the same, counted by the controller", own - CHANGED_OBJECTS, ""),
    ]


def _measure(platform: Platform, changes: int) -> list[tuple[float, float]]:
    # Without a leader: renewals of its Lease would be among the requests.
    with controller(platform, 0, "--no-leader-elect") as process, watching(platform) as seen:
        until("every Cluster is reconciled", lambda: process.synced(CLUSTERS))
        _until_quiet(platform)
        return [_change(platform, process, seen, n % CLUSTERS) for n in range(changes)]


def _change(platform: Platform, process: Controller, seen: Changes, number: int) -> tuple[float, float]:
    """Requests by the API server's count and by the controller's own."""
    while True:
        aside, before, ours = _aside(platform, process), _counted(platform), _own(process)
        seen.send([fleet.name_of(number)])
        seen.latencies()
        _until_quiet(platform)
        if _aside(platform, process) == aside:
            return _counted(platform) - before, _own(process) - ours


def _aside(platform: Platform, process: Controller) -> tuple[float, float]:
    """What comes with time and not with a change: watches that start anew, and Secrets of a cloud that is not there.

    A watch ends about once a minute; repairs look for the missing cloud four times a minute.
    """
    found = metrics.scrape_api_server(platform.api.url, platform.layout.certificates)
    secrets = metrics.total(process.metrics(), "kaas_api_requests_total", kind="Secret")
    return metrics.total(found, "apiserver_request_total", verb="WATCH"), secrets


def _until_quiet(platform: Platform) -> None:
    """Watches that a start opens are requests too."""
    last, since = -1.0, time.monotonic()
    while time.monotonic() - since < QUIET:
        if (now := _counted(platform)) != last:
            last, since = now, time.monotonic()
        time.sleep(0.2)


def _own(process: Controller) -> float:
    return metrics.total(process.metrics(), "kaas_api_requests_total")


def _counted(platform: Platform) -> float:
    return metrics.of_accounts(metrics.scrape_api_server(platform.api.url, platform.layout.certificates))

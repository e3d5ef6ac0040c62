"""Asks the API servers of Clusters under update twice a second how they are, and remembers the longest gap.

Each Cluster has a task of its own, and each question a connection of its own, as a new client would: one that does not
answer slows nobody, not even the next question to itself.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from datetime import datetime
from http import HTTPStatus
from typing import Final, Protocol

import aiohttp

from kaas.api.update_status import Availability
from kaas.kube.client import KubeClient
from kaas.kube.errors import KubeError
from kaas.kube.nodewatch import in_time
from kaas.kube.times import whole
from kaas.updates.run import ClusterKey
from kaas.updates.verify.tally import Tally

log = logging.getLogger(__name__)

EVERY: Final = 0.5
"""Seconds from one question to the next, whether or not it was answered, as long as few Clusters are asked."""
MOST_A_SECOND: Final = 100
"""Questions to all Clusters together: each is a TLS handshake, of some milliseconds. With more Clusters than half of
that under update at once each is asked less often, and the gaps that are found are coarser."""
TIMEOUT: Final = 3.0
"""Seconds after which there is no answer."""
MOST: Final = 1 + int(TIMEOUT / EVERY)
"""Questions to one Cluster that may be open at once."""
PATH: Final = "/readyz"
"""What is asked for: whether the server, with its etcd, would have requests sent to it."""
GOOD: Final = frozenset({HTTPStatus.OK, HTTPStatus.NOT_FOUND})
"""Answers that are good. A simulated API server (provider dev) does not know the path, and so says that it is there."""


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """Time of day, UTC."""

    def monotonic(self) -> float:
        """Seconds since some moment, never going back."""

    async def sleep(self, seconds: float) -> None:
        """Return after so long."""


class Workloads(Protocol):
    """The way to workload clusters."""

    async def client(self, cluster: ClusterKey) -> KubeClient:
        """Client for its API server, not to be closed; KubeError when there is none."""


async def ask(client: KubeClient) -> bool:
    """Whether the API server is ready, asked on a new connection; raises what aiohttp raises."""
    limit = aiohttp.ClientTimeout(total=TIMEOUT)
    async with (
        await client.watch_session(aiohttp.ClientResponse) as session,
        session.get(f"{client.server}{PATH}", timeout=limit, allow_redirects=False) as answer,
    ):
        await answer.read()
        return answer.status in GOOD


Ask = Callable[[KubeClient], Awaitable[bool]]


class Probe:
    """The Clusters that are asked. One event loop's thread only. What is counted is in memory: write it down."""

    def __init__(self, workloads: Workloads, clock: Clock, ask: Ask = ask) -> None:
        self._workloads = workloads
        self._clock = clock
        self._ask = ask
        self._watches: dict[ClusterKey, _Watch] = {}
        self._ended: set[asyncio.Task[None]] = set()

    def watch(self, key: ClusterKey, before: Availability | None = None) -> None:
        """Begin to ask a Cluster; once is enough. Needs a running event loop.

        before: what status says of the update under way, which is gone on from.
        """
        if key not in self._watches:
            self._watches[key] = _Watch(key, self._workloads, self._clock, self._ask, self._pause, before)

    def _pause(self) -> float:
        """Seconds from one question to the next to each Cluster, with as many as there are now."""
        return max(EVERY, len(self._watches) / MOST_A_SECOND)

    def availability(self, key: ClusterKey) -> Availability | None:
        """How it has answered; None when it is not asked."""
        watch = self._watches.get(key)
        return watch.tally.availability() if watch else None

    def forget(self, key: ClusterKey) -> None:
        """Ask it no longer."""
        if watch := self._watches.pop(key, None):
            for task in watch.end():
                self._ended.add(task)
                task.add_done_callback(self._ended.discard)

    async def close(self) -> None:
        """Ask nobody any longer, and return when all connections are closed."""
        for key in list(self._watches):
            self.forget(key)
        await asyncio.gather(*self._ended, return_exceptions=True)


class _Watch:
    """One Cluster that is asked."""

    def __init__(
        self,
        key: ClusterKey,
        workloads: Workloads,
        clock: Clock,
        ask: Ask,
        pause: Callable[[], float],
        before: Availability | None,
    ) -> None:
        self._key = key
        self._workloads = workloads
        self._clock = clock
        self._ask = ask
        self._pause = pause
        self.tally = Tally(whole(clock.now()), clock.monotonic(), before)
        self._open: set[asyncio.Task[None]] = set()
        self._task = asyncio.create_task(self._run(), name=f"probe of {'/'.join(key)}")

    async def _run(self) -> None:
        asked = -math.inf
        while True:
            now = self._clock.monotonic()
            self.tally.attend(now)
            if len(self._open) < MOST and now - asked > self._pause() - EVERY / 2:
                asked = now
                question = asyncio.create_task(self._once(), name=f"question to {'/'.join(self._key)}")
                self._open.add(question)
                question.add_done_callback(self._open.discard)
            await self._clock.sleep(EVERY)

    async def _once(self) -> None:
        try:
            way = self._workloads.client(self._key)
            client = await in_time(TIMEOUT, f"read the kubeconfig of {'/'.join(self._key)}", way)
        except KubeError as failure:
            log.debug("cannot ask %s: %s", "/".join(self._key), failure)
            self.tally.blind(self._clock.monotonic())
            return
        good = False
        try:
            good = await self._ask(client)
        except Exception as failure:  # whatever it is, it is no good answer
            log.debug("%s does not answer: %s", "/".join(self._key), str(failure) or type(failure).__name__)
        self.tally.answered(good, self._clock.monotonic())

    def end(self) -> list[asyncio.Task[None]]:
        """Have everything end; gives what is still to be waited for."""
        tasks = [self._task, *self._open]
        for task in tasks:
            task.cancel()
        return tasks

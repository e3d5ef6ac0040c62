"""Leader election by a Lease: one of several controllers works, the others wait.

The client library's own election is not used: it starts the leader's work and never looks at it again, so one that
crashed keeps its Lease for ever, and on exit it lets the Lease run out. Here the work ends with the Lease, the Lease
with the work, and exit releases it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from kaas.api.constants import SYSTEM_NAMESPACE
from kaas.kube.errors import Conflict, KubeError, NotFound
from kaas.kube.objects import Object, Ref
from kaas.runtime.clock import Clock, SystemClock

log = logging.getLogger(__name__)

LEASE_API = "coordination.k8s.io/v1"


class LeaseClient(Protocol):
    """What the election needs of an API server's client."""

    async def get(self, ref: Ref) -> Object | None:
        """Object, or None."""

    async def create(self, obj: Object) -> Object:
        """Create; Conflict when it is there."""

    async def replace(self, obj: Object) -> Object:
        """Replace what was read; Conflict when it changed."""


@dataclass(frozen=True, slots=True)
class Election:
    """Whose Lease, and its times in seconds.

    A standby takes over `duration` after it last saw the Lease change, within `retry`: at most 12 s after the leader
    died, 2 s after it left. A leader that cannot renew stops `give_up` after its last success, before any standby may
    start.
    """

    name: str = "kaas-controller"
    namespace: str = SYSTEM_NAMESPACE
    duration: float = 10.0
    renew: float = 3.0
    give_up: float = 7.0
    retry: float = 2.0
    identity: str = field(default_factory=lambda: f"{os.uname().nodename}_{uuid.uuid4().hex[:8]}")

    @property
    def ref(self) -> Ref:
        """The Lease."""
        return Ref(LEASE_API, "Lease", self.namespace, self.name)


class LeaseLost(Exception):
    """Another leads, or nobody could be asked for too long. The process should end, and be started again."""


class Leader:
    """Takes part in one election."""

    def __init__(self, client: LeaseClient, election: Election, clock: Clock | None = None) -> None:
        self._client = client
        self._election = election
        self._clock = clock or SystemClock()
        self._lease: Object | None = None
        self._seen_change = 0.0
        self._seen_version = ""
        self.leading = asyncio.Event()
        """Set while this one leads, until the Lease is released."""

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait until elected, do `work`, release the Lease however it ends. LeaseLost when the Lease was lost."""
        await self._acquire()
        log.info("leading as %s", self._election.identity)
        self.leading.set()
        tasks = [asyncio.ensure_future(work()), asyncio.create_task(self._keep(), name="lease")]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(tasks)
            await self._release()
            self.leading.clear()
        for task in tasks:
            if not task.cancelled():
                task.result()

    async def _acquire(self) -> None:
        while not await self._try_to_acquire():
            await self._clock.sleep(self._election.retry)

    async def _try_to_acquire(self) -> bool:
        try:
            lease = await self._client.get(self._election.ref)
            if lease is None:
                self._lease = await self._create()
                return True
            if not self._is_free(lease):
                return False
            self._lease = await self._client.replace(self._claimed(lease, taken=True))
        except Conflict:
            return False  # another was faster
        except KubeError as failure:
            log.warning("cannot take part in the election: %s", failure)
            return False
        return True

    async def _create(self) -> Object:
        """Create the Lease, and its namespace when that is missing too."""
        lease = self._claimed(
            {
                "apiVersion": LEASE_API,
                "kind": "Lease",
                "metadata": {"name": self._election.name, "namespace": self._election.namespace},
            },
            taken=True,
        )
        try:
            return await self._client.create(lease)
        except NotFound:
            with suppress(Conflict):
                namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self._election.namespace}}
                await self._client.create(namespace)
            return await self._client.create(lease)

    def _is_free(self, lease: Object) -> bool:
        """Whether nobody holds it, or it was not renewed for its duration, by our own clock: clocks differ."""
        spec = lease.get("spec") or {}
        now = self._clock.monotonic()
        if lease["metadata"]["resourceVersion"] != self._seen_version:
            self._seen_version = lease["metadata"]["resourceVersion"]
            self._seen_change = now
        if not spec.get("holderIdentity") or spec["holderIdentity"] == self._election.identity:
            return True
        return now - self._seen_change >= float(spec.get("leaseDurationSeconds") or self._election.duration)

    def _claimed(self, lease: Object, *, taken: bool) -> Object:
        stamp = _micro_time(self._clock.now())
        spec = {
            **(lease.get("spec") or {}),
            "holderIdentity": self._election.identity,
            "leaseDurationSeconds": round(self._election.duration),
            "renewTime": stamp,
        }
        if taken:
            spec["acquireTime"] = stamp
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        return {**lease, "spec": spec}

    async def _keep(self) -> None:
        """Renew until that fails for `give_up` seconds or another has taken the Lease; then LeaseLost."""
        success = self._clock.monotonic()
        while True:
            await self._clock.sleep(self._election.renew)
            while not await self._renew(success):
                if self._clock.monotonic() - success >= self._election.give_up:
                    raise LeaseLost(f"the Lease {self._election.ref} could not be renewed in time")
                await self._clock.sleep(min(1.0, self._election.retry))
            success = self._clock.monotonic()

    async def _renew(self, success: float) -> bool:
        """Renew once, in the time that is left."""
        left = max(0.1, self._election.give_up - (self._clock.monotonic() - success))
        assert self._lease is not None  # noqa: S101 - acquired before it is kept
        try:
            async with asyncio.timeout(left):
                self._lease = await self._client.replace(self._claimed(self._lease, taken=False))
        except (Conflict, NotFound):
            await self._read_again()
            return False
        except (KubeError, TimeoutError) as failure:
            log.warning("lease not renewed: %s", failure)
            return False
        return True

    async def _read_again(self) -> None:
        """A renewal that was written but not answered looks like a conflict: only another holder means lost."""
        with suppress(KubeError):
            lease = await self._client.get(self._election.ref)
            holder = ((lease or {}).get("spec") or {}).get("holderIdentity")
            if lease is None or holder != self._election.identity:
                raise LeaseLost(f"the Lease {self._election.ref} is held by {holder or 'nobody'}")
            self._lease = lease

    async def _release(self) -> None:
        """Give the Lease back, so that a standby need not wait for its end; not more than 3 seconds."""
        if self._lease is None:
            return
        lease = {**self._lease, "spec": {**self._lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}}
        self._lease = None
        with suppress(KubeError, TimeoutError):
            async with asyncio.timeout(3.0):
                await self._client.replace(lease)


async def _end(tasks: Sequence[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _micro_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

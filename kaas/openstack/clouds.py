"""Clouds, asked from asyncio: bounded threads a cloud, a time limit on everything, answers shared and kept for a while.

A cloud that hangs costs its own few threads and nothing else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from typing import Any, Final, TypeVar

from openstack.connection import Connection

from kaas.openstack import addresses, placement, power, questions, servers
from kaas.openstack.connection import Session
from kaas.openstack.credentials import Credentials
from kaas.openstack.errors import CloudError, Kind, Problem, classify, not_in_time
from kaas.openstack.facts import CloudFacts, Leftovers, ServerAction, ServerFacts, ServerFault
from kaas.openstack.floating_ip import FloatingIP
from kaas.openstack.shared import Shared

Answer = TypeVar("Answer")
Question = Callable[[Connection, str], Any]

_FACTS: Final[Mapping[str, Question]] = {
    "images": questions.images,
    "flavors": questions.flavors,
    "external_networks": questions.external_networks,
    "zones": questions.zones,
}
_QUOTAS: Final[Mapping[str, Question]] = {
    "compute_quotas": questions.compute_quotas,
    "network_quotas": questions.network_quotas,
    "load_balancer_quotas": questions.load_balancer_quotas,
    "volume_quotas": questions.volume_quotas,
}
# Seconds after which credentials that nobody asked with are forgotten: rotated ones never come back.
_IDLE: Final = 3600.0
_BRIEFLY: Final = 0.5  # seconds: longer than a cloud that is well and asked already needs


@dataclass(frozen=True)
class Limits:
    """Seconds, and threads.

    call: until a call without an answer fails.
    overall: until a question of several calls is given up.
    fresh: how long facts are kept: long enough to be shared by Clusters that come together, and shorter than a person
        takes to use up a quota, or a Cluster waits before it looks again. A failure is kept for `fresh_failure`.
    threads: at most so many for one cloud, however many projects of it we know.
    """

    call: float = 10.0
    overall: float = 30.0
    fresh: float = 10.0
    fresh_failure: float = 10.0
    threads: int = 4


@dataclass
class _Known:
    """What we keep of one set of credentials."""

    session: Session
    used: float
    servers: Shared[Mapping[str, ServerFacts]]
    facts: CloudFacts | None = None
    asked: float = 0.0
    began: float = 0.0
    asking: asyncio.Task[CloudFacts] | None = field(default=None, repr=False)
    waiting: int = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is being asked."""
        return self.asking is None and self.servers.idle


class CloudDirectory:
    """Every cloud that we have credentials for. Use from one event loop; `close` at the end.

    clock: monotonic seconds.
    """

    def __init__(self, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits or Limits()
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._pools: dict[str, ThreadPoolExecutor] = {}

    async def facts(self, credentials: Credentials, patience: float | None = None) -> CloudFacts:
        """What the cloud has, at most `Limits.fresh` seconds old. Never raises for a cloud: see `CloudFacts.error`.

        Callers at the same time share one round of questions; one that is cancelled does not end it for the others.
        patience: seconds after the beginning of a round when nobody waits for it any more; it goes on, for those who
        ask later. They are told the error of the round before, if there was one, else that the cloud is not in time.
        """
        known = self._of(credentials)
        if known.facts and self._clock() - known.asked < self._keeps(known.facts):
            return known.facts
        if known.asking is None:
            known.began = self._clock()
            known.asking = asyncio.create_task(self._ask(credentials, known))
        asking = known.asking
        done = await self._wait(known, asking, patience)
        if done:
            return asking.result()
        if known.facts and known.facts.error:
            return known.facts
        return CloudFacts(error=not_in_time(credentials.auth_url))

    async def _wait(self, known: _Known, asking: asyncio.Task[CloudFacts], patience: float | None) -> bool:
        """Whether the round ends in time.

        One caller waits for long. More, or any after a failure, would only hold up others: a cloud that does not answer
        must not take all workers.
        """
        left = None if patience is None else max(0.0, known.began + patience - self._clock())
        if left is not None and (known.waiting or (known.facts and known.facts.error)):
            left = min(left, _BRIEFLY)
        known.waiting += 1
        try:
            done, _ = await asyncio.wait({asking}, timeout=left)
        finally:
            known.waiting -= 1
        return bool(done)

    def forget(self, credentials: Credentials) -> None:
        """Ask anew next time: something is known to have changed."""
        if known := self._known.get(credentials.key):
            known.facts = None
            known.servers.forget()

    async def servers(self, credentials: Credentials) -> Mapping[str, ServerFacts]:
        """The project's servers by id, at most `Limits.fresh` seconds old: one listing for all. Raises CloudError.

        What was done to a server by us makes it old at once.
        """
        return await self._of(credentials).servers.get(lambda: self._within(credentials, servers.listing))

    async def server(self, credentials: Credentials, server_id: str) -> ServerFacts | None:
        """A server as it is now; None when there is no such server. Raises CloudError."""
        return await self._within(credentials, lambda cloud, _: servers.one(cloud, server_id))

    async def server_actions(self, credentials: Credentials, server_id: str) -> tuple[ServerAction, ...]:
        """What was begun with a server, by anybody, the oldest first. Raises CloudError."""
        return await self._within(credentials, lambda cloud, _: servers.actions(cloud, server_id))

    async def reboot(self, credentials: Credentials, server_id: str, *, hard: bool) -> str:
        """Begin a reboot; returns its request id. Raises CloudError in Nova's words, as do those below."""
        return await self._change(credentials, lambda cloud, _: power.reboot(cloud, server_id, hard=hard))

    async def stop(self, credentials: Credentials, server_id: str) -> str:
        """Begin to switch a server off; returns the request id."""
        return await self._change(credentials, lambda cloud, _: power.stop(cloud, server_id))

    async def start(self, credentials: Credentials, server_id: str) -> str:
        """Begin to switch a server on; returns the request id."""
        return await self._change(credentials, lambda cloud, _: power.start(cloud, server_id))

    async def rebuild(self, credentials: Credentials, server_id: str, image: str | None = None) -> str:
        """Begin to write a server's disk anew, by default from the image it was made from; returns the request id.

        Its user data, addresses and host stay.
        """
        return await self._change(credentials, lambda cloud, _: power.rebuild(cloud, server_id, image))

    async def _change(self, credentials: Credentials, change: Callable[[Connection, str], str]) -> str:
        """Do something to a server; what was listed before is old then, whether it worked or not."""
        try:
            return await self._within(credentials, change)
        finally:
            self._of(credentials).servers.forget()

    async def _within(self, credentials: Credentials, question: Callable[[Connection, str], Answer]) -> Answer:
        return await self._in_time(credentials, self._run(credentials, question))

    async def server_fault(self, credentials: Credentials, server_id: str) -> ServerFault | None:
        """A server's status and fault in Nova's words; None when there is no such server. Raises CloudError."""
        return await self._within(credentials, lambda cloud, _: questions.server_fault(cloud, server_id))

    async def hosts_with_room(self, credentials: Credentials, flavor: str, zone: str | None, wanted: int) -> int:
        """Hosts that have room for one more server of a flavor, as `placement.hosts` counts them. Raises CloudError."""
        return await self._within(credentials, lambda cloud, _: placement.hosts(cloud, flavor, zone, wanted))

    async def floating_ips(self, credentials: Credentials, named: Iterable[str]) -> Mapping[str, FloatingIP]:
        """The project's floating IPs of these addresses, by address. Raises CloudError."""
        return await self._within(credentials, lambda cloud, project: addresses.named(cloud, project, named))

    async def release(self, credentials: Credentials, floating_ip: str) -> bool:
        """Give a floating IP back by its id, unless it leads anywhere; whether it is gone. Raises CloudError."""
        return await self._within(credentials, lambda cloud, _: addresses.release(cloud, floating_ip))

    async def leftovers(self, credentials: Credentials) -> Leftovers:
        """What the project holds, counted. Raises CloudError."""
        names = [each.name for each in fields(Leftovers)]

        def counter(name: str) -> Callable[[Connection, str], int]:
            return lambda cloud, project: questions.count(cloud, project, name)

        counts = asyncio.gather(*(self._run(credentials, counter(name)) for name in names))
        return Leftovers(**dict(zip(names, await self._in_time(credentials, counts), strict=True)))

    def close(self) -> None:
        """Close all connections; threads that still wait for a cloud end with their call."""
        for known in self._known.values():
            known.session.close()
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        self._known.clear()
        self._pools.clear()

    def _keeps(self, facts: CloudFacts) -> float:
        return self._limits.fresh_failure if facts.error else self._limits.fresh

    def _of(self, credentials: Credentials) -> _Known:
        now = self._clock()
        self._drop_idle(now)
        if (known := self._known.get(credentials.key)) is None:
            limits = self._limits
            shared = Shared[Mapping[str, ServerFacts]](self._clock, limits.fresh, limits.fresh_failure)
            known = self._known[credentials.key] = _Known(Session(credentials, limits.call), now, shared)
        known.used = now
        return known

    def _drop_idle(self, now: float) -> None:
        for key in [k for k, known in self._known.items() if now - known.used > _IDLE and known.idle]:
            self._known.pop(key).session.close()

    async def _ask(self, credentials: Credentials, known: _Known) -> CloudFacts:
        try:
            known.facts = await self._in_time(credentials, self._gather(credentials))
        except CloudError as error:
            known.facts = CloudFacts(error=error.problem)
        finally:
            known.asking = None
        known.asked = self._clock()
        return known.facts

    async def _gather(self, credentials: Credentials) -> CloudFacts:
        await self._run(credentials, lambda _cloud, project: project)  # sign in once, before many would at a time
        names = [*_FACTS, *_QUOTAS]
        asked = (self._run_or_problem(credentials, {**_FACTS, **_QUOTAS}[name]) for name in names)
        answers: dict[str, Any] = dict(zip(names, await asyncio.gather(*asked), strict=True))
        unknown = {name: answers.pop(name) for name in names if isinstance(answers[name], Problem)}
        quotas = {k: v for name in _QUOTAS if name in answers for k, v in answers.pop(name).items()}
        return CloudFacts(**answers, quotas=quotas, unknown=unknown)

    async def _run_or_problem(self, credentials: Credentials, question: Question) -> Any:
        try:
            return await self._run(credentials, question)
        except CloudError as error:
            return error.problem

    async def _run(self, credentials: Credentials, question: Callable[[Connection, str], Answer]) -> Answer:
        """One question in the cloud's threads; its errors become CloudError."""
        session = self._of(credentials).session

        def ask() -> Answer:
            try:
                return question(session.cloud, session.project())
            except Exception as error:
                raise CloudError(classify(error, credentials.auth_url)) from None

        return await asyncio.get_running_loop().run_in_executor(self._pool(credentials), ask)

    async def _in_time(self, credentials: Credentials, asked: Awaitable[Answer]) -> Answer:
        try:
            async with asyncio.timeout(self._limits.overall):
                return await asked
        except TimeoutError:
            message = f"{credentials.auth_url} takes more than {self._limits.overall:g} s: check the cloud's services"
            raise CloudError(Problem(Kind.TIMEOUT, message)) from None

    def _pool(self, credentials: Credentials) -> ThreadPoolExecutor:
        where = credentials.auth_url
        if where not in self._pools:
            self._pools[where] = ThreadPoolExecutor(self._limits.threads, thread_name_prefix="cloud")
        return self._pools[where]

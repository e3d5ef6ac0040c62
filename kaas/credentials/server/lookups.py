"""What the API server is asked about a Pod: its ServiceAccount, and what is not secret of the Secrets that it names.

Both are asked for by name and only when a Pod needs them. A watch of all Secrets of our types would cost the right to
list every Secret of the cluster, since RBAC knows no types, hold values in memory that no Pod asks for, and be late:
whoever creates a Secret and then a Pod would be warned that the Secret is missing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from kaas.credentials.pods.facts import SecretFacts, facts_of
from kaas.kube.objects import Object

T = TypeVar("T")

KEPT_SECONDS = 2.0
"""How long the facts of a Secret that was found are good: a Deployment of a hundred Pods asks once."""
KEPT = 1024  # Secrets whose facts are kept at most


class Reader(Protocol):
    """What is needed of the API server's client."""

    async def get(self, path: str) -> Object | None:
        """Object, or None."""


class Questions(Generic[T]):
    """Questions to the API server that those who ask them at the same time share."""

    def __init__(self, ask: Callable[[str], Awaitable[T]]) -> None:
        self._ask = ask
        self._under_way: dict[str, asyncio.Future[T]] = {}

    async def earlier(self, path: str) -> T | None:
        """What comes of a question that is under way: it may be older than this call. None when there is none."""
        asked = self._under_way.get(path)
        return await asyncio.shield(asked) if asked else None

    async def now(self, path: str) -> T:
        """An answer to a question that was asked after this call, by whomever."""
        if earlier := self._under_way.get(path):
            await asyncio.wait([earlier])
        # Whoever gives up leaves it to the others.
        return await asyncio.shield(self._under_way.get(path) or self._begun(path))

    def _begun(self, path: str) -> asyncio.Future[T]:
        asked = self._under_way[path] = asyncio.ensure_future(self._ask(path))
        asked.add_done_callback(lambda done: self._answered(path, done))
        return asked

    def _answered(self, path: str, done: asyncio.Future[T]) -> None:
        del self._under_way[path]
        if not done.cancelled():
            done.exception()  # seen by all who waited; when nobody did any more, it is nobody's


class Lookups:
    """Answers about ServiceAccounts and Secrets. Every method raises a KubeError when the API server cannot say."""

    def __init__(self, reader: Reader, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._clock = clock
        self._kept: dict[str, tuple[float, SecretFacts]] = {}
        self._accounts = Questions(reader.get)
        self._secrets = Questions(self._facts)

    async def service_account(self, namespace: str, name: str) -> Object | None:
        """The ServiceAccount as it is now, never an earlier one; None when there is none.

        A hundred Pods of one ServiceAccount at once are some questions, each asked after those that it answers came.
        """
        return await self._accounts.now(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}")

    async def secret(self, namespace: str, name: str) -> SecretFacts | None:
        """Facts of a Secret, no older than two seconds; None when there is none now."""
        path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
        if (kept := self._kept.get(path)) and self._clock() < kept[0]:
            return kept[1]
        # An answer that was asked for earlier may be of before the Secret's making, so only what it found is believed.
        return await self._secrets.earlier(path) or await self._secrets.now(path)

    async def _facts(self, path: str) -> SecretFacts | None:
        found = await self._reader.get(path)
        if found is None:
            self._kept.pop(path, None)
            return None
        if len(self._kept) >= KEPT:
            self._kept.clear()
        facts = facts_of(found)
        self._kept[path] = (self._clock() + KEPT_SECONDS, facts)
        return facts

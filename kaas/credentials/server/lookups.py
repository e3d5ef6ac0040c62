"""What the API server is asked about a Pod: its ServiceAccount, and what is not secret of the Secrets that it names.

Both are asked for by name and only when a Pod needs them. A watch of all Secrets of our types would cost the right to
list every Secret of the cluster, since RBAC knows no types, hold values in memory that no Pod asks for, and be late:
whoever creates a Secret and then a Pod would be warned that the Secret is missing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from kaas.credentials.pods.facts import SecretFacts, facts_of
from kaas.kube.objects import Object

KEPT_SECONDS = 2.0
"""How long the facts of a Secret that was found are good: a Deployment of a hundred Pods asks once."""
KEPT = 1024  # Secrets whose facts are kept at most


class Reader(Protocol):
    """What is needed of the API server's client."""

    async def get(self, path: str) -> Object | None:
        """Object, or None."""


class Lookups:
    """Answers about ServiceAccounts and Secrets. Every method raises a KubeError when the API server cannot say."""

    def __init__(self, reader: Reader, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._clock = clock
        self._kept: dict[tuple[str, str], tuple[float, SecretFacts]] = {}
        self._asked: dict[tuple[str, str], asyncio.Future[SecretFacts | None]] = {}

    async def service_account(self, namespace: str, name: str) -> Object | None:
        """The ServiceAccount as it is now, never an earlier one; None when there is none.

        Pods at once share no answer: it would have to be one that was asked for after all of them came. Waiting for it
        was measured to be no faster than asking, with a third of the requests; nearly all of the time is etcd's.
        """
        return await self._reader.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}")

    async def secret(self, namespace: str, name: str) -> SecretFacts | None:
        """Facts of a Secret, no older than two seconds; None when there is none now."""
        key = (namespace, name)
        if (kept := self._kept.get(key)) and self._clock() < kept[0]:
            return kept[1]
        # An answer that was asked for earlier may be of before the Secret's making, so only what it found is believed.
        if (earlier := self._asked.get(key)) and (facts := await asyncio.shield(earlier)):
            return facts
        return await asyncio.shield(self._asked.get(key) or self._ask(key))  # who gives up leaves it to the others

    def _ask(self, key: tuple[str, str]) -> asyncio.Future[SecretFacts | None]:
        asked = self._asked[key] = asyncio.ensure_future(self._fetched(key))
        asked.add_done_callback(lambda done: self._answered(key, done))
        return asked

    def _answered(self, key: tuple[str, str], done: asyncio.Future[SecretFacts | None]) -> None:
        del self._asked[key]
        if not done.cancelled():
            done.exception()  # seen by all who waited; when nobody did any more, it is nobody's

    async def _fetched(self, key: tuple[str, str]) -> SecretFacts | None:
        namespace, name = key
        found = await self._reader.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
        if found is None:
            self._kept.pop(key, None)
            return None
        if len(self._kept) >= KEPT:
            self._kept.clear()
        facts = facts_of(found)
        self._kept[key] = (self._clock() + KEPT_SECONDS, facts)
        return facts

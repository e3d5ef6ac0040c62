"""Objects to look at, each by one at a time and in its newest version; what is not done is looked at again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from kaas_lab.machines.api import ApiError, Object

RETRY_SECONDS = 0.5
LATEST_SECONDS = 5.0
PARALLEL = 16

log = logging.getLogger(__name__)


class Queue:
    """look: called with an object; False asks for another look, as an ApiError does."""

    def __init__(self, name: str, look: Callable[[Object], Awaitable[bool]]) -> None:
        self._name, self._look = name, look
        self._newest: dict[str, Object] = {}
        self._waiting: asyncio.Queue[str] = asyncio.Queue()
        self._queued: set[str] = set()
        self._busy: set[str] = set()
        self._tries: dict[str, int] = {}

    async def seen(self, event: str, item: Object) -> None:
        """Take notice of a version of an object."""
        uid = item["metadata"]["uid"]
        if event == "DELETED":
            self._newest.pop(uid, None)
            self._tries.pop(uid, None)
            return
        self._newest[uid] = item
        self._put(uid)

    async def run(self) -> None:
        """Work until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(PARALLEL):
                group.create_task(self._work())

    def _put(self, uid: str) -> None:
        if uid not in self._queued:
            self._queued.add(uid)
            self._waiting.put_nowait(uid)

    async def _work(self) -> None:
        while True:
            uid = await self._waiting.get()
            self._queued.discard(uid)
            if uid in self._busy:
                self._again(uid, RETRY_SECONDS)
                continue
            self._busy.add(uid)
            try:
                await self._one(uid)
            finally:
                self._busy.discard(uid)

    async def _one(self, uid: str) -> None:
        item = self._newest.get(uid)
        if item is None:
            return
        try:
            is_done = await self._look(item)
        except ApiError as error:
            log.warning("%s %s: %s", self._name, item["metadata"]["name"], error)
            is_done = False
        if is_done:
            self._tries.pop(uid, None)
            return
        tries = self._tries[uid] = self._tries.get(uid, 0) + 1
        self._again(uid, min(RETRY_SECONDS * tries, LATEST_SECONDS))

    def _again(self, uid: str, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._put, uid)

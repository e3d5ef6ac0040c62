"""Tells of objects that cannot be read: a log line and an Event once for each fault, and a metric while it stands."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import Final

from prometheus_client import Gauge

from kaas.api.parsed import Unreadable
from kaas.kube.ports import Announcer

log = logging.getLogger(__name__)

UNREADABLE: Final = "Unreadable"
"""Reason of the Event."""


class UnreadObjects:
    """What was told. gauge: with the labels kind and name."""

    def __init__(self, gauge: Gauge, events: Announcer) -> None:
        self._gauge, self._events = gauge, events
        self._told: dict[tuple[str, str], str] = {}

    async def tell(self, kind: str, found: Sequence[Unreadable], among: Collection[str] | None = None) -> None:
        """These of a kind cannot be read now, and no others. among: names of those looked at; None for all."""
        if not found and not self._told:
            return
        names = {each.name for each in found}
        looked_at = [n for k, n in self._told if k == kind and (among is None or n in among)]
        for name in looked_at:
            if name not in names:
                del self._told[kind, name]
                self._gauge.remove(kind, name)
        for each in found:
            await self._tell(each)

    async def _tell(self, found: Unreadable) -> None:
        key, words = (found.kind, found.name), str(found)
        if self._told.get(key) == words:
            return
        self._told[key] = words
        self._gauge.labels(*key).set(1)
        log.warning("%s", words, extra={"fields": {"kind": found.kind, "name": found.name, "step": "read"}})
        await self._events.emit(found.obj, UNREADABLE, words, event_type="Warning")

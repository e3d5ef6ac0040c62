"""Events (core/v1) that a person sees in `kubectl describe`: on transitions only, the same one not again and again."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import OrderedDict
from datetime import datetime
from typing import Protocol

from kaas.kube.client import USER_AGENT
from kaas.kube.errors import KubeError
from kaas.kube.objects import Object, metadata, uid
from kaas.kube.ports import EventType
from kaas.kube.times import stamp

log = logging.getLogger(__name__)

COMPONENT = "kaas-controller"
QUIET = 600.0  # seconds in which the same event of the same object is not sent again
REMEMBERED = 4096
MESSAGE_LIMIT = 1024  # kubernetes/pkg/apis/core/validation, events


class _Creates(Protocol):
    async def create(self, obj: Object) -> Object:
        """Create one object."""


class _Time(Protocol):
    def now(self) -> datetime:
        """Time of day, UTC."""

    def monotonic(self) -> float:
        """Seconds, never going back."""


class Events:
    """Sends Events. One that cannot be sent is logged and forgotten: no reconcile fails for an Event's sake."""

    def __init__(self, client: _Creates, clock: _Time) -> None:
        self._client = client
        self._clock = clock
        self._sent: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    async def emit(self, about: Object, reason: str, message: str, *, event_type: EventType = "Normal") -> bool:
        """Say of an object what happened to it; False when the same was said in the last 10 minutes, or could not be.

        reason: one CamelCase word. Call it on a transition, for example of a condition, not on every reconcile.
        """
        key = (uid(about), reason, message)
        now = self._clock.monotonic()
        if now - self._sent.get(key, -QUIET) < QUIET:
            return False
        self._remember(key, now)
        try:
            await self._client.create(event_for(about, reason, message, event_type, self._clock.now()))
        except KubeError as failure:
            log.warning("event not sent: %s", failure)
            return False
        return True

    def _remember(self, key: tuple[str, str, str], now: float) -> None:
        self._sent[key] = now
        self._sent.move_to_end(key)
        while len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)


def event_for(about: Object, reason: str, message: str, event_type: EventType, now: datetime) -> Object:
    """Event object; its name is unique for object, reason, message and moment. Cluster-wide objects': in `default`."""
    meta = metadata(about)
    namespace = meta.get("namespace") or "default"
    at = stamp(now)
    digest = hashlib.sha256(f"{uid(about)}/{reason}/{message}/{now.isoformat()}".encode()).hexdigest()[:16]
    regarding = {
        "apiVersion": about["apiVersion"],
        "kind": about["kind"],
        "name": meta["name"],
        "namespace": meta.get("namespace"),
        "uid": meta.get("uid"),
    }
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{meta['name'][:200]}.{digest}", "namespace": namespace},
        "involvedObject": {k: v for k, v in regarding.items() if v},
        "reason": reason,
        "message": message[:MESSAGE_LIMIT],
        "type": event_type,
        "source": {"component": COMPONENT, "host": os.uname().nodename},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
        "reportingComponent": COMPONENT,
        "reportingInstance": USER_AGENT,
    }

"""The condition DataLoaded as it is written: when, with which times, and which changes are news. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from kaas.kube.objects import Object
from kaas.kube.ports import EventType
from kaas.kube.times import at, stamp
from kaas.volumes import terms
from kaas.volumes.claim import Key
from kaas.volumes.identity import Load
from kaas.volumes.progress import percent_in
from kaas.volumes.reasons import FINAL, RUNNING, Reason

LONGEST: Final = 1024
"""Characters of a message."""
EVERY: Final = timedelta(seconds=5)
"""Between two writes that tell of progress only."""
STEP: Final = 1.0
"""Per cent that progress has to be ahead to be written; without a percentage it is written every `SELDOM`."""
SELDOM: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Told:
    """What the condition is to say. holds: whether the data is there. load: the load that it speaks of.

    ticks: the message changes all the time, and is not written each time.
    """

    reason: str
    message: str
    holds: bool = False
    load: Load | None = None
    ticks: bool = False

    @property
    def text(self) -> str:
        """The message as it is written."""
        return self.load.marked(self.message, LONGEST) if self.load else self.message[:LONGEST]


def is_due(told: Told, before: Mapping[str, Any], now: datetime) -> bool:
    """Whether it is to be written, as things stand."""
    if before.get("status") != str(told.holds) or before.get("reason") != told.reason:
        return True
    said = str(before.get("message") or "")
    if said == told.text:
        return False
    if not told.ticks or Load.named_in(said) != told.load:
        return True
    silent = now - _written(before)
    was, percent = percent_in(said), percent_in(told.message)
    if was is None or percent is None:
        return silent >= SELDOM
    return silent >= EVERY and abs(percent - was) >= STEP


def _written(before: Mapping[str, Any]) -> datetime:
    return at(before.get("lastProbeTime") or before["lastTransitionTime"])


def condition_of(told: Told, before: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The condition. Its transition is a change of status only; `lastProbeTime` is when it was written."""
    status = str(told.holds)
    since = before.get("lastTransitionTime") if before.get("status") == status else None
    return {
        "type": terms.CONDITION,
        "status": status,
        "reason": told.reason,
        "message": told.text,
        "lastProbeTime": stamp(now),
        "lastTransitionTime": since or stamp(now),
    }


def status_of(key: Key, conditions: list[dict[str, Any]]) -> Object:
    """What is applied to a claim's status: our condition alone, or, with none, that we have none any more."""
    namespace, name = key
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace},
        "status": {"conditions": conditions},
    }


def is_news(told: Told, before: Mapping[str, Any]) -> bool:
    """Whether people are told by an Event: a new reason, but for waiting and for a load that goes on as it should."""
    was, now = before.get("reason"), told.reason
    if was == now:
        return told.reason in FINAL and before.get("message") != told.text
    return now not in {Reason.PENDING, Reason.WAITING} | RUNNING


def event_type(told: Told) -> EventType:
    """How grave the news is."""
    calm = RUNNING | {Reason.LOADED, Reason.RESTORING}
    return "Normal" if told.reason in calm else "Warning"

"""The Pods of a node that is drained: which have to go, which are waited for, and what they are told. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from kaas.api.constants import GROUP
from kaas.kube.objects import Object, annotation, metadata
from kaas.kube.times import stamp

DISRUPTION: Final = f"{GROUP}/disruption"
"""Annotation of a Pod that is going to be disrupted: JSON with `when`, `why` and `deadline`, times in RFC 3339."""

DO_NOT_DISRUPT: Final = (
    (f"{GROUP}/do-not-disrupt", "true"),
    ("karpenter.sh/do-not-disrupt", "true"),
    ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false"),
)
"""Annotations, with the value, of Pods that are waited for: our own, and those that users know from elsewhere."""

_MIRROR = "kubernetes.io/config.mirror"
_NAMED = 5  # Pods that a message names


class Fate(Enum):
    """What a drain does with a Pod."""

    STAYS = "stays"  # it ends with its node, or has ended
    ENDING = "ending"
    EVICTED = "evicted"
    WARNED = "warned"  # evicted once it had time to prepare
    AWAITED = "awaited"  # never evicted: it goes by itself, or stays to the end


def fate(pod: Object, now: datetime, *, silent: bool) -> Fate:
    """What is to become of a Pod.

    silent: the node's kubelet says nothing, so what was to have ended by now is as gone as it ever will be.
    """
    if _stays(pod):
        return Fate.STAYS
    if ends := metadata(pod).get("deletionTimestamp"):  # the grace period is in it
        return Fate.STAYS if silent and now >= datetime.fromisoformat(ends) else Fate.ENDING
    if why_awaited(pod):
        return Fate.AWAITED
    return Fate.WARNED if is_job(pod) else Fate.EVICTED


def _stays(pod: Object) -> bool:
    finished = (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}
    return finished or owner_kind(pod) in {"DaemonSet", "Node"} or annotation(pod, _MIRROR) is not None


def why_awaited(pod: Object) -> str:
    """Why it is not evicted, empty when it may be: it asks for it, or nobody would make it again elsewhere."""
    for name, value in DO_NOT_DISRUPT:
        if annotation(pod, name) == value:
            return f"{name}={value}"
    return "" if owner_kind(pod) else "no controller"


def is_job(pod: Object) -> bool:
    """Whether it works towards an end: of a Job, or of a kind as PyTorchJob."""
    return owner_kind(pod).endswith("Job")


def owner_kind(pod: Object) -> str:
    """Kind of its controller, empty when it has none."""
    for owner in metadata(pod).get("ownerReferences") or []:
        if owner.get("controller"):
            return str(owner.get("kind") or "")
    return ""


@dataclass(frozen=True, slots=True)
class Notice:
    """What the Pods of one drain are told. deadline: its end, which no other drain of the node has."""

    why: str
    deadline: datetime
    notice: timedelta

    def text(self, now: datetime, *, awaited: bool) -> str:
        """Value of the annotation for a Pod that is told now."""
        when = self.deadline if awaited else now + self.notice
        said = {"when": stamp(when), "why": self.why, "deadline": stamp(self.deadline)}
        return json.dumps(said, separators=(",", ":"))

    def given(self, pod: Object) -> datetime | None:
        """From when on the Pod has to expect it, None when this drain has not told it yet."""
        try:
            said = json.loads(annotation(pod, DISRUPTION) or "")
            when = datetime.fromisoformat(said["when"])
            return when if said["deadline"] == stamp(self.deadline) and when.tzinfo else None
        except (ValueError, TypeError, KeyError):
            return None


def name_of(pod: Object) -> str:
    """Namespace and name, for a person."""
    return f"{metadata(pod)['namespace']}/{metadata(pod)['name']}"


def listed(names: Iterable[str]) -> str:
    """The first few, in a stable order, and how many more."""
    ordered = sorted(names)
    more = len(ordered) - _NAMED
    return ", ".join(ordered[:_NAMED]) + (f" and {more} more" if more > 0 else "")

"""`Cluster.status.repair` and the condition RepairsAllowed: what is sick, what is done, and what holds it back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from kaas.api.constants import CONDITION_REPAIRS, REPAIR_STATUS_MANAGER
from kaas.api.repair_status import MAX_MESSAGE, MAX_NODES
from kaas.kube import resources
from kaas.kube.conditions import condition_of
from kaas.kube.objects import Object
from kaas.kube.ports import Source, Times
from kaas.kube.times import stamp
from kaas.repairs.blindness import due
from kaas.repairs.climbing import in_flight
from kaas.repairs.decisions import Hold
from kaas.repairs.facts import ClusterKey, Patient
from kaas.repairs.reasons import Reason
from kaas.repairs.told import Words, words
from kaas.repairs.ward import Ward

_ORDER: Final = ("Repairing", "Waiting", "Quarantined", "Held", "DryRun", "Healed", "Watching")


class Writer(Protocol):
    """What is written."""

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        """Server-side apply of the status."""


class Report:
    """Writes what there is to say of a Cluster when it is something else than before; knows what was said last."""

    def __init__(self, store: Source, writer: Writer, ward: Ward, clock: Times) -> None:
        self._store = store
        self._writer = writer
        self._ward = ward
        self._clock = clock
        self._said: dict[ClusterKey, Object] = {}

    def outdated(self, keys: Iterable[ClusterKey], now: datetime) -> list[ClusterKey]:
        """Those of which something else is to be said than was said last."""
        return [key for key in keys if self._ward.is_known(key) and self._differs(key, now)]

    def _differs(self, key: ClusterKey, now: datetime) -> bool:
        said = self._said.get(key)
        if said is None:
            return True
        quiet = not said.get("repair") and said["conditions"][0]["status"] == "True"
        ward = self._ward
        if quiet and not (ward.has_patients(key) or ward.missing_of(key) or ward.blind_to(key)):
            return False
        return bool(without_times(summary(self._ward, key, said, now)) != without_times(said))

    async def write(self, key: ClusterKey) -> float | None:
        """Write it."""
        now, live = self._clock.now(), self._store.get(resources.CLUSTER, *key)
        if live is None or self._ward.observed(key) is None:
            self._said.pop(key, None)
            return None
        status = summary(self._ward, key, live.get("status") or {}, now)
        before = self._said.get(key)
        self._said[key] = status  # before it is written: what changes meanwhile is something else than this
        # The watch may not have shown yet what was said last.
        if without_times(status) != without_times(before or _ours(live)):
            await self._apply(key, status, before)
        return None

    async def _apply(self, key: ClusterKey, status: Object, before: Object | None) -> None:
        kind, meta = resources.CLUSTER, {"namespace": key[0], "name": key[1]}
        obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, "status": status}
        try:
            await self._writer.apply_status(obj, manager=REPAIR_STATUS_MANAGER)
        except BaseException:
            if before is None:
                self._said.pop(key, None)
            else:
                self._said[key] = before
            raise


def _ours(live: Object) -> Object:
    """Of a Cluster's status, what this feature writes."""
    status = live.get("status") or {}
    conditions = [c for c in status.get("conditions") or () if c["type"] == CONDITION_REPAIRS]
    repair = {"repair": status["repair"]} if "repair" in status else {}
    return {"conditions": conditions} | repair


def summary(ward: Ward, key: ClusterKey, before: Object, now: datetime) -> Object:
    """What there is to say of a Cluster. before: what was said, for the times of transitions."""
    patients = [p for p in ward.patients_of(key) if not is_joining(p, now)]
    said = {p.machine.key: words(ward.decisions.get(p.machine.key), p) for p in patients}
    status: Object = {"conditions": [_condition(ward, key, patients, said, before, now)]}
    if not patients:
        return status
    seen = ward.seen_since(key)
    sick = [p for p in patients if any(due(f, seen) <= now for f in p.findings)]
    busy = [p for p in patients if in_flight(p) and not _waits_for_update(ward, p)]
    quarantined = sum(p.progress is not None and p.progress.quarantined is not None for p in patients)
    counts: Object = {"unhealthy": len(sick), "inFlight": len(busy), "quarantined": quarantined}
    first = sorted(patients, key=lambda p: (_ORDER.index(said[p.machine.key].state), _since(p, now), p.machine.key))
    listed = {
        "breakers": ward.breakers_of(key),
        "nodes": [_node(p, said[p.machine.key], now) for p in first[:MAX_NODES]],
        "pools": _pools(sick, busy, patients),
    }
    return status | {"repair": counts | {k: v for k, v in listed.items() if v}}


def _waits_for_update(ward: Ward, patient: Patient) -> bool:
    """Whether only the update of the pool helps a node now: it must not wait for the repair, which waits for it."""
    found = ward.decisions.get(patient.machine.key)
    return isinstance(found, Hold) and found.reason in (Reason.UPDATE_UNDER_WAY, Reason.MACHINE_OUTDATED)


def is_joining(patient: Patient, now: datetime) -> bool:
    """Whether a machine is only on its way in, and not late: that is no news of repairs."""
    on_its_way = patient.machine.node is None and patient.progress is None
    return on_its_way and all(f.due > now and not f.asked for f in patient.findings)


def _pools(sick: Iterable[Patient], busy: Iterable[Patient], patients: Iterable[Patient]) -> list[Object]:
    unhealthy, flying = Counter(p.machine.pool[2] for p in sick), Counter(p.machine.pool[2] for p in busy)
    names = sorted({p.machine.pool[2] for p in patients})
    return [{"name": name, "inFlight": flying[name], "unhealthy": unhealthy[name]} for name in names]


def _node(patient: Patient, said: Words, now: datetime) -> Object:
    machine = patient.machine
    found = {
        "machine": machine.key[1],
        "node": machine.node,
        "pool": machine.pool[2],
        "signals": sorted({f.signal for f in patient.findings}),
        "since": stamp(_since(patient, now)),
        "state": said.state,
        "reason": said.reason,
        "message": said.message[:MAX_MESSAGE],
        "step": str(said.step) if said.step else None,
        "nextTime": stamp(said.next_time),
    }
    return {k: v for k, v in found.items() if v is not None}


def _since(patient: Patient, now: datetime) -> datetime:
    began = [patient.progress.began] if patient.progress else []
    return min([*(f.since for f in patient.findings), *began], default=now)


def _condition(
    ward: Ward,
    key: ClusterKey,
    patients: Iterable[Patient],
    said: Mapping[tuple[str, str], Words],
    before: Object,
    now: datetime,
) -> Object:
    """Whether sick nodes of the Cluster are repaired; without any, whether they would be."""
    reason, message = _obstacle(ward, key, patients, said)
    return condition_of(CONDITION_REPAIRS, not reason, reason or "Allowed", message, before, now)


def _obstacle(
    ward: Ward, key: ClusterKey, patients: Iterable[Patient], said: Mapping[tuple[str, str], Words]
) -> tuple[str, str]:
    """What holds the repairs of a Cluster back: a breaker before all else, then what holds most nodes."""
    if missing := ward.missing_of(key):
        return "TemplateMissing", missing
    if blind := ward.blind_to(key):
        return Reason.BLIND_TO_CLUSTER, blind
    if breakers := ward.breakers_of(key):
        return breakers[0]["reason"], breakers[0]["message"]
    holds = [d for p in patients if isinstance(d := ward.decisions.get(p.machine.key), Hold)]
    if not holds:
        return "", ""
    reason, number = Counter(h.reason for h in holds).most_common(1)[0]
    example = next(h for h in holds if h.reason == reason)
    more = f" (and {number - 1} more nodes)" if number > 1 else ""
    return reason, f"{example.node[1]}: {example.message}{more}"


def without_times(status: Any) -> Any:
    """A status without what only says when it is looked at again."""
    if isinstance(status, dict):
        return {k: without_times(v) for k, v in status.items() if k not in ("nextTime", "lastTransitionTime")}
    return [without_times(v) for v in status] if isinstance(status, list) else status

"""What is to be done for one claim that a DataSource fills: a pure function of what is seen.

Beside it stands another claim, its prime, with the same class and size. That one is loaded as any other is; then its
volume is handed over. Each state follows from what is there, so that a controller can end at any write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from kaas.kube.objects import Object, Objects
from kaas.volumes import terms
from kaas.volumes.annotations import request_of
from kaas.volumes.claim import SELECTED_NODE, Claim, Phase
from kaas.volumes.conditions import Told
from kaas.volumes.plan import Binding
from kaas.volumes.populator.terms import FIELDS, PRIME_LABEL, notes_of, prime_name
from kaas.volumes.reasons import Reason

_HANDING: Final = "; its volume is being handed over"


class Act(Enum):
    """What is done."""

    CREATE = "create the prime"
    CHANGE = "change what the prime asks for"
    HAND_OVER = "hand its volume over"
    DELETE = "delete the prime"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is seen. source: the DataSource, None when there is none; prime: None when there is none.

    node: on which the volume is to be made, as the scheduler says, "" when it says none. notes: annotations of the
    prime. holder: uid of the claim that the prime's volume is bound to, "" when that is not known.
    """

    target: Claim
    binding: Binding
    source: Object | None = None
    node: str = ""
    prime: Claim | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    holder: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """act: None for nothing but waiting. told: None leaves the condition as it is."""

    act: Act | None = None
    told: Told | None = None


def plan(facts: Facts) -> Plan:
    """What is to be done next."""
    target = facts.target
    if target.deleting:
        return Plan(Act.DELETE if facts.prime else None)
    if target.phase is not Phase.PENDING or target.volume:
        return _bound(facts)
    if facts.prime is not None and facts.prime.loaded:
        return _hand_over(facts, facts.prime)
    if target.request.concerns:
        message = f"the annotations {terms.PREFIX}* and dataSourceRef both say what it is filled with: remove those"
        return Plan(told=Told(Reason.INVALID, message))
    if facts.source is None:
        message = f"DataSource {target.data_source} is not there: make it, or the claim anew without dataSourceRef"
        return Plan(told=Told(Reason.PENDING, message))
    return _before(facts) if facts.prime is None else _loading(facts, facts.prime)


def _bound(facts: Facts) -> Plan:
    """It has its volume. One that was bound to another without us is none of ours."""
    prime, said = facts.prime, facts.target.condition
    if facts.target.phase is Phase.PENDING:
        return Plan()  # the binder is about to write that it is bound: what it has read must not change
    if prime is None and (not said or said.get("status") == "True"):
        return Plan()
    words = ""
    if prime is not None:
        words = said_of(prime) if prime.loaded and prime.volume == facts.target.volume else ""
    elif said_of(facts.target).endswith(_HANDING):
        words = "it was filled; what the loader said of it is lost"
    strange = f"it was bound to volume {facts.target.volume}, which was not filled: delete the claim and make it anew"
    done = Told(Reason.LOADED, words, holds=True) if words else Told(Reason.FAILED, strange)
    return Plan(Act.DELETE if prime else None, None if said.get("status") == "True" else done)


def _hand_over(facts: Facts, prime: Claim) -> Plan:
    told = Told(Reason.VERIFYING, said_of(prime) + _HANDING)
    return Plan(Act.HAND_OVER if facts.holder == prime.uid else None, told)


def _before(facts: Facts) -> Plan:
    if wrong := _faults(facts):
        return Plan(told=Told(Reason.INVALID, wrong))
    if facts.binding is Binding.NO_CLASS or not facts.target.storage_class:
        what = f"StorageClass {facts.target.storage_class} is not there: make it"
        if not facts.target.storage_class:
            what = "it names no StorageClass: only a class makes volumes that can be filled"
        return Plan(told=Told(Reason.PENDING, what))
    if facts.binding is Binding.FIRST_CONSUMER and not facts.node:
        return Plan(told=Told(Reason.WAITING, "its place is decided by the first Pod that mounts it"))
    return Plan(Act.CREATE, Told(Reason.PENDING, "its volume is being made"))


def _faults(facts: Facts) -> str:
    """What is wrong with the DataSource, by its fields; "" for nothing."""
    found = request_of(notes_of(facts.source or {})).faults
    fields = {note: f"spec.{name}" for name, note in FIELDS.items()}
    where = f"DataSource {facts.target.data_source}"
    return "; ".join(f"{where}: {fields.get(fault.annotation, fault.annotation)}: {fault.message}" for fault in found)


def _loading(facts: Facts, prime: Claim) -> Plan:
    """The prime's condition is that of the claim, in its own words."""
    wanted = _notes(facts)
    act = Act.CHANGE if any(facts.notes.get(k) != v for k, v in wanted.items()) or _left(facts, wanted) else None
    reason = str(prime.condition.get("reason") or Reason.PENDING)
    if prime.phase is Phase.PENDING and reason in {Reason.PENDING, Reason.WAITING, Reason.LISTING}:
        where = f" for node {facts.node}" if facts.node else ""
        cause = said_of(prime) if reason == Reason.PENDING else ""
        return Plan(act, Told(Reason.PENDING, f"its volume is being made{where}{': ' if cause else ''}{cause}"))
    words = said_of(prime).replace(terms.ID, f"spec.id of DataSource {facts.target.data_source}")
    return Plan(act, Told(reason, words or "its volume is there, and its loader is about to begin"))


def said_of(claim: Claim) -> str:
    """What a condition says, without which load it speaks of."""
    message = str(claim.condition.get("message") or "")
    return message.rpartition(" (load ")[0] or message


def _left(facts: Facts, wanted: Mapping[str, str]) -> list[str]:
    """Annotations of the prime that are asked for no more."""
    return [k for k in facts.notes if k.startswith(terms.PREFIX) and k not in wanted]


def _notes(facts: Facts) -> dict[str, str]:
    """Annotations that the prime is to have. A volume that is made stays where it is."""
    made = facts.prime is not None and facts.prime.phase is not Phase.PENDING
    node = {SELECTED_NODE: facts.node} if facts.node and not made else {}
    return notes_of(facts.source or {}) | node


def changes(facts: Facts) -> dict[str, str | None]:
    """Annotations of the prime as a merge patch has them, None for one that goes."""
    wanted = _notes(facts)
    return {**wanted, **dict.fromkeys(_left(facts, wanted))}


def prime_of(target: Object, facts: Facts) -> Object:
    """The prime of a claim, as it is made. It goes with the claim, should nobody be there to see to it."""
    meta, spec = target["metadata"], target["spec"]
    owner = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": meta["name"], "uid": meta["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": prime_name(meta["uid"]),
            "namespace": meta["namespace"],
            "labels": {PRIME_LABEL: meta["uid"], "app.kubernetes.io/managed-by": terms.MANAGER},
            "annotations": _notes(facts),
            "ownerReferences": [owner],
        },
        "spec": {k: v for k, v in spec.items() if k not in {"dataSource", "dataSourceRef", "volumeName"}},
    }


def handing_over(target: Object, prime: Claim) -> Objects:
    """JSON Patch of a volume by which it is the target's, unless it is nobody's or another's by now."""
    meta = target["metadata"]
    reference = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "name": meta["name"],
        "namespace": meta["namespace"],
        "uid": meta["uid"],
        "resourceVersion": meta["resourceVersion"],
    }
    return [
        {"op": "test", "path": "/spec/claimRef/uid", "value": prime.uid},
        {"op": "replace", "path": "/spec/claimRef", "value": reference},
    ]

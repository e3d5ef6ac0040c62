"""Whether a member of a Rollout begins with what that carries before its turn: read from the Rollout's status alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from kaas.api.rollout import Rollout
from kaas.api.rollout_carried import Kind
from kaas.api.rollout_status import RolloutMember, RolloutStatus, State
from tests.unit.updates.simulation.machines import Begun
from tests.unit.updates.simulation.member import Key

FREE: Final = frozenset(
    {"Pinned", "ChannelNone", "KubernetesNone", "PatchOnly", "TooFarBehind", "InOtherRollout", "OtherVersion"}
)
"""Reasons for which a Rollout has no say in a kind of update."""


def brought_by(begun: Begun) -> Mapping[Kind, str]:
    """What a machine has that the one before it had not; a new version has an image of its own."""
    old, new = begun.old, begun.new
    found = {}
    if old.version != new.version:
        found[Kind.KUBERNETES] = str(new.version)
    elif old.image != new.image:
        found[Kind.NODE_IMAGES] = new.image
    if old.revision != new.revision:
        found[Kind.CLASS_REVISION] = new.revision
    return found


def out_of_turn(rollout: Rollout, key: Key, kind: Kind, brought: str, began: datetime | None) -> Iterator[str]:
    """Why a Cluster must not have begun with something. began: its update; one before the run is none of it."""
    status, name = rollout.status, rollout.metadata.name
    if status is None or kind not in _carried(rollout) or _is_earlier(began, status.started):
        return
    is_over = status.state is State.COMPLETED  # those who lack something by now, or came later, follow
    found = [(n, m) for n, s in enumerate(status.stages) for m in s.members if (m.namespace, m.name) == key]
    if brought not in _brings(status)[kind]:
        if kind is not Kind.KUBERNETES and not any(_is_free(m, kind) for _, m in found):
            yield f"begun with {brought}, which Rollout {name} has never brought"
        return
    for number, record in found:
        if _is_free(record, kind):
            continue
        if record.released is None and not is_over:
            yield f"begun with {brought} although Rollout {name} has not let it go: {record.state} {record.reason}"
        if any(s.state is not State.COMPLETED for s in status.stages[:number]):
            yield f"begun with {brought} in stage {status.stages[number].name} although one before it is not through"


def _is_earlier(began: datetime | None, started: datetime | None) -> bool:
    return began is not None and started is not None and began <= started


def _carried(rollout: Rollout) -> frozenset[Kind]:
    spec = rollout.spec
    if spec.channel is not None:
        return frozenset(spec.updates or (Kind.KUBERNETES,))
    by_hand = {Kind.KUBERNETES: spec.version, Kind.NODE_IMAGES: spec.image, Kind.CLASS_REVISION: spec.class_revision}
    return frozenset(kind for kind, named in by_hand.items() if named)


def _brings(status: RolloutStatus) -> Mapping[Kind, frozenset[str]]:
    """What the run brings, and what images and classes runs before it brought to those who came later."""
    before = status.history
    return {
        Kind.KUBERNETES: frozenset({status.version or ""}),
        Kind.NODE_IMAGES: frozenset(i.image for i in status.images) | {i for run in before for i in run.images},
        Kind.CLASS_REVISION: frozenset(status.class_revisions) | {c for run in before for c in run.class_revisions},
    }


def _is_free(record: RolloutMember, kind: Kind) -> bool:
    return any(entry.kind is kind and entry.reason in FREE for entry in record.left_out)

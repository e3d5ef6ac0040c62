"""Whose turn it is: what the Rollouts' statuses say of one Cluster. Pure.

The planner of updates asks this before it begins one. A Cluster that a Rollout selects is updated in its turn alone, as
long as the Rollout is there; one by version that is through has no say any more. Of several Rollouts the oldest has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from pydantic import ValidationError

from kaas.api.cluster import Cluster
from kaas.api.model import Metadata
from kaas.api.parsed import Unreadable
from kaas.api.rollout import Rollout, RolloutSpec, Stage
from kaas.api.rollout_status import RolloutMember, StageStatus, State
from kaas.api.versions import KubernetesVersion
from kaas.updates.facts import Turn
from kaas.updates.planner import ROLLOUT_PENDING
from kaas.updates.rollouts.fitness import declined, unfit
from kaas.updates.rollouts.member import Key, Member
from kaas.updates.rollouts.progress import is_busy
from kaas.updates.rollouts.selection import stage_of
from kaas.updates.unread import ROLLOUT_UNREADABLE

_YES: Final = "RolloutReleased"
_FREE: Final = frozenset({"Pinned", "ChannelNone", "KubernetesNone", "PatchOnly", "TooFarBehind", "InOtherRollout"})
"""Reasons of members that are left out for which the Rollout has no say in them."""


def turn_of(
    rollouts: Iterable[Rollout], cluster: Cluster, now: datetime, unread: Iterable[UnreadRollout] = ()
) -> Turn | None:
    """What Rollouts say of a Cluster; None when none has a say. For many Clusters, make `Turns` once."""
    return Turns(rollouts, unread).of(cluster, now)


@dataclass(frozen=True, slots=True)
class UnreadRollout:
    """A Rollout that is there and cannot be read.

    stages: None when not even they can be: then it may be about any Cluster. message: what is wrong, with the way out.
    """

    metadata: Metadata
    stages: Sequence[Stage] | None
    message: str

    @classmethod
    def of(cls, unreadable: Unreadable) -> Self:
        """What can be read of it nevertheless."""
        try:
            stages: Sequence[Stage] | None = RolloutSpec.model_validate(unreadable.obj.get("spec")).stages
        except ValidationError:
            stages = None
        return cls(Metadata.model_validate(unreadable.obj["metadata"]), stages, str(unreadable))

    def turn(self, member: Member, _now: datetime) -> Turn | None:
        """Nobody knows whose turn it is: not this Cluster's, unless it is about others, or its owner takes nothing."""
        stage = stage_of(self.stages, member) if self.stages is not None else None
        if (stage is None and self.stages is not None) or declined(member) is not None:
            return None
        name = stage.name if stage is not None else ""
        return Turn(self.metadata.name, name, None, False, ROLLOUT_UNREADABLE, self.message)


def unread_rollouts(found: Iterable[Unreadable]) -> list[UnreadRollout]:
    """The Rollouts among what cannot be read."""
    return [UnreadRollout.of(each) for each in found if each.kind == "Rollout"]


def age(metadata: Metadata) -> tuple[str, str]:
    """What Rollouts are ordered by, oldest first."""
    return str(metadata.creation_timestamp or ""), metadata.name


def by_age(rollouts: Iterable[Rollout]) -> list[Rollout]:
    """Oldest first; without those that are being deleted."""
    alive = (r for r in rollouts if r.metadata.deletion_timestamp is None)
    return sorted(alive, key=lambda r: age(r.metadata))


class Turns:
    """The same for many Clusters. unread: Rollouts that are there beside these, and cannot be read."""

    def __init__(self, rollouts: Iterable[Rollout], unread: Iterable[UnreadRollout] = ()) -> None:
        alive = [u for u in unread if u.metadata.deletion_timestamp is None]
        found: list[_Standing | UnreadRollout] = [*map(_Standing, by_age(rollouts)), *alive]
        self._standings = sorted(found, key=lambda s: age(s.metadata))

    def of(self, cluster: Cluster, now: datetime) -> Turn | None:
        """What Rollouts say of a Cluster; None when none has a say."""
        return self.of_member(Member.of(cluster), now)

    def of_member(self, member: Member, now: datetime) -> Turn | None:
        """The same of what a Rollout sees of a Cluster."""
        return next((t for s in self._standings if (t := s.turn(member, now)) is not None), None)

    def owner(self, member: Member, now: datetime) -> str | None:
        """Name of the Rollout that decides about a Cluster; None when none does."""
        found = self.of_member(member, now)
        return found.rollout if found else None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a member is. number: how many of its stage go before it, where windows allow."""

    stage: StageStatus
    record: RolloutMember
    number: int


class _Standing:
    """One Rollout, with its members at hand."""

    def __init__(self, rollout: Rollout) -> None:
        self._rollout, self._status, self.metadata = rollout, rollout.status, rollout.metadata
        self._version = KubernetesVersion.known(
            rollout.spec.version or (rollout.status.version if rollout.status else None)
        )
        self._stages = {s.name: s for s in rollout.status.stages} if rollout.status else {}
        self._places: Mapping[Key, _Place] = {p.record.key: p for s in self._stages.values() for p in _places(s)}

    def turn(self, member: Member, now: datetime) -> Turn | None:
        """What it says of a Cluster; None when it has no say."""
        if self._rollout.spec.version and self._state is State.COMPLETED:
            return None
        place = self._places.get(member.key)
        if place is not None and place.record.uid == member.uid:
            return self._of_member(place, now)
        stage = stage_of(self._rollout.spec.stages, member)
        if stage is None or self._has_no_say(member):
            return None
        return self._of_later(stage.name, now) if self._version else self._of_none(stage.name, member)

    @property
    def _state(self) -> State | None:
        return self._status.state if self._status else None

    def _has_no_say(self, member: Member) -> bool:
        why = unfit(member, self._version) if self._version else declined(member)
        return why is not None and why.free

    def _of_member(self, place: _Place, now: datetime) -> Turn | None:
        record, stage = place.record, place.stage.name
        if record.state is State.SKIPPED:
            if record.reason in _FREE:
                return None
            return self._turn(stage, False, "RolloutSkipped", f"it is left out: {record.message}", now)
        if is_busy(record) or record.state in (State.COMPLETED, State.FAILED):
            return self._turn(stage, True, _YES, record.message or "its turn has come", now)
        if (held := self._held()) is not None:
            return self._turn(stage, False, *held, now)
        behind = f"{place.number} of its stage go before it where their windows allow; " if place.number else ""
        return self._turn(
            stage, False, ROLLOUT_PENDING, f"{behind}{record.message or place.stage.message or 'it waits'}", now
        )

    def _of_none(self, stage: str, member: Member) -> Turn | None:
        """There is no version yet that goes through the fleet."""
        words = (self._status.message if self._status else None) or "it has not been looked at yet"
        said = f"Rollout {self._rollout.metadata.name}, stage {stage}: {words}"
        if member.running is None:
            return None
        return Turn(self._rollout.metadata.name, stage, None, False, ROLLOUT_PENDING, said[:1024])

    def _of_later(self, stage: str, now: datetime) -> Turn | None:
        """A Cluster that is no member: its stage has not started, or had before it came."""
        if self._state is State.COMPLETED:
            return self._turn(stage, True, _YES, "it came after its stage had started, and the run is through", now)
        if (held := self._held()) is not None:
            return self._turn(stage, False, *held, now)
        started = self._stages.get(stage)
        if started is not None and started.started is not None:
            words = "it came after its stage had started: its turn is when the run is through"
            return self._turn(stage, False, ROLLOUT_PENDING, words, now)
        current = self._status.stage if self._status else None
        said = self._status.message if self._status else None
        words = (f"its stage has not started: {said}" if current else said) or "it begins soon"
        return self._turn(stage, False, ROLLOUT_PENDING, words, now)

    def _held(self) -> tuple[str, str] | None:
        """Reason and words when nothing of it may begin."""
        if self._status is None or self._state not in (State.STOPPED, State.STOPPING):
            return None
        return f"Rollout{self._status.reason or 'Stopped'}", f"it is stopped: {self._status.message}"

    def _turn(self, stage: str, allowed: bool, reason: str, words: str, now: datetime) -> Turn | None:
        name = self._rollout.metadata.name
        if self._version is None:
            return None
        later = self._status.next_time if self._status else None
        until = later if later and later > now and not allowed else None
        return Turn(
            name, stage, self._version, allowed, reason, f"Rollout {name}, stage {stage}: {words}"[:1024], until
        )


def _places(stage: StageStatus) -> Iterator[_Place]:
    before = 0
    for record in stage.members:
        yield _Place(stage, record, before)
        if record.state in (State.NOT_STARTED, State.PENDING):
            before += 1

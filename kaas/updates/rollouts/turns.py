"""Whose turn it is: what the Rollouts' statuses say of one Cluster. Pure.

The planner of updates asks this before it begins one. What a Rollout carries, a Cluster that it selects is given in its
turn alone, as long as the Rollout is there; one by hand that is through has no say any more. Of several Rollouts that
carry the same kind of update the oldest has it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from pydantic import ValidationError

from kaas.api.cluster import Cluster
from kaas.api.model import Metadata
from kaas.api.parsed import Unreadable
from kaas.api.rollout import Rollout, RolloutSpec, Stage
from kaas.api.rollout_carried import Kind
from kaas.api.rollout_status import RolloutMember, StageStatus, State
from kaas.updates.facts import NOBODY, ROLLOUT_PENDING, Ruling, Turn
from kaas.updates.rollouts.fitness import FREE, declined, unfit
from kaas.updates.rollouts.goal import ALL_KINDS, Goal, carried, carried_by, target_of
from kaas.updates.rollouts.member import Key, Member
from kaas.updates.rollouts.selection import stage_of
from kaas.updates.unread import ROLLOUT_UNREADABLE

_YES: Final = "RolloutReleased"
_GOES_ON: Final = frozenset({State.PENDING, State.RUNNING, State.FAILED})
"""States of members that go on once their turn has come; what they have begun without it they finish, and no more."""
Said = tuple[Turn, frozenset[Kind]]
"""A turn, and the kinds of updates that it is about."""


def ruling_of(
    rollouts: Iterable[Rollout], cluster: Cluster, now: datetime, unread: Iterable[UnreadRollout] = ()
) -> Ruling:
    """What Rollouts say of a Cluster. For many Clusters, make `Turns` once."""
    return Turns(rollouts, unread).of(cluster, now)


@dataclass(frozen=True, slots=True)
class UnreadRollout:
    """A Rollout that is there and cannot be read.

    stages: None when not even they can be: then it may be about any Cluster. kinds: of updates that it may be about.
    message: what is wrong, with the way out.
    """

    metadata: Metadata
    stages: Sequence[Stage] | None
    kinds: frozenset[Kind]
    message: str

    @classmethod
    def of(cls, unreadable: Unreadable) -> Self:
        """What can be read of it nevertheless."""
        raw = unreadable.obj.get("spec")
        try:
            spec = RolloutSpec.model_validate(raw)
        except ValidationError:
            stages: Sequence[Stage] | None = None
            kinds = carried_by(raw)
        else:
            stages, kinds = spec.stages, carried(spec)
        return cls(Metadata.model_validate(unreadable.obj["metadata"]), stages, kinds, str(unreadable))

    def says(self, member: Member, _now: datetime, but: Collection[Kind] = ()) -> Said | None:
        """Nobody knows whose turn it is: not this Cluster's, unless it is about others, or its owner takes nothing."""
        stage = stage_of(self.stages, member) if self.stages is not None else None
        if stage is None and self.stages is not None:
            return None
        kinds = frozenset(k for k in self.kinds.difference(but) if declined(member, k) is None)
        name = stage.name if stage is not None else ""
        turn = Turn(self.metadata.name, name, None, False, ROLLOUT_UNREADABLE, self.message)
        return (turn, kinds) if kinds else None


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

    def of(self, cluster: Cluster, now: datetime) -> Ruling:
        """What Rollouts say of a Cluster."""
        return self.of_member(Member.of(cluster), now) if self._standings else NOBODY

    def of_member(self, member: Member, now: datetime) -> Ruling:
        """The same of what a Rollout sees of a Cluster."""
        found = self.by_kind(member, now)
        return Ruling(*(found.get(kind) for kind in Kind)) if found else NOBODY

    def by_kind(self, member: Member, now: datetime) -> Mapping[Kind, Turn]:
        """The same, by the kinds that some Rollout decides about."""
        found: dict[Kind, Turn] = {}
        for standing in self._standings:
            if (said := standing.says(member, now, found.keys())) is not None:
                turn, kinds = said
                found |= dict.fromkeys(kinds, turn)
            if found.keys() == ALL_KINDS:
                break
        return found

    def owners(self, member: Member, now: datetime) -> Mapping[Kind, str]:
        """Names of the Rollouts that decide about a Cluster, by kind."""
        return {kind: turn.rollout for kind, turn in self.by_kind(member, now).items()}


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
        self._goal = Goal.of(rollout.spec, rollout.status)
        self._stages = {s.name: s for s in rollout.status.stages} if rollout.status else {}
        self._places: Mapping[Key, _Place] = {p.record.key: p for s in self._stages.values() for p in _places(s)}

    def says(self, member: Member, now: datetime, but: Collection[Kind] = ()) -> Said | None:
        """What it says of a Cluster; None when it has no say. but: kinds that older ones decide about."""
        if self._goal.by_hand and self._state is State.COMPLETED:
            return None
        place = self._places.get(member.key)
        if place is not None and place.record.uid == member.uid:
            kinds = self._goal.kinds.difference(but, _free_of(place.record, self._goal.kinds))
            return self._said(self._of_member(place), kinds, member, now)
        stage = stage_of(self._rollout.spec.stages, member)
        if stage is None:
            return None
        kinds = self._decided(member, but, now)
        begun = self._goal or self._goal.by_hand
        return self._said(self._of_later(stage.name) if begun else self._of_none(stage.name), kinds, member, now)

    @property
    def _state(self) -> State | None:
        return self._status.state if self._status else None

    def _decided(self, member: Member, but: Collection[Kind], now: datetime) -> frozenset[Kind]:
        """Kinds of which it has a say in a Cluster that is no member."""
        goal, found = self._goal, set[Kind]()
        for kind in Kind:  # the version first: the image is one of that
            is_mine = kind in goal.kinds and kind not in but
            why = unfit(member, goal, kind, None, now) if is_mine else None
            if is_mine and (why is None or not why.free):
                found.add(kind)
            if kind is Kind.KUBERNETES and (why is not None or not is_mine):
                goal = goal.without_version
        return frozenset(found)

    def _of_member(self, place: _Place) -> _Words:
        record, stage = place.record, place.stage.name
        if record.state is State.SKIPPED:
            return _Words(stage, False, "RolloutSkipped", f"it is left out: {record.message}")
        is_through = record.state is State.COMPLETED
        if is_through or (record.released is not None and record.state in _GOES_ON):
            return _Words(stage, True, _YES, record.message or "its turn has come", is_through)
        if (held := self._held()) is not None:
            return _Words(stage, False, *held)
        behind = f"{place.number} of its stage go before it where their windows allow; " if place.number else ""
        words = f"{behind}{record.message or place.stage.message or 'it waits'}"
        return _Words(stage, False, ROLLOUT_PENDING, words)

    def _of_none(self, stage: str) -> _Words:
        """There is nothing yet that goes through the fleet."""
        words = (self._status.message if self._status else None) or "it has not been looked at yet"
        return _Words(stage, False, ROLLOUT_PENDING, words)

    def _of_later(self, stage: str) -> _Words:
        """A Cluster that is no member: its stage has not started, or had before it came."""
        if self._state is State.COMPLETED:
            return _Words(stage, True, _YES, "it came after its stage had started, and the run is through")
        if (held := self._held()) is not None:
            return _Words(stage, False, *held)
        started = self._stages.get(stage)
        if started is not None and started.started is not None:
            words = "it came after its stage had started: its turn is when the run is through"
            return _Words(stage, False, ROLLOUT_PENDING, words)
        current = self._status.stage if self._status else None
        said = self._status.message if self._status else None
        words = (f"its stage has not started: {said}" if current else said) or "it begins soon"
        return _Words(stage, False, ROLLOUT_PENDING, words)

    def _held(self) -> tuple[str, str] | None:
        """Reason and words when nothing of it may begin."""
        if self._status is None or self._state not in (State.STOPPED, State.STOPPING):
            return None
        return f"Rollout{self._status.reason or 'Stopped'}", f"it is stopped: {self._status.message}"

    def _said(self, words: _Words, kinds: frozenset[Kind], member: Member, now: datetime) -> Said | None:
        """The turn of a Cluster, about these kinds."""
        if not kinds or (not self._goal and member.running is None):
            return None
        name, target = self._rollout.metadata.name, target_of(self._goal, member, self._goal.kinds - kinds)
        if words.is_through and self._state is not State.COMPLETED:
            target = member.part_of(target)
        later = self._status.next_time if self._status and self._goal else None
        until = later if later and later > now and not words.allowed else None
        message = f"Rollout {name}, stage {words.stage}: {words.message}"[:1024]
        turn = Turn(
            name,
            words.stage,
            target.version,
            words.allowed,
            words.reason,
            message,
            until,
            target.image,
            target.class_revision,
        )
        return turn, kinds


@dataclass(frozen=True, slots=True)
class _Words:
    """What is said of a Cluster, whatever it is brought to.

    is_through: whether it is a member with which nothing more is done: what it lacks nevertheless, since it runs
    another version by now, waits for the end of the run.
    """

    stage: str
    allowed: bool
    reason: str
    message: str
    is_through: bool = False


def _free_of(record: RolloutMember, kinds: frozenset[Kind]) -> frozenset[Kind]:
    """Kinds of which the Rollout has no say in a member."""
    if not record.left_out:  # an older kaas wrote it
        return kinds if record.state is State.SKIPPED and record.reason in FREE else frozenset()
    return frozenset(entry.kind for entry in record.left_out if entry.reason in FREE)


def _places(stage: StageStatus) -> Iterator[_Place]:
    before = 0
    for record in stage.members:
        yield _Place(stage, record, before)
        if record.state in (State.NOT_STARTED, State.PENDING):
            before += 1

"""What a member does not take of that which a run brings. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kaas.api.rollout_carried import Kind, LeftOut
from kaas.api.rollout_status import RolloutMember
from kaas.updates.rollouts.fitness import Unfit, unfit
from kaas.updates.rollouts.goal import Goal, target_of
from kaas.updates.rollouts.member import Member, Target
from kaas.updates.rollouts.scene import Scene


def refusals(member: Member, scene: Scene) -> dict[Kind, Unfit]:
    """Why it takes nothing of a kind; without kinds that it has already, or is being brought to."""
    goal, found = scene.goal, dict[Kind, Unfit]()
    for kind in Kind:  # the version first: the image is one of that
        why = _refusal(member, kind, goal, scene)
        if why is not None:
            found[kind] = why
            goal = goal.without_version if kind is Kind.KUBERNETES else goal
    return found


def _refusal(member: Member, kind: Kind, goal: Goal, scene: Scene) -> Unfit | None:
    if not goal.brings(kind) or _has_or_gets(member, kind, target_of(goal, member)):
        return None
    other = scene.known.taken.get(member.key, {}).get(kind)
    return unfit(member, goal, kind, scene.known.images, scene.now) or _of_other(other)


def _of_other(rollout: str | None) -> Unfit | None:
    return Unfit("InOtherRollout", f"Rollout {rollout}, which is older, decides") if rollout else None


def _has_or_gets(member: Member, kind: Kind, target: Target) -> bool:
    if kind is Kind.KUBERNETES:
        runs = member.running == target.version and member.has(Target(target.version))
        return target.version is not None and (runs or member.is_going_to(target.version))
    if kind is Kind.NODE_IMAGES:
        return target.image is not None and target.image in (member.image, member.coming.image)
    return target.class_revision is not None and target.class_revision in (
        member.class_revision,
        member.coming.class_revision,
    )


def entries(refused: Mapping[Kind, Unfit]) -> tuple[LeftOut, ...]:
    """As they stand in the status."""
    return tuple(LeftOut(kind=kind, reason=why.reason) for kind, why in refused.items())


def reason_of(refused: Mapping[Kind, Unfit]) -> tuple[str, str]:
    """Reason and words of a member that takes nothing: of the largest kind, and all words."""
    words = dict.fromkeys(why.message for why in refused.values())
    return next(iter(refused.values())).reason, "; ".join(words)


def not_brought(record: RolloutMember) -> str | None:
    """What a member is through without, for people; None when it has all."""
    if not record.left_out:
        return None
    return f"without {_several(f'{k.kind} ({k.reason})' for k in record.left_out)}"


def _several(parts: Iterable[str]) -> str:
    return " and ".join(parts)

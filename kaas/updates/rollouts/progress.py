"""How far each member is, as its Cluster's status shows it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from kaas.api.rollout_acts import Act, member_key
from kaas.api.rollout_status import ENDED, MAX_ZONES, RolloutMember, State
from kaas.api.versions import KubernetesVersion
from kaas.updates.planner import BETWEEN, LEAST_LEFT, moment
from kaas.updates.rollouts.member import Member, Target
from kaas.updates.rollouts.order import Window, window_of
from kaas.updates.rollouts.scene import SKEW, Scene
from kaas.updates.rollouts.taking import entries, not_brought, reason_of, refusals

STALL: Final = timedelta(minutes=30)
"""After so long a member that may begin and does not gives its turn to another that could."""
CHANGED, GONE, SKIPPED = "ChangedByHand", "Gone", "SkippedByPerson"
"""Reasons of members that are left out."""
OUTSIDE, WAITS, RELEASED = "OutsideMaintenance", "WaitsForOthers", "Released"
"""Reasons of members that wait."""
MAY_BEGIN: Final = "it may begin"
_LONGEST, _LONGEST_FAILED = 256, 768
"""Characters of a member's message: all members have to fit into one object."""

_WELL: Final[Mapping[str, None]] = {"unwell": None, "well": None}
"""What is said of a member that is not watched for its health, or not any more."""
_MINUTE: Final = timedelta(minutes=1)

Rule = Callable[[RolloutMember, Member, Scene], RolloutMember | None]


def enlisted(member: Member, scene: Scene) -> RolloutMember:
    """A member as it is when its stage starts."""
    record = RolloutMember(
        namespace=member.key[0],
        name=member.key[1],
        uid=member.uid,
        site=member.site,
        zones=member.zones[:MAX_ZONES],
        version=_text(member.running),
        asked=member.asked,
        state=State.NOT_STARTED,
    )
    refused = refusals(member, scene)
    record = record.model_copy(update={"left_out": entries(refused)})
    target = scene.target(record, member)
    if target and not member.has(target):
        return record
    if refused:
        return _left_out(record, *reason_of(refused), scene)
    words = f"ran {target.version} already" if target == Target(target.version) else f"had {target.words} already"
    return become(record, State.COMPLETED, "RunsAlready", words, finished=scene.now)


def become(record: RolloutMember, state: State, reason: str | None, message: str | None, **more: Any) -> RolloutMember:
    """The member in a state; the same object when nothing changes."""
    longest = _LONGEST_FAILED if state is State.FAILED else _LONGEST
    words = message[:longest] if message else message
    wanted = {"state": state, "reason": reason, "message": words, **more}
    changed = {name: value for name, value in wanted.items() if getattr(record, name) != value}
    return record.model_copy(update=changed) if changed else record


def _text(version: KubernetesVersion | None) -> str | None:
    return str(version) if version else None


def is_busy(record: RolloutMember) -> bool:
    """Whether it is updated, or may begin at any time: it counts against all limits."""
    return record.state is State.RUNNING or (record.state is State.PENDING and record.released is not None)


def observed(record: RolloutMember, scene: Scene) -> RolloutMember:
    """How far a member is now."""
    record = _as_people_say(record, scene)
    if record.state in (State.COMPLETED, State.SKIPPED, State.STOPPED):
        return record
    member = scene.members.get(record.key)
    if member is None or member.uid != record.uid:
        return _left_out(record, GONE, "the Cluster is gone, or another one has its name", scene)
    return next(filter(None, (rule(record, member, scene) for rule in _RULES)))


def _left_out(record: RolloutMember, reason: str, message: str, scene: Scene) -> RolloutMember:
    return become(record, State.SKIPPED, reason, message, released=None, **_WELL, finished=scene.now)


# --- what people say ----------------------------------------------------------------------------------------------


def _as_people_say(record: RolloutMember, scene: Scene) -> RolloutMember:
    """Left out, or tried again: of both, what was said last."""
    key = member_key(*record.key)
    skip, again = _of_run(scene.acts.skip.get(key), scene), _of_run(scene.acts.retry.get(key), scene)
    if skip is not None and again is not None:
        skip, again = (skip, None) if skip.at > again.at else (None, again)
    if skip is not None and record.state is not State.COMPLETED and record.reason != SKIPPED:
        return _left_out(record, SKIPPED, f"left out by {skip.words}", scene)
    if again is not None and _counts(again, record):
        words = f"tried again by {again.words}"
        fresh: dict[str, Any] = dict.fromkeys(("released", "started", "finished", "tried"))
        member = scene.members.get(record.key)
        anew = {"asked": member.asked, "version": _text(member.running), "left_out": ()} if member else {}
        return become(record, State.NOT_STARTED, "Retried", words, retried=again.at, **fresh, **_WELL, **anew)
    return record


def _of_run(act: Act | None, scene: Scene) -> Act | None:
    return act if act is not None and scene.counts(act) else None


def _counts(again: Act, record: RolloutMember) -> bool:
    """Whether it has ended otherwise than well, and this was said since."""
    if record.state not in (State.FAILED, State.SKIPPED) or again.at == record.retried:
        return False
    return record.finished is None or again.at >= record.finished - SKEW


# --- what the Cluster shows ---------------------------------------------------------------------------------------


def _through(record: RolloutMember, member: Member, scene: Scene) -> RolloutMember | None:
    target = scene.target(record, member)
    if not target or not member.is_through(target):
        return None
    if target.version is not None and member.running is not None and member.running > target.version:
        return _left_out(record, CHANGED, f"runs {member.running}, newer than {target.version}", scene)
    verb = "runs" if target == Target(target.version) else "has"
    words = not_brought(record) if record.started else f"{verb} {target.words} although its turn had not come"
    reason = None if record.started else CHANGED
    ended = {"finished": scene.now, "released": None, **_WELL}
    return become(record, State.COMPLETED, reason, words, **ended)


def _stays_failed(record: RolloutMember, _: Member, __: Scene) -> RolloutMember | None:
    return record if record.state is State.FAILED else None


def _under_way(record: RolloutMember, member: Member, scene: Scene) -> RolloutMember | None:
    target = scene.target(record, member)
    has_begun = record.started is not None and (member.stopped is not None or (bool(target) and member.has(target)))
    if not member.is_under_way(target) and not has_begun:
        return None
    record = record if record.started else record.model_copy(update={"started": member.began or scene.now})
    health = _health(record, member, scene)
    unwell = health["unwell"] if health["well"] is None else None
    if member.stopped is not None and (record.retried is None or _still_stopped(record, member, scene)):
        words = f"its update has stopped: {member.stopped.message}"
        return become(record, State.FAILED, member.stopped.reason, words, finished=scene.now, **_WELL)
    if unwell is not None and (away := scene.now - max(unwell, record.retried or unwell)) >= scene.patience:
        words = f"not Ready for {away // _MINUTE} minutes, after its update began: {member.unready}"
        return become(record, State.FAILED, "NotReady", words, finished=scene.now, **_WELL)
    return become(record, State.RUNNING, "Updating", member.waits or None, **health)


def _health(record: RolloutMember, member: Member, scene: Scene) -> dict[str, datetime | None]:
    """Since when it is not Ready. That clock stands still while it is, and begins anew when it was for long enough."""
    since, well = record.unwell, record.well
    if since is not None and well is not None and scene.now - well >= scene.patience:
        since = well = None
    if member.ready is not False or member.moves:
        return {"unwell": since, "well": since and (well or scene.now)}
    if since is not None and well is not None:
        since += scene.now - well
    return {"unwell": since or scene.now, "well": None}


def _still_stopped(record: RolloutMember, member: Member, scene: Scene) -> bool:
    """Whether an update that was to be tried again has stopped anew, or was not taken up in time."""
    assert member.stopped is not None and record.retried is not None  # noqa: S101, PT018 - see the caller
    return member.stopped.since > record.retried or scene.now >= record.retried + scene.patience


def _changed(record: RolloutMember, member: Member, scene: Scene) -> RolloutMember | None:
    """A person has changed its version since its stage started."""
    if not scene.brings_version(record):
        return None
    if member.asked != record.asked:
        words = f"its spec.version was {record.asked} when the stage started, and is {member.asked}"
        return _left_out(record, CHANGED, words, scene)
    runs = _text(member.running)
    if record.version and runs and runs not in (record.version, str(scene.goal.version)):
        words = f"ran {record.version} when the stage started, and runs {runs}"
        return _left_out(record, CHANGED, words, scene)
    return None


def _refused(record: RolloutMember, member: Member, scene: Scene) -> RolloutMember | None:
    """What it does not take, by now, is left out; and itself when nothing else is to come."""
    known = {entry.kind for entry in record.left_out}
    refused = refusals(member, scene) if member.running else {}
    new = {kind: why for kind, why in refused.items() if kind not in known}
    if new:
        record = record.model_copy(update={"left_out": (*record.left_out, *entries(new))})
        target = scene.target(record, member)
        if not target or member.has(target):
            return _left_out(record, *reason_of(refused), scene)
    return _waiting(record, member, scene)


def _waiting(record: RolloutMember, member: Member, scene: Scene) -> RolloutMember:
    """Its update has not begun. One that has had its turn gives it back when its window closes."""
    window = window_of(member, scene.now)
    if record.started is not None:
        record = record.model_copy(update={"started": None, **_WELL})
    if window is not Window.OPEN:
        back: dict[str, Any] = {"released": None, "tried": scene.now} if record.released else {}
        return become(record, State.PENDING, OUTSIDE, _opens(member, window), **back)
    if record.released is not None:
        why = member.obstacle.message if member.obstacle else member.waits
        return become(record, State.PENDING, RELEASED, f"{MAY_BEGIN}: {why}" if why else MAY_BEGIN)
    if member.obstacle is not None:
        return become(record, State.PENDING, member.obstacle.reason, member.obstacle.message)
    if (earliest := _earliest(member, scene)) is not None:
        why = f"its last update was begun less than a day ago: it may go {moment(earliest)}"
        return become(record, State.PENDING, "TooSoon", why)
    words = record.message if record.reason == "Retried" else None
    return become(record, State.NOT_STARTED, WAITS if words is None else "Retried", words)


def _earliest(member: Member, scene: Scene) -> datetime | None:
    """When another update of it may begin; None when now."""
    if member.began is None or member.began + BETWEEN <= scene.now:
        return None
    return member.began + BETWEEN


def _opens(member: Member, window: Window) -> str:
    if window is Window.NONE or member.window is None:
        return f"no maintenance window of it is known: {member.waits or 'its status says nothing of one'}"
    return f"its next maintenance window opens {moment(member.window.start)}"


_RULES: Final[Sequence[Rule]] = (_through, _stays_failed, _under_way, _changed, _refused)


def next_look(record: RolloutMember, member: Member, scene: Scene) -> datetime | None:
    """When the clock alone changes the state of a member: its window opens or closes, or patience with it ends."""
    if record.state in ENDED or record.state is State.STOPPED:
        return None
    if record.state is State.RUNNING:
        since = record.well or (record.unwell and max(record.unwell, record.retried or record.unwell))
        ends = (t + scene.patience for t in (since, record.retried) if t is not None)
        return min((t for t in ends if t > scene.now), default=None)
    found = member.window
    edges = (found.start, found.end - LEAST_LEFT, found.end) if found else ()
    stalls = (record.released + STALL,) if record.released else ()
    earliest = (member.began + BETWEEN,) if member.began else ()
    return min((t for t in (*edges, *stalls, *earliest) if t > scene.now), default=None)

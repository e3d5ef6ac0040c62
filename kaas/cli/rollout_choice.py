"""What a command about a Rollout is about: which gate, which members, and whether it makes sense now. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from kaas.api.rollout import GateType, Rollout
from kaas.api.rollout_status import ABORTED, RolloutMember, State
from kaas.cli.exits import CliError, ExitCode

Key = tuple[str, str]


def key(name: str, namespace: str) -> Key:
    """Namespace and name of a Cluster, as `team-a/training`, or as `training` in a namespace."""
    before, slash, after = name.partition("/")
    if not name or "/" in after or (slash and not (before and after)):
        raise CliError(f"CLUSTER: {name!r} is none: write NAMESPACE/NAME, or NAME with -n", ExitCode.WRONG_INPUT)
    return (before, after) if slash else (namespace, before)


def gate(rollout: Rollout, asked: str | None) -> str:
    """The `<stage>` or `<stage>/<gate>` that is approved. asked: None for the only one that waits."""
    known = list(_approvals(rollout))
    if asked is not None:
        if asked in known or asked in {k.partition("/")[0] for k in known}:
            return asked
        words = f"has no gate of type Approval at {asked!r}; it has {', '.join(known) or 'none'}"
        raise _wrong(rollout, words, ExitCode.NOT_FOUND)
    now = waiting(rollout)
    if len(now) != 1:
        there = f"several wait: name one of {', '.join(now)}" if now else "no gate waits for an approval now"
        more = f"; to approve one before its time, name it: {', '.join(known)}" if known and not now else ""
        raise _wrong(rollout, f"{there}{more}", ExitCode.WRONG_INPUT if now else ExitCode.FAILED)
    return now[0]


def waiting(rollout: Rollout) -> list[str]:
    """Gates of type Approval that the Rollout has come to and that wait for a person, as `<stage>/<gate>`."""
    closed = _closed(rollout)
    return [k for k in _approvals(rollout) if k in closed]


def _approvals(rollout: Rollout) -> Iterator[str]:
    for stage in rollout.spec.stages:
        for each in (*stage.before_gates, *stage.after_gates):
            if each.type is GateType.APPROVAL:
                yield f"{stage.name}/{each.name}"


def _closed(rollout: Rollout) -> frozenset[str]:
    """Gates that a stage has come to, and that are not open."""
    stages = rollout.status.stages if rollout.status else ()
    return frozenset(f"{s.name}/{g.name}" for s in stages for g in (*s.before_gates, *s.after_gates) if not g.open)


def members(rollout: Rollout) -> dict[Key, RolloutMember]:
    """Members of all stages that have started."""
    return {m.key: m for s in (rollout.status.stages if rollout.status else ()) for m in s.members}


def may_skip(rollout: Rollout, keys: Sequence[Key], there: AbstractSet[Key]) -> None:
    """CliError unless all may be left out. there: those of them that are Clusters now."""
    known = members(rollout)
    missing = [k for k in keys if k not in known and k not in there]
    if missing:
        raise _wrong(rollout, f"there is no Cluster {_names(missing)}; see `kaas status -A`", ExitCode.NOT_FOUND)
    through = [k for k in keys if k in known and known[k].state is State.COMPLETED]
    if through:
        raise _wrong(rollout, f"{_names(through)} is through already: there is nothing to leave out")


def to_retry(rollout: Rollout, named: Sequence[Key]) -> list[Key]:
    """Members that are tried again: those that are named, else all that failed. CliError when there is none."""
    known = members(rollout)
    if not named:
        failed = [k for k, m in known.items() if m.state is State.FAILED]
        if not failed:
            raise _wrong(rollout, "no member has failed: name one that was skipped to have it tried again")
        return failed
    strange = [k for k in named if k not in known]
    if strange:
        words = f"{_names(strange)} is no member: see `kaas rollout status {rollout.metadata.name}`"
        raise _wrong(rollout, words, ExitCode.NOT_FOUND)
    others = [k for k in named if known[k].state not in (State.FAILED, State.SKIPPED)]
    if others:
        raise _wrong(rollout, f"{_names(others)} has neither failed nor is skipped ({known[others[0]].state})")
    return list(named)


def is_paused(rollout: Rollout) -> None:
    """CliError unless it is paused by a person."""
    if not rollout.spec.paused:
        said = rollout.status.message if rollout.status else None
        raise _wrong(rollout, f"it is not paused{f': {said}' if said else ''}")


def may_abort(rollout: Rollout) -> None:
    """CliError when no run is under way."""
    status = rollout.status
    if status is None or status.started is None or status.finished is not None or status.reason == ABORTED:
        state = status.state if status and status.state else State.NOT_STARTED
        raise _wrong(rollout, f"no run of it is under way ({state}): delete the Rollout if it is not wanted any more")


def _names(keys: Sequence[Key]) -> str:
    return ", ".join("/".join(k) for k in keys)


def _wrong(rollout: Rollout, words: str, code: ExitCode = ExitCode.FAILED) -> CliError:
    return CliError(f"Rollout {rollout.metadata.name}: {words}", code)

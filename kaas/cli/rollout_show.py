"""Rollouts as a table, and one as a tree of stages, gates and members, for people. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from kaas.api.parsed import Unreadable
from kaas.api.rollout import Rollout, Stage
from kaas.api.rollout_acts import Acts
from kaas.api.rollout_carried import Kind
from kaas.api.rollout_status import ENDED, GateStatus, RolloutMember, RolloutStatus, StageStatus, State
from kaas.api.versions import KubernetesVersion
from kaas.cli.table import age
from kaas.cli.tree import MARKS
from kaas.cli.view import Mark
from kaas.updates.rollouts.goal import carried
from kaas.updates.rollouts.member import Target
from kaas.updates.rollouts.taking import not_brought

HEADERS: Final = ("NAME", "BRINGS", "STATE", "STAGE", "PROGRESS", "FAILED", "NEXT", "WHY")
MOST_MEMBERS: Final = 30
"""Members of one stage that are shown, those that are worth a look first; programs get all of them."""
NOT_LOOKED_AT: Final = "the controller has not looked at it yet (is `kaas controller` running?)"

_MARK_OF: Final = {
    State.NOT_STARTED: Mark.MOVING,
    State.RUNNING: Mark.MOVING,
    State.PENDING: Mark.MOVING,
    State.COMPLETED: Mark.WELL,
    State.FAILED: Mark.SICK,
    State.SKIPPED: Mark.GOING,
    State.STOPPING: Mark.SICK,
    State.STOPPED: Mark.SICK,
}
_WORTH: Final = (State.FAILED, State.RUNNING, State.PENDING, State.SKIPPED, State.STOPPED, State.NOT_STARTED)
"""States of members in the order in which they are shown; those that are through are counted."""


def table(rollouts: Iterable[Rollout], unread: Iterable[Unreadable] = ()) -> Table:
    """One line a Rollout, and after these one of each that cannot be read."""
    found = Table(box=None, pad_edge=False, header_style="bold")
    for header in HEADERS:
        found.add_column(header, no_wrap=header != "WHY", overflow="fold")
    for rollout in rollouts:
        state = _state(rollout)
        cells = (Text(c, _color(state) if h == "STATE" else "") for h, c in zip(HEADERS, _row(rollout), strict=True))
        found.add_row(*cells)
    for other in unread:
        found.add_row(other.name, *[""] * (len(HEADERS) - 2), Text(str(other), "red"))
    return found


def _row(rollout: Rollout) -> tuple[str, ...]:
    status = rollout.status or RolloutStatus()
    return (
        rollout.metadata.name,
        _brings(rollout),
        str(_state(rollout)),
        status.stage or "",
        status.progress or "",
        str(status.counts.failed) if status.counts else "",
        _moment(status.next_time),
        status.message or ("" if rollout.status else NOT_LOOKED_AT),
    )


def _brings(rollout: Rollout) -> str:
    """What goes through the fleet; before a run has begun, what the spec says of it."""
    status, spec = rollout.status or RolloutStatus(), rollout.spec
    if spec.channel is None:
        named = Target(KubernetesVersion.known(spec.version), spec.image, spec.class_revision)
        return status.brings or status.version or named.words
    return status.brings or status.version or f"newest of {spec.channel}{_kinds(rollout)}"


def _kinds(rollout: Rollout) -> str:
    """Of a Rollout by channel, what of that; nothing for versions alone."""
    kinds = carried(rollout.spec)
    return "" if kinds == {Kind.KUBERNETES} else f" ({', '.join(k for k in Kind if k in kinds)})"


def _state(rollout: Rollout) -> State:
    return (rollout.status.state if rollout.status else None) or State.NOT_STARTED


def _color(state: State) -> str:
    return MARKS[_MARK_OF[state]][1]


def _moment(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else ""


# --- one Rollout --------------------------------------------------------------------------------------------------


def story(rollout: Rollout, now: datetime) -> RenderableType:
    """Everything about one: what it does, its stages with gates and members, what people said, and earlier runs."""
    status = rollout.status or RolloutStatus()
    root = Tree(_title(rollout, status))
    known = {s.name: s for s in status.stages}
    for stage in rollout.spec.stages:
        _add_stage(root, stage, known.get(stage.name), status.message or "", now)
    return Group(root, *_halt(status), *_problems(rollout), *_history(status))


def _title(rollout: Rollout, status: RolloutStatus) -> Text:
    state, spec = _state(rollout), rollout.spec
    sign, color = MARKS[_MARK_OF[state]]
    title = Text.assemble((sign, color), " ", (rollout.metadata.name, "bold"), (f"  {state}", color))
    run = f"run {status.run} of channel {spec.channel}{_kinds(rollout)}" if spec.channel and status.run else None
    for fact in (_brings(rollout), run, status.progress, spec.paused and "paused"):
        title.append(f"  {fact}") if fact else None
    if (status.observed_generation or 0) < (rollout.metadata.generation or 0):
        title.append("  (a change has not been looked at yet)", "yellow")
    words = status.message or ("" if rollout.status else NOT_LOOKED_AT)
    title.append(f"\n  {words}", color) if words else None
    title.append(f"\n  goes on {_moment(status.next_time)}", "dim") if status.next_time else None
    return title


def _add_stage(root: Tree, stage: Stage, found: StageStatus | None, said: str, now: datetime) -> None:
    """A stage with what the title (`said`) does not say of it already."""
    state = found.state if found else State.NOT_STARTED
    sign, color = MARKS[_MARK_OF[state]]
    title = Text.assemble((sign, color), " ", (stage.name, "bold"), (f"  {state}", color))
    if found is not None and found.members:
        ended = sum(m.state is State.COMPLETED for m in found.members)
        title.append(f"  {ended} of {len(found.members)} completed  ").append_text(_bar(found.members))
    title.append(f"  {stage.max_concurrency} at once", "dim")
    if found is not None and found.message and found.message not in said and state is not State.COMPLETED:
        title.append(f"\n  {found.message}", color)
    branch = root.add(title)
    if found is not None:
        for line in (*_gates("before", found.before_gates, now), *_members(found, now)):
            branch.add(line)
        for line in _gates("after", found.after_gates, now):
            branch.add(line)


def _bar(members: Sequence[RolloutMember]) -> Text:
    """How far a stage is: a sign for every member, or for as many of them as ten make one."""
    width = min(len(members), 20)
    counts = Counter(_MARK_OF[m.state] if m.state is not State.NOT_STARTED else None for m in members)
    bar = Text()
    for mark in (Mark.WELL, Mark.SICK, Mark.GOING, Mark.MOVING):
        bar.append("█" * round(counts[mark] * width / len(members)), MARKS[mark][1])
    return bar.append("░" * max(0, width - len(bar.plain)), "dim")


def _gates(place: str, gates: Iterable[GateStatus], now: datetime) -> Iterator[Text]:
    for gate in gates:
        sign, color = MARKS[Mark.WELL if gate.open else Mark.MOVING]
        since = f"for {age(gate.asked.isoformat(), now)}" if not gate.open else _moment(gate.opened)
        line = Text.assemble((sign, color), f" gate {place}: ", (gate.name, "bold"), (f"  {since}", "dim"))
        yield line.append(f"  {gate.message}", "" if gate.open else color)


def _members(stage: StageStatus, now: datetime) -> Iterator[Text]:
    """Those that are worth a look; the others are counted."""
    if stage.state is State.COMPLETED:
        worth = [m for m in stage.members if m.state not in (State.COMPLETED, State.NOT_STARTED)]
    else:
        worth = [m for m in stage.members if m.state is not State.COMPLETED]
    worth.sort(key=lambda m: _WORTH.index(m.state))
    for member in worth[:MOST_MEMBERS]:
        yield _member(member, now)
    if len(worth) > MOST_MEMBERS:
        left = Counter(str(m.state) for m in worth[MOST_MEMBERS:])
        counted = ", ".join(f"{number} {state}" for state, number in left.items())
        yield Text(f"and {len(worth) - MOST_MEMBERS} more: {counted} (`-o json` lists all)", "dim")


def _member(member: RolloutMember, now: datetime) -> Text:
    sign, color = MARKS[_MARK_OF[member.state]]
    line = Text.assemble((sign, color), f" {'/'.join(member.key)}", (f"  {member.state}", color))
    line.append(f"  {member.site}", "dim")
    if member.started and not member.finished:
        line.append(f"  for {age(member.started.isoformat(), now)}", "dim")
    if member.left_out and member.state not in ENDED:
        line.append(f"  {not_brought(member)}", "dim")
    return line.append(f"  {member.message}" if member.message else "")


def _halt(status: RolloutStatus) -> list[Text]:
    halt = status.halt
    if halt is None:
        return []
    words = "" if halt.message in (status.message or "") else f": {halt.message}"
    return [Text.assemble(("stopped", "bold red"), f"  since {_moment(halt.since)}  {halt.reason}{words}")]


def _problems(rollout: Rollout) -> list[Text]:
    found = Acts.of(rollout.metadata.annotations).problems
    return [Text.assemble(("not understood", "bold red"), f"  {problem}") for problem in found]


def _history(status: RolloutStatus) -> list[Text]:
    lines = [Text("earlier runs", "bold")] if status.history else []
    for run in status.history:
        sign, color = MARKS[_MARK_OF[run.state]]
        times = f"{_moment(run.started)} to {_moment(run.finished)}"
        counts = f"{run.counts.completed} completed, {run.counts.failed} failed, {run.counts.skipped} skipped"
        what = f" {run.brings or run.version}  {run.state}  {times}  "
        lines.append(Text.assemble("  ", (sign, color), what, (counts, "dim")))
    return lines

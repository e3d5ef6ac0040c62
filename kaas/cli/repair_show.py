"""Sick nodes as a table, and one node's story, for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kaas.cli.repair_view import BreakerView, FleetView, NodeView, RungView, StoryView, TriedView
from kaas.cli.table import age
from kaas.cli.tree import MARKS
from kaas.cli.view import Mark
from kaas.repairs import pauses

HEADERS = ("NODE", "CLUSTER", "POOL", "WRONG", "SINCE", "STATE", "STEP", "TRIED", "NEXT LOOK", "WHY")
_MARK_OF_STATE = {"Healed": Mark.WELL, "Held": Mark.SICK, "Quarantined": Mark.SICK, "DryRun": Mark.SICK}
_MARK_OF_OUTCOME = {"Succeeded": Mark.WELL, "Failed": Mark.SICK, "TimedOut": Mark.SICK, "": Mark.MOVING}


def fleet(shown: FleetView, now: datetime, *, namespaces: bool) -> RenderableType:
    """The table, and below it what holds repairs back everywhere."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in [*(["NAMESPACE"] if namespaces else []), *HEADERS]:
        table.add_column(header, no_wrap=header != "WHY", overflow="fold")
    for node in shown.nodes:
        table.add_row(*([node.namespace] if namespaces else []), *_cells(node, now))
    rows: list[RenderableType] = [table] if shown.nodes else []
    return Group(*rows, *_obstacles(shown.breakers, shown.paused, now))


def _cells(node: NodeView, now: datetime) -> list[Text]:
    cells = (
        node.node or node.machine,
        node.cluster,
        node.pool,
        ", ".join(node.signals),
        age(node.since, now),
        node.state,
        node.step or "",
        ", ".join(t.action for t in node.tried if t.outcome != "Skipped"),
        ahead(node.next_time, now),
        node.message or node.reason,
    )
    return [Text(c, _color(node) if h == "STATE" else "") for h, c in zip(HEADERS, cells, strict=True)]


def _color(node: NodeView) -> str:
    return MARKS[_MARK_OF_STATE.get(node.state, Mark.MOVING)][1]


def ahead(moment: str | None, now: datetime) -> str:
    """How long until then, as `in 40s`; `now` for what is over."""
    if moment is None:
        return ""
    then = datetime.fromisoformat(moment)
    return f"in {age(now.isoformat(), then)}" if then > now else "now"


def _obstacles(breakers: Iterable[BreakerView], paused: Iterable[tuple[str, str]], now: datetime) -> list[Text]:
    lines = []
    for b in breakers:
        since = f" for {age(b.since, now)}" if b.since else ""
        lines.append(Text.assemble(("open", "red"), f"  {b.scope}{since}  {b.reason}: {b.message}"))
    for what, said in paused:
        if words := pauses.paused(said, now):
            lines.append(Text.assemble(("paused", "yellow"), f"  {what}: {words}"))
    return lines


# --- one node -----------------------------------------------------------------------------------------------------


def story(shown: StoryView, now: datetime) -> RenderableType:
    """What is wrong, since when, which step, what was tried, what is next, and what holds it back."""
    return Group(
        *_title(shown, now),
        *_findings(shown, now),
        *_ladder(shown.ladder, shown.sick),
        *_tries("tried", shown.sick.tried if shown.sick else ()),
        *_tries("history", shown.history),
        *_obstacles(shown.breakers, shown.paused, now),
    )


def _title(shown: StoryView, now: datetime) -> list[Text]:
    mark = _MARK_OF_STATE.get(shown.sick.state, Mark.MOVING) if shown.sick else Mark.WELL
    sign, color = MARKS[mark]
    title = Text.assemble((sign, color), " ", (shown.node or shown.machine, "bold"))
    title.append(f"  {shown.sick.state if shown.sick else 'nothing is known to be wrong with it'}", color)
    facts = (f"Machine {shown.namespace}/{shown.machine}", f"Cluster {shown.cluster}", shown.pool)
    more = (shown.zone, f"server {shown.server}" if shown.server else None)
    lines = [title, Text("  " + "  ".join(f for f in (*facts, *more) if f), "dim")]
    if shown.mode not in (None, "Automatic"):
        lines.append(Text(f"  repairs of its pool are in mode {shown.mode}", "yellow"))
    if shown.sick and shown.sick.message:
        again = ahead(shown.sick.next_time, now)
        lines.append(Text(f"  {shown.sick.message}{f' (looked at again {again})' if again else ''}", color))
    return lines


def _findings(shown: StoryView, now: datetime) -> list[Text]:
    found = [(f.signal, f.since, f.message) for f in shown.findings]
    if not found and shown.sick:
        found = [(signal, shown.sick.since or "", "") for signal in shown.sick.signals]
    lines = [Text("wrong", "bold")] if found else []
    for signal, since, message in found:
        lines.append(Text.assemble("  ", (signal, "red"), f"  for {age(since, now)}", (f"  {message}".rstrip(), "dim")))
    return lines


def _ladder(ladder: Sequence[RungView], sick: NodeView | None) -> list[Text]:
    """The steps in a line. Of a node that waits, the next one is marked too."""
    if not ladder:
        return []
    line = Text("  ")
    for index, rung in enumerate(ladder):
        following = sick is not None and not rung.now and rung.action == sick.step
        line.append(" → " if index else "", "dim")
        if rung.now or following:
            line.append(f"{rung.action} ({'now' if rung.now else 'next'})", "bold yellow")
        else:
            line.append(rung.action, MARKS[_MARK_OF_OUTCOME[rung.outcome]][1] if rung.outcome in TOLD else "dim")
    return [Text("ladder", "bold"), line]


TOLD = ("Succeeded", "Failed", "TimedOut")


def _tries(title: str, tried: Sequence[TriedView]) -> list[Text]:
    lines = [Text(title, "bold")] if tried else []
    for t in tried:
        sign, color = MARKS[_MARK_OF_OUTCOME.get(t.outcome, Mark.GOING)]
        words = f" {t.began}  {t.action} for {t.cause}: {t.outcome}{_seconds(t)}"
        lines.append(Text.assemble("  ", (sign, color), words, (f"  {t.message}".rstrip(), "dim")))
    return lines


def _seconds(tried: TriedView) -> str:
    if tried.outcome == "Skipped":
        return ""
    gone = datetime.fromisoformat(tried.ended) - datetime.fromisoformat(tried.began)
    return f" after {gone.total_seconds():.0f} s"

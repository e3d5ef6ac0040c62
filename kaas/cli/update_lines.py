"""The updates of one Cluster as lines below its tree, for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rich.text import Text

from kaas.cli.update_view import AvailabilityView, FindingView, UpdateStepView, UpdateView
from kaas.cli.view import Mark

SIGNS = {Mark.WELL: ("✔", "green"), Mark.MOVING: ("…", "yellow"), Mark.SICK: ("✘", "red"), Mark.GOING: ("-", "magenta")}
_MARK_OF = {"Done": Mark.WELL, "Running": Mark.MOVING, "Held": Mark.MOVING, "Failed": Mark.SICK, "Skipped": Mark.GOING}


def lines(said: UpdateView) -> list[Text]:
    """What is to come in a line; then the update under way with its steps, or that it has stopped, and what blocks."""
    return [*_maintenance(said), *_steps(said), *_stopped(said), *_findings(said), *_gap(said)]


def _maintenance(said: UpdateView) -> Iterator[Text]:
    """The next maintenance, and what is to come in it."""
    if said.opens is None or said.closes is None:
        return
    line = Text.assemble(("maintenance", "bold"), f"  {_moment(said.opens)} to {_moment(said.closes)} UTC")
    if said.version:
        when = f" {_moment(said.at)} UTC" if said.at and said.at != said.opens else ""
        line.append(f"  {said.version}{when}", "yellow")
    if said.rollout:
        line.append(f"  its turn is decided by Rollout {said.rollout}", "dim")
    yield line


def _steps(said: UpdateView) -> Iterator[Text]:
    """Steps of the update under way; of one that is through nothing is left to say."""
    if not said.under_way:
        return
    what = f"  {', '.join(said.changes)}" if said.changes else ""
    yield Text.assemble(("update", "bold"), f"  {said.target or said.version or ''}{what}")
    for step in said.steps:
        yield _step(step)
    if said.waiting:
        pools = f"pool {said.waiting[0]} waits" if len(said.waiting) == 1 else f"pools {', '.join(said.waiting)} wait"
        yield Text(f"  {pools}{f': {said.held}' if said.held else ''}", "yellow")


def _step(step: UpdateStepView) -> Text:
    sign, color = SIGNS[_MARK_OF[step.state]] if step.state in _MARK_OF else ("·", "dim")
    line = Text.assemble("  ", (sign, color), " ", (step.name, "bold" if step.state == "Running" else ""))
    line.append(f"  {step.state}", color)
    if times := [_moment(t) for t in (step.started, step.finished) if t]:
        line.append(f"  {' to '.join(dict.fromkeys(times))} UTC", "dim")
    is_told = step.message and step.state not in ("Done", "Pending")
    return line.append(f"  {step.message}", color) if is_told else line


def _stopped(said: UpdateView) -> Iterator[Text]:
    """Why it has stopped, and what is rolled back meanwhile."""
    if (stopped := said.stopped) is not None:
        what = f"  {stopped.step} since {_moment(stopped.since)} UTC  {stopped.reason}: {stopped.message}"
        yield Text.assemble(("stopped", "bold red"), (what, "red"))
    for words in said.rolled_back:
        yield Text.assemble("  ", ("rolled back", "yellow"), f"  {words}")


def _findings(said: UpdateView) -> Iterator[Text]:
    """What the checks before the update to come have found; of one that has begun only what was put up with counts."""
    if said.under_way or not said.findings:
        return
    checked = f"  looked at {_moment(said.checked)} UTC" if said.checked else ""
    yield Text.assemble(("checks before the update", "bold"), (checked, "dim"))
    for found in sorted(said.findings, key=lambda f: not f.blocks):
        yield _finding(found)


def _finding(found: FindingView) -> Text:
    sign, color = SIGNS[Mark.SICK if found.blocks else Mark.MOVING]
    line = Text.assemble("  ", (sign, color), f" {found.check}", ("  blocks" if found.blocks else "  warns", color))
    line.append(f"  {found.message}")
    return line.append(f"  (put up with: {found.override})", "dim") if found.override else line


def _gap(said: UpdateView) -> Iterator[Text]:
    found = said.availability
    if found is not None:
        yield _availability(found, said)


def _availability(found: AvailabilityView, said: UpdateView) -> Text:
    of = "so far" if said.under_way else "during the last update"
    words = f"  longest time without a good answer {of}: {found.longest_gap_seconds:.1f} s"
    asked = f"  asked {found.probes} times since {_moment(found.since)} UTC, {found.failed} not answered well"
    return Text.assemble(("API server", "bold"), words, (asked, "dim"))


def _moment(time: str) -> str:
    return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M}"

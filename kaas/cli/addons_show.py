"""Addons as a table, and the add-ons of Clusters as another, for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from rich.table import Table
from rich.text import Text

from kaas.api.addon import Addon
from kaas.api.parsed import Unreadable
from kaas.cli.addons_view import Line, newest_of, unusable
from kaas.cli.table import age
from kaas.cli.tree import MARKS, STATUS_MARKS
from kaas.cli.view import NOT_LOOKED_AT, Mark

HEADERS: Final = ("NAME", "NEWEST", "CLUSTERS", "CURRENT", "FAILING", "USABLE", "WHY")
OF_CLUSTERS: Final = ("CLUSTER", "ADD-ON", "VERSION", "STATE", "SINCE", "WHY")
_MARK_OF: Final = {"Ready": Mark.WELL, "Failed": Mark.SICK, "Removing": Mark.GOING}


def table(addons: Iterable[Addon], unread: Iterable[Unreadable] = ()) -> Table:
    """One line an Addon, and after these one of each that cannot be read."""
    found = _empty(HEADERS)
    for addon in addons:
        usable = _usable(addon)
        style = MARKS[STATUS_MARKS.get(usable, Mark.MOVING)][1]
        cells = zip(HEADERS, (*_numbers(addon), usable, _of_all(addon)), strict=True)
        found.add_row(*(Text(cell, style if header == "USABLE" else "") for header, cell in cells))
    for other in unread:
        found.add_row(other.name, *[""] * (len(HEADERS) - 2), Text(str(other), "red"))
    return found


def _empty(headers: Iterable[str]) -> Table:
    found = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        found.add_column(header, no_wrap=header != "WHY", overflow="fold")
    return found


def _numbers(addon: Addon) -> tuple[str, ...]:
    counts = addon.status.clusters if addon.status else None
    numbers = (counts.selected, counts.current, counts.failing) if counts else ("", "", "")
    return addon.metadata.name, newest_of(addon), *map(str, numbers)


def _usable(addon: Addon) -> str:
    """Status of its condition Usable; empty while there is none."""
    conditions = addon.status.conditions if addon.status else ()
    return next((c.status for c in conditions if c.type == "Usable"), "")


def _of_all(addon: Addon) -> str:
    """What people should know of it beside the numbers."""
    if addon.metadata.deletion_timestamp is not None:
        return "it is being deleted: its objects are taken out of the Clusters first"
    if addon.status is None:
        return NOT_LOOKED_AT
    late = (addon.status.observed_generation or 0) < (addon.metadata.generation or 0)
    return "; ".join([*unusable(addon), *(["a change has not been looked at yet"] if late else [])])


# --- of Clusters --------------------------------------------------------------------------------------------------


def of_clusters(lines: Iterable[Line], now: datetime, *, namespaces: bool) -> Table:
    """One line an add-on of a Cluster; `namespaces` adds a column for them."""
    found = _empty([*(["NAMESPACE"] if namespaces else []), *OF_CLUSTERS])
    for line in lines:
        found.add_row(*([line.namespace] if namespaces else []), *_cells(line, now))
    return found


def _cells(line: Line, now: datetime) -> list[Text]:
    cells = (
        line.cluster,
        line.name,
        " → ".join([line.version or "", *([line.wanted] if line.wanted else [])]).strip(),
        line.state,
        age(line.since.isoformat() if line.since else None, now),
        "; ".join(filter(None, (line.message, line.why))),
    )
    color = MARKS[_MARK_OF.get(line.state, Mark.MOVING)][1]
    return [Text(c, color if h == "STATE" else "") for h, c in zip(OF_CLUSTERS, cells, strict=True)]

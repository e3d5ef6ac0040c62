"""Figures with the limits that the design sets, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Limit:
    """The most that a figure may be; `below`: it must be less."""

    value: float
    below: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value keeps the limit. What could not be measured (not a number) does not."""
        return value < self.value if self.below else value <= self.value


@dataclass(frozen=True)
class Figure:
    """One measured number. limit: None for one that only explains another."""

    what: str
    value: float
    unit: str
    limit: Limit | None = None
    note: str = ""

    @property
    def missed(self) -> bool:
        """Whether there is a limit, and it does not hold."""
        return self.limit is not None and not self.limit.holds(self.value)


@dataclass(frozen=True)
class Result:
    """What one benchmark found. error: why it could not be measured, which misses its targets."""

    name: str
    seconds: float
    figures: Sequence[Figure] = ()
    error: str = ""

    @property
    def missed(self) -> bool:
        """Whether a limit does not hold, or nobody knows."""
        return bool(self.error) or any(f.missed for f in self.figures)


def number(value: float) -> str:
    """A number with three significant digits, never in powers of ten."""
    if value != value:  # noqa: PLR0124 - not a number
        return "?"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def table(results: Iterable[Result]) -> Table:
    """Every figure beside its limit, and whether it holds."""
    shown = Table("benchmark", "figure", "measured", "limit", "", "remark", expand=False)
    for column in (2, 3):
        shown.columns[column].justify = "right"
        shown.columns[column].no_wrap = True
    for result in results:
        for index, figure in enumerate(result.figures):
            shown.add_row(result.name if not index else "", *_row(figure))
        if result.error:
            shown.add_row(result.name, Text(result.error), "", "", Text("failed", "bold red"), "")
        shown.add_section()
    return shown


def _row(figure: Figure) -> list[str | Text]:
    measured = f"{number(figure.value)} {figure.unit}".strip()
    if figure.limit is None:
        return [figure.what, measured, "", "", figure.note]
    limit = f"{'<' if figure.limit.below else '≤'} {number(figure.limit.value)} {figure.unit}".strip()
    verdict = Text("missed", "bold red") if figure.missed else Text("holds", "green")
    return [figure.what, measured, limit, verdict, figure.note]


def as_json(results: Iterable[Result]) -> list[dict[str, Any]]:
    """The same for machines. `holds` is null where there is no limit."""
    return [
        {
            "benchmark": result.name,
            "seconds": round(result.seconds, 1),
            **({"error": result.error} if result.error else {}),
            "figures": [_figure_json(f) for f in result.figures],
        }
        for result in results
    ]


def _figure_json(figure: Figure) -> dict[str, Any]:
    known = figure.value == figure.value
    return {
        "figure": figure.what,
        "value": figure.value if known else None,
        "unit": figure.unit,
        "limit": figure.limit.value if figure.limit else None,
        "holds": None if figure.limit is None else not figure.missed,
        "note": figure.note,
    }

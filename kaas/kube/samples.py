"""A line of metrics in Prometheus' text format, read. Pure."""

from __future__ import annotations

import re
from typing import Final

_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def labels(line: str) -> dict[str, str]:
    """Labels of a line of metrics."""
    found = _LABEL.findall(line.partition("{")[2].rpartition("}")[0])
    return {name: re.sub(r"\\(.)", _unescaped, value) for name, value in found}


def _unescaped(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]

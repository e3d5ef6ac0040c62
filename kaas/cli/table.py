"""Clusters as a table for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from kaas.cli.tree import MARKS
from kaas.cli.view import mark_of_phase
from kaas.kube.objects import Object, condition, is_deleting

HEADERS = ("NAME", "PHASE", "VERSION", "CONTROL PLANE", "NODES", "SITE", "AGE", "REASON")
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def row(cluster: Object, now: datetime) -> tuple[str, ...]:
    """Cells of one Cluster, without its namespace."""
    spec, status = cluster.get("spec") or {}, cluster.get("status") or {}
    ready = condition(cluster, "Ready") or {}
    masters: dict[str, Any] = status.get("controlPlane") or {}
    nodes: dict[str, Any] = status.get("nodes") or {}
    pools = spec.get("nodePools") or []
    return (
        cluster["metadata"]["name"],
        phase(cluster),
        status.get("version") or spec.get("version") or "",
        f"{masters.get('ready', 0)}/{(spec.get('controlPlane') or {}).get('replicas', 3)}",
        f"{nodes.get('ready', 0)}/{nodes.get('desired', sum(p.get('replicas', 1) for p in pools))}",
        spec.get("site") or "",
        age(cluster["metadata"].get("creationTimestamp"), now),
        "" if ready.get("status") == "True" else " ".join(str(ready.get("message") or "").split()),
    )


def phase(cluster: Object) -> str:
    """Its phase; Pending until the controller has said one."""
    found = (cluster.get("status") or {}).get("phase")
    return str(found or ("Deleting" if is_deleting(cluster) else "Pending"))


def age(since: str | None, now: datetime) -> str:
    """Time gone in its largest unit: 42s, 7m, 3h, 12d."""
    if not since:
        return ""
    seconds = max(0, int((now - datetime.fromisoformat(since)).total_seconds()))
    unit, size = next(((u, s) for u, s in _UNITS if seconds >= s), ("s", 1))
    return f"{seconds // size}{unit}"


def table(clusters: Iterable[Object], now: datetime, *, namespaces: bool = False) -> Table:
    """The table; `namespaces` adds a column for them."""
    found = Table(box=None, pad_edge=False, header_style="bold")
    for header in [*(["NAMESPACE"] if namespaces else []), *HEADERS]:
        found.add_column(header, no_wrap=header != "REASON", overflow="fold")
    for cluster in clusters:
        cells = _styled(row(cluster, now), cluster)
        found.add_row(*([cluster["metadata"].get("namespace", "")] if namespaces else []), *cells)
    return found


def _styled(cells: Sequence[str], cluster: Object) -> list[Text | str]:
    color = MARKS[mark_of_phase(phase(cluster))][1]
    return [Text(c, color) if header == "PHASE" else Text(c) for header, c in zip(HEADERS, cells, strict=True)]

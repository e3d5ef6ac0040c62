"""The table of wrong manifests, read."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_TABLE: dict[str, Any] = yaml.load(
    Path(__file__).with_name("wrong_manifests.yaml").read_text(),
    Loader=yaml.CSafeLoader,
)


@dataclass(frozen=True)
class Case:
    """One entry. `before` is what exists and `manifest` what is sent; both are good but for what the entry changes."""

    name: str
    before: dict[str, Any]
    manifest: dict[str, Any]
    status: dict[str, Any] = field(default_factory=dict)
    field: str = ""
    field_server: str = ""
    way_out: str = ""
    way_out_offline: str = ""

    def __str__(self) -> str:
        return f"{self.manifest['kind']}: {self.name}"


def _parent(document: Any, path: str) -> tuple[Any, Any]:
    *way, last = (int(part) if part.isdigit() else part for part in path.split("."))
    for part in way:
        document = document[part]
    return document, last


def _changed(document: dict[str, Any], values: dict[str, Any], removed: str | None) -> dict[str, Any]:
    document = copy.deepcopy(document)
    for path, value in values.items():
        parent, last = _parent(document, path)
        parent[last] = value
    if removed:
        parent, last = _parent(document, removed)
        del parent[last]
    return document


def _case(entry: dict[str, Any]) -> Case:
    good = _TABLE["good"][entry["of"]]
    before = _changed(good, entry.get("before", {}), entry.get("before_remove"))
    return Case(
        name=entry.get("wrong") or entry["change"],
        before=before,
        manifest=_changed(before, entry.get("set", {}), entry.get("remove")),
        status=entry.get("status", {}),
        field=entry.get("field", ""),
        field_server=entry.get("field_server", entry.get("field", "")),
        way_out=entry.get("way_out", ""),
        way_out_offline=entry.get("way_out_offline", entry.get("way_out", "")),
    )


WRONG = [_case(entry) for entry in _TABLE["wrong"]]
REFUSED_CHANGES = [_case(entry) for entry in _TABLE["refused"]]
ALLOWED_CHANGES = [_case(entry) for entry in _TABLE["allowed"]]
GOOD: dict[str, dict[str, Any]] = _TABLE["good"]

"""Addons, Clusters that have them, and what is shown of both, for tests."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console, RenderableType

from kaas.api.addon import Addon
from kaas.api.cluster import Cluster
from kaas.api.constants import API_VERSION
from kaas.cli import addons_show
from kaas.cli.addons_view import Line, lines
from kaas.kube.objects import Object

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
OPENS = "2027-01-05T22:00:00Z"
WINDOW = "the maintenance window opens 2027-01-05 22:00 UTC (spec.maintenance of the Cluster)"
MISSING = "there is no ConfigMap kaas-system/exporter-1.8.3: create it, with `immutable: true`"


def version(name: str, least: str | None = None, most: str | None = None) -> Object:
    said = {key: value for key, value in (("minVersion", least), ("maxVersion", most)) if value}
    return {"version": name, "kubernetes": said, "manifests": {"configMap": f"exporter-{name}"}}


def raw_addon(
    *versions: Object,
    name: str = "exporter",
    wrong: dict[str, str] | None = None,
    status: Object | None = None,
    **spec: Any,
) -> Object:
    """wrong: why a version cannot be used, "" for one that was not looked at; all others can."""
    listed = list(versions) or [version("1.8.1"), version("1.8.2")]
    looks = {v["version"]: {"digest": "d", "objects": 4} for v in listed}
    looks |= {name: {"message": words} for name, words in (wrong or {}).items()}
    found = [{"version": name, **look} for name, look in looks.items() if look != {"message": ""}]
    usable = {"type": "Usable", "status": "False" if wrong else "True", "reason": "Looked", "message": ""}
    said = {
        "conditions": [{**usable, "lastTransitionTime": NOW.isoformat()}],
        "observedGeneration": 1,
        "versions": found,
        "clusters": {"selected": 3, "current": 2, "failing": 1},
        **(status or {}),
    }
    meta = {"name": name, "generation": 1}
    return {
        "apiVersion": API_VERSION,
        "kind": "Addon",
        "metadata": meta,
        "spec": {"versions": listed, **spec},
        "status": said,
    }


def addon(*versions: Object, **more: Any) -> Addon:
    return Addon.model_validate(raw_addon(*versions, **more))


def raw_cluster(
    *add_ons: Object, name: str = "one", updates: Object | None = None, runs: str | None = "v1.36.1", **update: Any
) -> Object:
    spec = {"version": "1.36", "site": "lab", "controlPlane": {"flavor": "small"}, "updates": updates or {}}
    status = {"addOns": list(add_ons), "update": update, **({"version": runs} if runs else {})}
    meta = {"name": name, "namespace": "team-a"}
    return {"apiVersion": API_VERSION, "kind": "Cluster", "metadata": meta, "spec": spec, "status": status}


def has(name: str = "exporter", running: str | None = "1.8.1", **more: Any) -> Object:
    said = {"version": running} if running else {}
    since = (NOW - timedelta(hours=3)).isoformat()
    return {"name": name, "state": "Ready", "since": since, **said, **more}


def line(cluster: Object, *addons: Addon) -> Line:
    (found,) = lines([Cluster.model_validate(cluster)], list(addons) or [addon()])
    return found


def text(what: RenderableType) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=500, no_color=True).print(what)
    return [" ".join(each.split()) for each in out.getvalue().splitlines()]


def shown(*found: Line, namespaces: bool = False) -> list[str]:
    return text(addons_show.of_clusters(found, NOW, namespaces=namespaces))

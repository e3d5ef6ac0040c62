"""Clusters, Sites and Releases as updates see them: each builder gives a valid one, and takes what a test is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kaas.api.cluster import Cluster
from kaas.api.constants import API_VERSION
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.api.versions import KubernetesVersion
from kaas.updates.catalogue import catalogue
from kaas.updates.standing import Standing
from kaas.updates.subject import Subject
from kaas.updates.windows import Calendar

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)  # a Monday
TUESDAYS = {"recurrence": "FREQ=WEEKLY;BYDAY=TU", "start": "22:00", "durationMinutes": 240, "timeZone": "UTC"}
READY = {"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": NOW.isoformat()}
UID = "11111111-2222-3333-4444-555555555555"
Object = dict[str, Any]


@dataclass
class Clock:
    """A time of day that moves when it is told to."""

    time: datetime = NOW

    def now(self) -> datetime:
        return self.time


def version(text: str) -> KubernetesVersion:
    return KubernetesVersion.parse(text)


def raw_cluster(
    asked: str = "1.36",
    *,
    name: str = "team",
    updates: Object | None = None,
    maintenance: Object | None = None,
    status: Object | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Object:
    spec = {
        "version": asked,
        "site": "north",
        "controlPlane": {"flavor": "cpu-2"},
        "nodePools": [{"name": "cpu", "flavor": "cpu-4"}],
        "updates": updates or {},
        "maintenance": {"windows": [TUESDAYS]} if maintenance is None else maintenance,
    }
    meta = {"name": name, "namespace": "tenants", "uid": UID, "annotations": dict(annotations or {})}
    found = {"conditions": [READY], "version": "v1.36.1", **(status or {})}
    return {"apiVersion": API_VERSION, "kind": "Cluster", "metadata": meta, "spec": spec, "status": found}


def cluster(asked: str = "1.36", **more: Any) -> Cluster:
    return Cluster.model_validate(raw_cluster(asked, **more))


def raw_site(**spec: Any) -> Object:
    said = {"provider": "dev", "flavors": [{"name": "cpu-2"}, {"name": "cpu-4"}], **spec}
    return {"apiVersion": API_VERSION, "kind": "Site", "metadata": {"name": "north"}, "spec": said}


def site(**spec: Any) -> Site:
    return Site.model_validate(raw_site(**spec))


def raw_release(text: str, regular: str | None = "2026-12-01", expires: str | None = None, **dates: str) -> Object:
    """Dates as 2026-12-01; it enters all channels at once unless told otherwise."""
    channels = {"rapid": regular, "regular": regular, "stable": regular} if regular else {}
    channels |= {k: v for k, v in dates.items() if k in ("rapid", "stable")}
    spec: Object = {"version": text, "image": f"ubuntu-{text}"}
    if channels:
        spec["channels"] = {k: f"{v}T00:00:00Z" for k, v in channels.items()}
    if expires:
        spec["expires"] = f"{expires}T00:00:00Z"
    return {"apiVersion": API_VERSION, "kind": "Release", "metadata": {"name": text}, "spec": spec}


def release(text: str, regular: str | None = "2026-12-01", expires: str | None = None, **dates: str) -> Release:
    return Release.model_validate(raw_release(text, regular, expires, **dates))


def calendar(of: Cluster, where: Site | None = None) -> Calendar:
    return Calendar((of.spec.maintenance, (where or site()).spec.maintenance), of.metadata.uid or "")


def subject(
    of: Cluster | None = None,
    *releases: Release,
    running: str | None = "v1.36.1",
    where: Site | None = None,
    standing: Standing | None = None,
) -> Subject:
    chosen, place = of or cluster(), where or site()
    runs = version(running) if running else None
    return Subject(chosen, runs, catalogue(releases), place, calendar(chosen, place), standing or Standing())


def at(text: str) -> datetime:
    """A time in UTC, as 2027-01-05 22:00."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)

"""Planning updates: one decision, a calendar of a thousand Clusters for 90 days, and of one for a year."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from prometheus_client import CollectorRegistry

from kaas.api.addon import Addon
from kaas.api.addon_status import InstalledAddOn
from kaas.api.cluster import Cluster, ClusterStatus
from kaas.api.constants import API_VERSION
from kaas.api.maintenance import Maintenance
from kaas.api.model import Condition
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.api.update_status import Maintenance as MaintenanceStatus
from kaas.api.update_status import UpdateSummary
from kaas.api.versions import KubernetesVersion
from kaas.runtime.index import Index
from kaas.updates.forecast import forecast
from kaas.updates.line import Line
from kaas.updates.metrics import UpdateMetrics
from kaas.updates.places import SITE_BUSY
from kaas.updates.planner import plan
from kaas.updates.subject import NOT_KNOWN_ADD_ONS, AddOns, Subject
from kaas.updates.windows import Calendar
from tests.bench.bench import Bench
from tests.bench.figures import Figure, Limit

CLUSTERS, DAYS, ADD_ONS = 1_000, 90, 5
MINORS, PATCHES = range(33, 38), range(8)
NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
CHANNELS = ("Rapid", "Regular", "Stable")
ZONES = ("UTC", "Europe/Berlin", "Asia/Tokyo", "America/New_York")
DECISION = Limit(1.0)
CALENDAR = Limit(2.0)


def run(bench: Bench) -> Sequence[Figure]:
    """Processor time; the best of some rounds, and the first with nothing known beforehand."""
    rounds = bench.size(3, 1)
    releases, site, clusters = _releases(), _site(), [_cluster(number) for number in range(CLUSTERS)]
    first, _ = _timed(1, lambda: _forecasts(clusters, releases, site))
    again, events = _timed(rounds, lambda: _forecasts(clusters, releases, site))
    carrying, carried = _timed(rounds, lambda: _forecasts(list(map(_carrying, clusters)), releases, site, _add_ons()))
    calendars = [_calendar(c, site) for c in clusters]
    pairs = list(zip(clusters, calendars, strict=True))
    decisions, _ = _timed(rounds, lambda: [plan(Subject.of(c, _running(c), releases, site, k), NOW) for c, k in pairs])
    in_line = _in_line(clusters, releases, site)
    return [
        Figure("one of 1,000 Clusters due at one Site", in_line, "ms", DECISION, "put off, or let go"),
        Figure("deciding about one Cluster", decisions * 1000 / CLUSTERS, "ms", DECISION, f"{len(releases)} Releases"),
        Figure(f"a calendar of {CLUSTERS:,} Clusters, {DAYS} days", first, "s", CALENDAR, "the first time"),
        Figure("the same again", again, "s", CALENDAR, f"{events:,} events"),
        Figure(f"the same where each has {ADD_ONS} add-ons", carrying, "s", CALENDAR, f"{carried:,} events"),
    ]


def _in_line(clusters: Sequence[Cluster], releases: Sequence[Release], site: Site) -> float:
    """Milliseconds for each of many Clusters whose windows are open at once: nearly all of them wait."""
    always = {"recurrence": "FREQ=DAILY", "start": "00:00", "durationMinutes": 1440, "timeZone": "UTC"}
    maintenance = Maintenance.model_validate({"windows": [always]})
    due = [c.model_copy(update={"spec": c.spec.model_copy(update={"maintenance": maintenance})}) for c in clusters]
    due = [c.model_copy(update={"status": _ready(c)}) for c in due]
    subjects = [_subject(c, releases, site) for c in due]
    line, names = Line(Index(), UpdateMetrics(CollectorRegistry())), [("team", c.metadata.name) for c in due]
    waits = {"reason": SITE_BUSY, "nextMaintenance": {"end": _stamp(1)}}
    for name, subject in zip(names, subjects, strict=True):
        line.seen(name, subject, waits, NOW)

    def look() -> int:
        put_off = 0
        for name, subject in zip(names, subjects, strict=True):
            decision = line.admit(name, subject, plan(subject, NOW), NOW)
            put_off += decision.reason == SITE_BUSY
            line.seen(name, subject, waits, NOW)
        return put_off

    seconds, put_off = _timed(1, look)
    assert isinstance(put_off, int)
    assert put_off > len(clusters) // 2
    return seconds * 1000 / len(clusters)


def _ready(cluster: Cluster) -> ClusterStatus:
    """Well, and with certificates that do not end soon."""
    assert cluster.status is not None
    ready = Condition(type="Ready", status="True", reason="Ready", message="", last_transition_time=NOW)
    window = MaintenanceStatus(start=NOW - timedelta(days=1), end=NOW + timedelta(days=1))
    said = UpdateSummary(next_maintenance=window)
    return cluster.status.model_copy(update={"conditions": (ready,), "control_plane": None, "update": said})


def _timed(rounds: int, work: Callable[[], object]) -> tuple[float, object]:
    times, found = [], None
    for _ in range(rounds):
        begin = time.process_time()
        found = work()
        times.append(time.process_time() - begin)
    return min(times), found


def _forecasts(
    clusters: Sequence[Cluster], releases: Sequence[Release], site: Site, addons: AddOns = NOT_KNOWN_ADD_ONS
) -> int:
    """Number of events that are foretold."""
    return sum(len(forecast(_subject(c, releases, site).beside(addons), NOW, DAYS)) for c in clusters)


def _add_ons() -> AddOns:
    """Some Addons of two versions each, the newer of which supports all minors."""
    versions = [
        {"version": "1.0.0", "kubernetes": {"maxVersion": "1.36"}, "manifests": {"configMap": "one"}},
        {"version": "1.1.0", "manifests": {"configMap": "two"}},
    ]
    found = [{"version": v["version"], "objects": 20, "digest": "d", "since": _stamp(-1)} for v in versions]
    raw: dict[str, object] = {"apiVersion": API_VERSION, "kind": "Addon", "spec": {"versions": versions}}
    each = ({**raw, "metadata": {"name": f"addon-{n}"}, "status": {"versions": found}} for n in range(ADD_ONS))
    return AddOns.of(map(Addon.model_validate, each))


def _carrying(cluster: Cluster) -> Cluster:
    """The Cluster with the older version of all Addons."""
    assert cluster.status is not None
    has = tuple(InstalledAddOn(name=f"addon-{n}", version="1.0.0", state="Ready") for n in range(ADD_ONS))
    return cluster.model_copy(update={"status": cluster.status.model_copy(update={"add_ons": has})})


def _subject(cluster: Cluster, releases: Sequence[Release], site: Site) -> Subject:
    return Subject.of(cluster, _running(cluster), releases, site, _calendar(cluster, site))


def _calendar(cluster: Cluster, site: Site) -> Calendar:
    return Calendar((cluster.spec.maintenance, site.spec.maintenance), cluster.metadata.uid or "")


@lru_cache(maxsize=64)
def _version(text: str) -> KubernetesVersion:
    return KubernetesVersion.parse(text)


def _running(cluster: Cluster) -> KubernetesVersion:
    return _version(cluster.metadata.labels["runs"])


def _stamp(days: int) -> str:
    return (NOW + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _releases() -> list[Release]:
    """A patch a month of each minor, a minor every four months; versions expire after a year, each has two images."""
    found = []
    for minor in MINORS:
        for patch in PATCHES:
            day = (minor - MINORS.stop + 2) * 120 + patch * 30 - 200
            channels = {"rapid": _stamp(day), "regular": _stamp(day + 14), "stable": _stamp(day + 40)}
            version = f"v1.{minor}.{patch}"
            spec = {"version": version, "image": version, "channels": channels, "expires": _stamp(day + 365)}
            later = {"rapid": _stamp(day + 50), "regular": _stamp(day + 64), "stable": _stamp(day + 90)}
            again = {**spec, "image": f"{version}-2", "channels": later}
            for name, made in ((version, spec), (f"{version}-2", again)):
                found.append(Release.model_validate({"kind": "Release", "metadata": {"name": name}, "spec": made}))
    return found


def _site() -> Site:
    spec = {"provider": "dev", "flavors": [{"name": "cpu"}]}
    return Site.model_validate({"apiVersion": API_VERSION, "kind": "Site", "metadata": {"name": "s"}, "spec": spec})


def _cluster(number: int) -> Cluster:
    """Half of them have a window of their own, in four zones at any hour of the week; a tenth are pinned.

    Each has an image that there is a newer one of, a third a class revision to come, all certificates that end.
    """
    minor, patch = MINORS[number % 3], PATCHES[number % len(PATCHES)]
    day = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")[number % 7]
    window = {
        "recurrence": f"FREQ=WEEKLY;BYDAY={day}",
        "start": f"{number % 24:02}:00",
        "durationMinutes": 240,
        "timeZone": ZONES[number % len(ZONES)],
    }
    pinned = number % 10 == 0
    spec = {
        "version": f"v1.{minor}.{patch}" if pinned else f"1.{minor}",
        "site": "s",
        "controlPlane": {"flavor": "cpu"},
        "updates": {
            "channel": ("Rapid", "Regular", "Stable")[number % 3],
            "kubernetes": "Patch" if pinned else "Minor",
        },
        "maintenance": {"windows": [window] if number % 2 else []},
    }
    meta = {"name": f"c-{number}", "namespace": "team", "uid": f"u-{number}", "labels": {"runs": f"v1.{minor}.{patch}"}}
    status = {
        "image": f"v1.{minor}.{patch}",
        "classRevision": f"kaas-dev-{number % 3}",
        "newestClassRevision": {"name": "kaas-dev-0", "since": _stamp(-(number % 30))},
        "controlPlane": {"replicas": 3, "ready": 3, "upToDate": 3, "certificatesEnd": _stamp(number % 365)},
    }
    found = {"apiVersion": API_VERSION, "kind": "Cluster", "metadata": meta, "spec": spec, "status": status}
    return Cluster.model_validate(found)

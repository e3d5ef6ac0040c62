"""What will happen to Clusters: gathered as data, and as a table for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from rich.table import Table
from rich.text import Text

from kaas.api.cluster import Cluster
from kaas.api.parsed import Unreadable
from kaas.api.release import Release
from kaas.api.rollout import Rollout
from kaas.api.site import Site
from kaas.api.update_status import PreflightFinding
from kaas.kube.objects import Object
from kaas.kube.times import stamp
from kaas.updates import layers
from kaas.updates.explain.facts import State
from kaas.updates.explain.view import View
from kaas.updates.explain.why import explain
from kaas.updates.facts import ROLLOUT_PENDING, Change, Decision, Event
from kaas.updates.forecast import forecast
from kaas.updates.ledger.advance import BY_HAND
from kaas.updates.planner import kept
from kaas.updates.rollouts.turns import Turns, unread_rollouts
from kaas.updates.standing import running_of
from kaas.updates.subject import NOT_KNOWN_ADD_ONS, AddOns, Subject
from kaas.updates.unread import unread_releases
from kaas.updates.unusable import INVALID, as_it_counts, decide

UPDATE, NOTHING = "Update", "Nothing"
HEADERS = ("WHEN", "UNTIL", "CLUSTER", "WHAT", "VERSION", "WHY NOT EARLIER")
_COLORS = {"Update": "green", "Warning": "yellow", "Expiry": "red"}
_CHANGES: Mapping[str, str] = {
    Change.PATCH: "patch",
    Change.MINOR: "minor",
    Change.IMAGE: "node image",
    Change.CLASS_REVISION: "class revision",
    Change.CERTIFICATES: "certificates",
    Change.ADD_ONS: "add-ons",
}
_MOMENT = "%Y-%m-%d %H:%M"


@dataclass(frozen=True)
class Row:
    """One thing that will happen to a Cluster, or that nothing will. uid: of the Cluster.

    kind: Update, Warning, Expiry or Nothing. at, until: None with Nothing. version: what it is about; with Nothing what
    runs. reason: why not earlier; with Nothing why not at all, as one word. what: of an update, what it brings, as
    v1.36.3 or a node image. changes: of an update, the largest first.
    """

    namespace: str
    cluster: str
    uid: str
    kind: str
    at: datetime | None
    until: datetime | None
    version: str
    message: str
    reason: str
    what: str = ""
    changes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; what is None is left out."""
        found = asdict(self) | {"at": stamp(self.at), "until": stamp(self.until)}
        found["changes"] = list(self.changes)
        left_out = {"uid", *(() if self.kind == UPDATE else ("what", "changes"))}
        return {k: v for k, v in found.items() if v is not None and k not in left_out}


@dataclass(frozen=True)
class Fleet:
    """What is forecast from. namespaces: those that could be read, by name. rollouts: as far as they could be.

    unread: Releases and Rollouts that are there beside these, and cannot be read. without: Clusters that cannot be.
    """

    clusters: Sequence[Cluster]
    sites: Mapping[str, Site]
    releases: Sequence[Release]
    namespaces: Mapping[str, Object]
    rollouts: Sequence[Rollout] = ()
    unread: Sequence[Unreadable] = ()
    without: Sequence[Unreadable] = ()
    addons: AddOns = NOT_KNOWN_ADD_ONS


def rows(fleet: Fleet, now: datetime, days: int) -> list[Row]:
    """What will happen, in order of time; then the Clusters to which nothing will."""
    turns = Turns(fleet.rollouts, unread_rollouts(fleet.unread))
    found = [row for cluster in fleet.clusters for row in _of_cluster(cluster, fleet, turns, now, days)]
    found += map(_unreadable, fleet.without)
    far = now + timedelta(days=days + 1)
    return sorted(found, key=lambda r: (r.at or far, r.namespace, r.cluster))


def _of_cluster(cluster: Cluster, fleet: Fleet, turns: Turns, now: datetime, days: int) -> list[Row]:
    site = fleet.sites.get(cluster.spec.site)
    if site is None:
        words = f"there is no Site {cluster.spec.site}, or it cannot be read"
        return [_nothing(cluster, cluster.spec.version, words, "SiteMissing")]
    namespace = fleet.namespaces.get(cluster.metadata.namespace or "")
    calendar, problem = layers.calendar(cluster, namespace, site)
    running = running_of(cluster)
    ruling, unread = turns.of(cluster, now), unread_releases(fleet.unread)
    subject = Subject.of(cluster, running, fleet.releases, site, calendar, ruling, unread).beside(fleet.addons)
    decision = decide(subject, now, problem)
    events = forecast(as_it_counts(subject, problem), now, days)
    shown = [*_foretold(subject, decision, events, now), *_as_it_stands(subject, decision, events, now, problem)]
    return shown or [_nothing(cluster, str(running or cluster.spec.version), decision.message, decision.reason)]


def _foretold(subject: Subject, decision: Decision, events: Sequence[Event], now: datetime) -> Iterator[Row]:
    """What is foretold, the next update with what its checks have found; and what waits for Rollouts beside that."""
    blocking = View(subject, decision, now).blocking
    first = next((e for e in events if e.kind == UPDATE), None)
    for event in events:
        yield _blocked(_of_event(subject.cluster, event), blocking if event is first else ())
    for why, what in kept(subject, now).items() if events else ():
        yield _nothing(subject.cluster, str(subject.running), f"{what} waits: {why}", ROLLOUT_PENDING)


def _as_it_stands(
    subject: Subject, decision: Decision, events: Sequence[Event], now: datetime, problem: str
) -> Iterator[Row]:
    """What no event says: how far the update under way is, where it does not go on, and what is wrong."""
    cluster, run, runs = subject.cluster, subject.standing.run, str(subject.running or subject.cluster.spec.version)
    if problem:
        yield _nothing(cluster, runs, decision.message if decision.reason == INVALID else problem, INVALID)
    if run is None or decision.target is None or decision.choice is not None:
        return
    found, until = explain(subject, now, problem), run.held.until if run.held else None
    if found.state is State.BLOCKED:
        yield _nothing(cluster, runs, found.answer, found.reason)
    elif run.by_person:
        yield _nothing(cluster, runs, f"the update to {run.aims.version} waits for a person: {run.by_person}", BY_HAND)
    elif not events or (found.state is State.WAITS and not any(e.kind == UPDATE and e.at == until for e in events)):
        going = found.state is State.UNDER_WAY
        yield _nothing(cluster, runs, found.answer, decision.reason if going else found.reason)


def _unreadable(found: Unreadable) -> Row:
    """A Cluster of which nothing can be foretold. What is said of it beside the message may be anything."""
    meta, spec = found.obj["metadata"], found.obj.get("spec")
    version = str(spec.get("version", "")) if isinstance(spec, dict) else ""
    name, uid = meta.get("namespace") or "", meta.get("uid") or ""
    return Row(name, found.name, uid, NOTHING, None, None, version, str(found), "Unreadable")


def _blocked(row: Row, blocking: Sequence[PreflightFinding]) -> Row:
    """An update with what its checks have found already that would keep it from being begun."""
    if not blocking:
        return row
    words = f"as it stands it will not begin: {'; '.join(f.message for f in blocking)}"
    return replace(row, reason="; ".join(filter(None, (row.reason, words))))


def _of_event(cluster: Cluster, event: Event) -> Row:
    row = _row(cluster, event.kind, (event.at, event.until), str(event.version), event.message, event.reason)
    return replace(row, what=event.what, changes=tuple(map(str, event.changes)))


def _nothing(cluster: Cluster, version: str, message: str, reason: str) -> Row:
    return _row(cluster, NOTHING, (None, None), version, message, reason)


def _row(
    cluster: Cluster, kind: str, times: tuple[datetime | None, datetime | None], version: str, message: str, reason: str
) -> Row:
    meta = cluster.metadata
    return Row(meta.namespace or "", meta.name, meta.uid or "", kind, *times, version, message, reason)


def table(shown: Sequence[Row], *, namespaces: bool) -> Table:
    """The table; `namespaces` puts them before the names."""
    found = Table(box=None, pad_edge=False, header_style="bold")
    for header in HEADERS:
        found.add_column(header, no_wrap=header != HEADERS[-1], overflow="fold")
    for row in shown:
        name = f"{row.namespace}/{row.cluster}" if namespaces else row.cluster
        when = (f"{row.at:{_MOMENT}} UTC", _until(row)) if row.at else ("", "")
        what = Text(_what(row), _COLORS.get(row.kind, "dim"))
        found.add_row(*map(Text, (*when, name)), what, *map(Text, (row.version, _why(row))))
    return found


def _what(row: Row) -> str:
    """The kind of it, of an update all that it changes."""
    changes = ", ".join(_CHANGES[c] for c in row.changes)
    return changes[:1].upper() + changes[1:] or row.kind


def _until(row: Row) -> str:
    if row.at is None or row.until is None or row.until == row.at:
        return ""
    same_day = row.until.date() == row.at.date()
    return f"{row.until:%H:%M}" if same_day else f"{row.until:{_MOMENT}}"


def _why(row: Row) -> str:
    if row.kind == NOTHING:
        return f"{row.reason}: {row.message}"
    return row.reason or row.message

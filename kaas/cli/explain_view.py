"""Why a Cluster has not been updated: gathered as data, and as text for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from kaas.api.cluster import Cluster
from kaas.api.release import Release
from kaas.api.rollout import Rollout
from kaas.api.site import Site
from kaas.cli.tree import MARKS
from kaas.cli.view import Mark
from kaas.kube.objects import Object
from kaas.kube.times import stamp
from kaas.updates import layers
from kaas.updates.explain.facts import Because, Coming, Explanation, State, Way
from kaas.updates.explain.why import explain
from kaas.updates.planner import Subject
from kaas.updates.rollouts.turns import turn_of
from kaas.updates.standing import running_of

_MARK_OF = {
    State.CURRENT: Mark.WELL,
    State.UNDER_WAY: Mark.MOVING,
    State.WAITS: Mark.MOVING,
    State.BLOCKED: Mark.SICK,
    State.UNKNOWN: Mark.SICK,
}
_WORDS = {
    State.CURRENT: "is current",
    State.UNDER_WAY: "is being updated",
    State.WAITS: "waits",
    State.BLOCKED: "is not updated until a person acts",
    State.UNKNOWN: "has not been looked at",
}


@dataclass(frozen=True)
class Asked:
    """What is explained from. site: None when there is none, or it cannot be read; namespace: the same."""

    cluster: Cluster
    site: Site | None
    namespace: Object | None
    releases: Sequence[Release]
    rollouts: Sequence[Rollout]


def explained(asked: Asked, now: datetime) -> Explanation:
    """The explanation of what is there now."""
    cluster, site = asked.cluster, asked.site
    running = running_of(cluster)
    if site is None:
        words = f"there is no Site {cluster.spec.site}, or it cannot be read: nothing of the Cluster is looked at"
        way = Way("see which Sites there are", "kubectl get sites.kaas.internal")
        runs = str(running) if running else None
        return Explanation(State.BLOCKED, "SiteMissing", "SiteMissing", runs, None, words, ways=(way,))
    calendar, problem = layers.calendar(cluster, asked.namespace, site)
    turn = turn_of(asked.rollouts, cluster, now)
    subject = Subject.of(cluster, running, asked.releases, site, calendar, turn)
    return explain(subject, now, problem)


def to_json(cluster: Cluster, found: Explanation) -> dict[str, Any]:
    """Plain JSON; what is not known is left out."""
    meta = cluster.metadata
    said = {
        "namespace": meta.namespace,
        "cluster": meta.name,
        "state": str(found.state),
        "reason": found.reason,
        "decided": found.decided,
        "running": found.running,
        "version": found.version,
        "answer": found.answer,
        "because": [{"reason": b.reason, "message": b.message} for b in found.because],
        "coming": [_known({"at": stamp(c.at), "message": c.message}) for c in found.coming],
        "ways": [_known({"message": w.message, "command": w.command or None}) for w in found.ways],
    }
    return _known(said)


def _known(said: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in said.items() if v is not None}


def shown(cluster: Cluster, found: Explanation) -> RenderableType:
    """The answer in one line, the chain of reasons, what happens next, and what a person can do."""
    return Group(
        _title(cluster, found),
        *_section("why", map(_because, found.because)),
        *_section("next", map(_coming, found.coming)),
        *_section("you can", _ways(found.ways)),
    )


def _title(cluster: Cluster, found: Explanation) -> Text:
    sign, color = MARKS[_MARK_OF[found.state]]
    title = Text.assemble((sign, color), " ", (f"{cluster.metadata.namespace}/{cluster.metadata.name}", "bold"))
    title.append(f"  {found.running or 'nothing runs'}", "dim")
    title.append(f" → {found.version}" if found.version and found.version != found.running else "", "dim")
    title.append(f"  {_WORDS[found.state]}", color)
    return title.append(f"\n  {found.reason}: {found.answer}", color)


def _section(name: str, lines: Iterable[Text]) -> list[Text]:
    found = list(lines)
    return [Text(name, "bold"), *found] if found else []


def _because(link: Because) -> Text:
    return Text.assemble("  ", (link.reason, "yellow"), f"  {link.message}")


def _coming(event: Coming) -> Text:
    when = f"{event.at:%Y-%m-%d %H:%M} UTC" if event.at else "time not known"
    return Text.assemble("  ", (when, "cyan" if event.at else "dim"), f"  {event.message}")


def _ways(ways: Iterable[Way]) -> Iterator[Text]:
    for way in ways:
        yield Text(f"  {way.message}")
        if way.command:
            yield Text(f"      {way.command}", "green")

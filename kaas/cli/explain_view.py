"""Why a Cluster has not been updated: gathered as data, and as text for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kaas.api.cluster import Cluster
from kaas.api.parsed import Unreadable
from kaas.api.release import Release
from kaas.api.rollout import Rollout
from kaas.api.site import Site
from kaas.cli import rollout_choice
from kaas.cli.tree import MARKS
from kaas.cli.view import Mark
from kaas.kube.objects import Object
from kaas.kube.times import stamp
from kaas.updates import layers
from kaas.updates.explain.facts import Because, Coming, Explanation, State, Way
from kaas.updates.explain.why import explain
from kaas.updates.facts import ROLLOUT_PENDING
from kaas.updates.rollouts.turns import ruling_of, unread_rollouts
from kaas.updates.standing import running_of
from kaas.updates.subject import NOT_KNOWN_ADD_ONS, AddOns, Subject
from kaas.updates.unread import unread_releases

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
    """What is explained from. site: None when there is none, or it cannot be read; namespace: the same.

    unread: Releases and Rollouts that are there beside these, and cannot be read.
    """

    cluster: Cluster
    site: Site | None
    namespace: Object | None
    releases: Sequence[Release]
    rollouts: Sequence[Rollout]
    unread: Sequence[Unreadable] = ()
    addons: AddOns = NOT_KNOWN_ADD_ONS


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
    ruling = ruling_of(asked.rollouts, cluster, now, unread_rollouts(asked.unread))
    subject = Subject.of(cluster, running, asked.releases, site, calendar, ruling, unread_releases(asked.unread))
    subject = subject.beside(asked.addons)
    found = explain(subject, now, problem)
    return _with_approvals(found, asked, found.rollout) if found.reason == ROLLOUT_PENDING and found.rollout else found


def _with_approvals(found: Explanation, asked: Asked, rollout: str) -> Explanation:
    """When its Rollout waits for an approval, a person has to act, and can be told how."""
    gates = [g for r in asked.rollouts if r.metadata.name == rollout for g in rollout_choice.waiting(r)]
    ways = (Way(f"approve {gate}", f"kaas rollout approve {rollout} {gate} --reason '<reason>'") for gate in gates)
    return replace(found, state=State.BLOCKED, ways=(*ways, *found.ways)) if gates else found


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
        _answer(found),
        *_section("why", map(_because, found.because)),
        *_section("next", map(_coming, found.coming)),
        *_section("you can", map(_way, found.ways)),
    )


def _title(cluster: Cluster, found: Explanation) -> Text:
    sign, color = MARKS[_MARK_OF[found.state]]
    title = Text.assemble((sign, color), " ", (f"{cluster.metadata.namespace}/{cluster.metadata.name}", "bold"))
    title.append(f"  {found.running or 'nothing runs'}", "dim")
    title.append(f" → {found.version}" if found.version and found.version != found.running else "", "dim")
    title.append(f"  {_WORDS[found.state]}", color)
    return title


def _answer(found: Explanation) -> Padding:
    return Padding(Text(f"{found.reason}: {found.answer}", MARKS[_MARK_OF[found.state]][1]), (0, 0, 0, 2), expand=False)


def _section(name: str, rows: Iterable[tuple[Text, ...]]) -> list[RenderableType]:
    """A heading and what stands below it, in columns that stay apart when a line is too long for the terminal."""
    cells = list(rows)
    if not cells:
        return []
    grid = Table.grid(padding=(0, 2))
    for number in range(len(cells[0]) + 1):
        grid.add_column(no_wrap=number < len(cells[0]), overflow="fold")
    for row in cells:
        grid.add_row(Text(), *row)
    return [Text(name, "bold"), grid]


def _because(link: Because) -> tuple[Text, ...]:
    return Text(link.reason, "yellow"), Text(link.message)


def _coming(event: Coming) -> tuple[Text, ...]:
    when = f"{event.at:%Y-%m-%d %H:%M} UTC" if event.at else "time not known"
    return Text(when, "cyan" if event.at else "dim"), Text(event.message)


def _way(way: Way) -> tuple[Text, ...]:
    """A command stands on a line of its own, to be copied."""
    return (Text(way.message).append(f"\n  {way.command}" if way.command else "", "green"),)

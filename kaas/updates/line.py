"""Who may begin an update at a Site now: what was decided of each Cluster, against how many may be updated at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kaas.api.versions import KubernetesVersion
from kaas.kube import resources
from kaas.kube.objects import Object, name_of, uid
from kaas.kube.ports import Source
from kaas.kube.times import at
from kaas.updates.facts import Choice, Decision
from kaas.updates.kinds import RENEW_AT_LATEST, what
from kaas.updates.metrics import UpdateMetrics
from kaas.updates.places import AGAIN, SITE_BUSY, Full, Key, Places, Rank, rank
from kaas.updates.planner import UPDATING, moment, next_opening
from kaas.updates.subject import Subject


class Line:
    """The Clusters of each Site that wait for each other. A new controller reads in the statuses how it stood."""

    def __init__(self, store: Source, metrics: UpdateMetrics) -> None:
        self._store, self._metrics, self._places = store, metrics, Places()
        self._read: set[str] = set()

    def admit(self, key: Key, subject: Subject, decision: Decision, now: datetime) -> Decision:
        """The decision as it is; or, of one that would begin an update, that it waits for its place."""
        site, choice, limit = subject.site.metadata.name, decision.choice, subject.site.spec.updates.max_concurrent
        if choice is None or decision.target is None or not _may_wait(subject, decision, choice, now):
            return decision
        self._read_once(site, subject, now)
        closes = _window_closes(subject, choice, now)
        mine = _rank(subject, subject.running, closes, subject.cluster.metadata.uid, now)
        full = self._places.ask(key, site, limit, mine, now)
        if full is None:
            return decision
        words = f"{what(choice)} waits: {_words(site, limit, full)}"
        if decision.until is not None:
            words += f", until the window closes {moment(decision.until)}"
        return Decision(None, choice, SITE_BUSY, words, min(now + AGAIN, decision.until or now + AGAIN))

    def seen(self, key: Key, subject: Subject, update: Mapping[str, Any], now: datetime) -> None:
        """What is said of a Cluster now."""
        site = subject.site.metadata.name
        closes = _closes(update)
        mine = _rank(subject, subject.running, closes, subject.cluster.metadata.uid, now)
        self._places.seen(key, site, update, mine, now)
        self._metrics.at_site(site, self._places.busy(site))

    def forget(self, key: Key) -> None:
        """The Cluster is gone."""
        self._places.forget(key)

    def _read_once(self, site: str, subject: Subject, now: datetime) -> None:
        """Before anybody is let go, all Clusters of the Site count as their statuses tell."""
        if site in self._read:
            return
        self._read.add(site)
        for raw in self._store.list(resources.CLUSTER):
            if raw["spec"].get("site") == site and not self._places.knows(name_of(raw)):
                self._read_status(raw, subject, now)

    def _read_status(self, raw: Object, subject: Subject, now: datetime) -> None:
        status = raw.get("status") or {}
        update = status.get("update") or {}
        running = KubernetesVersion.known(status.get("version"))
        mine = _rank(subject, running, _closes(update), uid(raw), now)
        self._places.seen(name_of(raw), subject.site.metadata.name, update, mine, now)


def _may_wait(subject: Subject, decision: Decision, choice: Choice, now: datetime) -> bool:
    """Whether it can be put off. A Rollout has limits of its own, and says whose turn it is."""
    ends = subject.present.certificates_end
    if decision.reason != UPDATING or choice.forced or (ends is not None and ends - now <= RENEW_AT_LATEST):
        return False
    changes = choice.aims.changes if choice.aims else (choice.change,)
    return not any(turn.allowed for change in changes if (turn := subject.ruling.of(change)) is not None)


def _rank(
    subject: Subject, running: KubernetesVersion | None, closes: datetime | None, cluster: str | None, now: datetime
) -> Rank:
    return rank(subject.catalogue.ends(running, now), closes, cluster or "")


def _window_closes(subject: Subject, choice: Choice, now: datetime) -> datetime | None:
    """When the open window closes: as it was said before, else as the calendar has it."""
    update = subject.cluster.status.update if subject.cluster.status else None
    said = update.next_maintenance if update else None
    if said is not None and said.start <= now < said.end:
        return said.end
    opening = next_opening(subject.calendar, choice.change, now)
    return opening.end if opening else None


def _closes(update: Mapping[str, Any]) -> datetime | None:
    found = update.get("nextMaintenance")
    return at(found["end"]) if found else None


def _words(site: str, limit: int | str, full: Full) -> str:
    share = f"{limit}: {full.most} of {full.there}" if isinstance(limit, str) else str(limit)
    often = f"it is looked at again every {AGAIN.seconds // 60} minutes"
    return f"no more Clusters of Site {site} are updated at once (its spec.updates.maxConcurrent, {share}); {often}"

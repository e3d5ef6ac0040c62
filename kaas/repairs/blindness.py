"""Blindness is not sickness: whether what is known of a cluster's nodes, or of a cloud, can be believed. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from kaas.repairs.actions import TAKES_DOWN
from kaas.repairs.facts import ClusterFacts, ClusterKey, Finding, Patient, Sight, SiteFacts

COOL_DOWN: Final = timedelta(seconds=60)
"""Pause after sight is clear again, before anything that was wrong begins to count anew."""

SILENT_PERCENT: Final = 30
SILENT_NODES: Final = 3
"""So many nodes of a cluster, both in percent and in number, whose heartbeats are missed at once, are not the nodes.

Gardener's dependency-watchdog stops at 60 % of the leases; maximum caution costs only time, so half of that here.
"""

LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
"""Since when something is seen of which it is not known that it ever was not."""


def look(previous: Sight | None, api: Sight, silent: int, size: int, now: datetime) -> Sight:
    """The sight of a cluster after one look; the caller keeps it and gives it back at the next look.

    previous: None at the first look, after which clocks are believed: what they are read from outlives this process.
    silent: nodes not heard of, by `count_silent`. size: the cluster's machines. For a Site both are 0.
    """
    problem = _problem(api, silent, size)
    if previous is None:
        return Sight(not problem, now if problem else LONG_AGO, problem, bool(problem) and api.clear)
    if not problem:
        return previous if previous.clear else Sight(True, now, "", previous.heartbeats)
    return Sight(False, now if previous.clear else previous.since, problem, api.clear)


def _problem(api: Sight, silent: int, size: int) -> str:
    if not api.clear:
        return api.problem or "it does not answer"
    if silent >= SILENT_NODES and silent * 100 >= SILENT_PERCENT * size:
        return f"the heartbeats of {silent} of {size} nodes stopped together"
    return ""


def count_silent(patients: Iterable[Patient]) -> Counter[ClusterKey]:
    """Nodes by cluster of which nothing is heard, without those that a repair took down or a person keeps."""
    return Counter(p.machine.cluster for p in patients if _unexpectedly_silent(p))


def _unexpectedly_silent(patient: Patient) -> bool:
    return any(f.silent for f in patient.findings) and not taken_out(patient)


def taken_out(patient: Patient) -> bool:
    """Whether the repair itself has the node down, or it is quarantined: then its silence says nothing of others."""
    progress = patient.progress
    return progress is not None and (progress.action in TAKES_DOWN or progress.quarantined is not None)


def heartbeats_incident(key: ClusterKey) -> str:
    """The name under which a person confirms that the silent nodes of a cluster are to be repaired."""
    return f"heartbeats/{key[0]}/{key[1]}"


def believed(cluster: ClusterFacts, site: SiteFacts, now: datetime) -> Sight:
    """The cluster's sight as it counts: a person who confirms that the silent nodes are down lifts that blindness."""
    sight = cluster.sight
    if sight.heartbeats:
        until = site.confirmed.get(heartbeats_incident(cluster.key))
        if until is not None and now < until:
            return Sight(True, LONG_AGO)
    return sight


def counts_from(seen: datetime, since: datetime) -> datetime:
    """When the clock of something that began at `since` starts. seen: since when sight is clear."""
    return max(since, seen + COOL_DOWN)


def due(finding: Finding, seen: datetime) -> datetime:
    """When a finding has lasted too long: it is tolerated for as long anew after blindness, but not what is asked."""
    if finding.asked:
        return finding.due
    start = counts_from(seen, finding.since)
    return finding.due if start is finding.since else start + (finding.due - finding.since)

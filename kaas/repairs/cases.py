"""A patient with all that it shares with others: its pool, Cluster and Site, and how far its clocks are. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from kaas.api.repair import Action, Mode, RepairPolicy, strictest
from kaas.repairs.actions import MENDING, RANK
from kaas.repairs.blindness import believed, due
from kaas.repairs.budget import Ledger, Scopes
from kaas.repairs.climbing import asked_for, in_flight, quarantined
from kaas.repairs.facts import ClusterFacts, Finding, Fleet, MachineView, Patient, PoolFacts, Sight, SiteFacts
from kaas.repairs.incidents import places


@dataclass(slots=True)
class Place:
    """What the nodes of one pool in one zone share. mode: the strictest that counts here. sight: as it counts."""

    pool: PoolFacts
    cluster: ClusterFacts
    site: SiteFacts
    scopes: Scopes
    mode: Mode
    sight: Sight
    notes: dict[str, str] = field(default_factory=dict)
    """Messages that are the same for all, made once."""


@dataclass(slots=True)
class Case:
    """One patient of this round.

    findings: what is wrong, without requests that were served; those that named no step have one here. due: what is
    wrong for too long. due_at: when the first is. seen: since when its cluster is seen, for the clocks.
    in_flight: a disruptive step of it has begun.
    """

    patient: Patient
    place: Place
    findings: tuple[Finding, ...]
    due: tuple[Finding, ...]
    due_at: datetime
    seen: datetime
    in_flight: bool

    @property
    def quarantined(self) -> bool:
        """Whether it is kept for a person."""
        return quarantined(self.patient)

    @property
    def only_asked(self) -> bool:
        """Whether a person asks, and nothing else is wrong."""
        return bool(self.findings) and all(f.asked for f in self.findings)

    @property
    def asked(self) -> bool:
        """Whether a person asks."""
        return any(f.asked for f in self.due)

    @property
    def sick(self) -> bool:
        """Whether it counts against `maxUnhealthy`.

        What is tolerated does not, but a silent node does from the beginning: a stampede begins with silence. A node
        under repair does while something is wrong, a quarantined one always; a person's request is no sickness.
        """
        if self.quarantined:
            return True
        return any(not f.asked for f in (self.findings if self.in_flight else self.due)) or any(
            f.silent for f in self.findings
        )

    @property
    def urgency(self) -> tuple[int, bool, datetime, tuple[str, str]]:
        """Sort key: what is in flight, what a person asks for, then what is due longest; masters before workers."""
        machine = self.patient.machine
        kind = 0 if self.in_flight else 1 if self.asked else 2
        return kind, not machine.control_plane, self.due_at, machine.key


def _wanted(patient: Patient, policy: RepairPolicy) -> tuple[Finding, ...]:
    """What is wrong, and of what people ask for what was not done in this repair. A request without a step gets one."""
    return tuple(f for f in (_with_step(f, patient, policy) for f in patient.findings) if not _served(f, patient))


def _with_step(finding: Finding, patient: Patient, policy: RepairPolicy) -> Finding:
    """A request that names no step with the one that it means; `anyhow` then, so that any such step serves it."""
    if not finding.asked or finding.entry is not Action.WAIT:
        return finding
    return replace(finding, entry=asked_for(policy, patient), anyhow=True)


def _served(finding: Finding, patient: Patient) -> bool:
    """Whether what a person asks for was done in this repair."""
    progress = patient.progress
    if not finding.asked or progress is None or progress.action is None or progress.acted is None or progress.failed:
        return False
    return RANK[progress.action] >= RANK[finding.entry] or (finding.anyhow and progress.action in MENDING)


class Register:
    """Makes the cases of one round."""

    def __init__(self, fleet: Fleet, ledger: Ledger, now: datetime) -> None:
        self._fleet, self._ledger, self._now = fleet, ledger, now
        self._places: dict[tuple[tuple[str, str, str], str], Place] = {}

    def case(self, patient: Patient) -> Case | None:
        """The case of a patient, counted in its scopes; None when its pool, Cluster or Site is not known."""
        place = self._place(patient.machine)
        if place is None:
            return None
        case = self._case(patient, place)
        sick = case.sick
        for scope in place.scopes:
            scope.sick += sick
            if case.in_flight:
                scope.take(patient.machine)
        return case

    def _case(self, patient: Patient, place: Place) -> Case:
        now, sight, cloud = self._now, place.sight, place.site.sight
        seen = _seen(patient, sight.since, place.site.ended)
        findings = patient.findings
        if any(f.asked for f in findings):
            findings = _wanted(patient, place.pool.policy)
        counted = findings if cloud.clear else tuple(f for f in findings if not f.cloud)
        times = [due(f, max(seen, cloud.since) if f.cloud else seen) for f in counted]
        late = tuple(f for f, t in zip(counted, times, strict=True) if t <= now)
        return Case(patient, place, findings, late, min(times, default=now), seen, in_flight(patient))

    def _place(self, machine: MachineView) -> Place | None:
        key = (machine.pool, machine.zone)
        found = self._places.get(key)
        if found is None:
            fleet = self._fleet
            pool, cluster = fleet.pools.get(machine.pool), fleet.clusters.get(machine.cluster)
            site = fleet.sites.get(machine.site)
            if pool is None or cluster is None or site is None:
                return None
            mode = strictest(fleet.mode, site.mode, pool.policy.mode)
            sight = believed(cluster, site, self._now)
            found = self._places[key] = Place(pool, cluster, site, self._ledger.of(machine), mode, sight)
        return found


def _seen(patient: Patient, since: datetime, ended: Mapping[str, datetime]) -> datetime:
    """Since when the node's clocks may run: its cluster is seen, and no incident of its zone or hypervisor goes on."""
    return max([since, *(ended[name] for name in places(patient) if name in ended)]) if ended else since

"""What holds a step back although it is due: each gate says why, with the numbers and the way out. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from kaas.api.repair import Action, Mode
from kaas.repairs.actions import DISRUPTIVE, NEEDS_CLOUD
from kaas.repairs.blindness import heartbeats_incident
from kaas.repairs.budget import Scope
from kaas.repairs.cases import Case, Place
from kaas.repairs.climbing import Rung
from kaas.repairs.decisions import Breaker
from kaas.repairs.facts import ClusterKey, Fleet, NodeKey, PoolKey
from kaas.repairs.incidents import Incidents, confirmed, places
from kaas.repairs.quorum import Objection, objection
from kaas.repairs.reasons import Reason


class Gates:
    """The gates of one round. They are asked in the order in which a person would want to hear of them."""

    def __init__(self, fleet: Fleet, incidents: Incidents, hopeless: dict[PoolKey, Breaker], now: datetime) -> None:
        self._sites = fleet.sites
        self._incidents = {k: i for k, i in incidents.items() if not confirmed(i, fleet.sites[i.site], now)}
        self._hopeless = hopeless
        self._masters: dict[ClusterKey, NodeKey] = {}  # of each control plane the node that is under repair

    def count(self, case: Case) -> None:
        """Take note of a node that is, or from now on will be, under repair."""
        machine = case.patient.machine
        if machine.control_plane:
            self._masters.setdefault(machine.cluster, machine.key)

    def closed(self, case: Case, rung: Rung) -> Objection | None:
        """The first gate that is closed to a step, None when it may begin."""
        return next(self._closed(case, rung), None)

    def _closed(self, case: Case, rung: Rung) -> Iterator[Objection]:
        yield from _stopped(case, rung)
        if rung.action in DISRUPTIVE:
            yield from self._unseen(case, rung.action)
        if against := objection(case.patient, case.place.cluster, rung.action, self._busy_master(case)):
            yield against
        if not case.asked:
            yield from self._breakers(case)
        if rung.action in DISRUPTIVE and not case.in_flight:
            yield from ((Reason.BUDGET_SPENT, _spent(case.place, s)) for s in case.place.scopes if s.full)
        if case.place.mode is Mode.DRY_RUN:
            yield (
                Reason.DRY_RUN,
                f"would begin {rung.action} because of {rung.cause}; mode Automatic has it done",
            )

    def _unseen(self, case: Case, action: Action) -> Iterator[Objection]:
        """What cannot be seen, or happens to many. A drain waits too: what would come after it does."""
        site, patient = case.place.site, case.patient
        if not site.sight.clear and (action in NEEDS_CLOUD or action is Action.DRAIN):
            yield Reason.BLIND_TO_CLOUD, f"the cloud of Site {site.name} cannot be seen: {site.sight.problem}"
        for name in places(patient) if self._incidents else ():
            incident = self._incidents.get((site.name, name))
            if incident is not None:
                yield incident.reason, incident.message

    def _busy_master(self, case: Case) -> str:
        machine = case.patient.machine
        if not machine.control_plane:
            return ""
        other = self._masters.get(machine.cluster)
        return other[1] if other is not None and other != machine.key else ""

    def _breakers(self, case: Case) -> Iterator[Objection]:
        breaker = self._hopeless.get(case.patient.machine.pool)
        if breaker is not None:
            yield Reason.REPLACEMENTS_DO_NOT_HELP, breaker.message
        for scope in case.place.scopes:
            if scope.open:
                yield Reason.TOO_MANY_SICK, _too_many(case.place, scope)


def _stopped(case: Case, rung: Rung) -> Iterator[Objection]:
    """What people or an update have said."""
    machine, place = case.patient.machine, case.place
    if machine.skip:
        yield Reason.MACHINE_SKIPPED, "the Machine is paused or says cluster.x-k8s.io/skip-remediation; take that away"
    for where, why in (("the pool", place.pool.paused), (f"Site {place.site.name}", place.site.paused)):
        if why:
            yield Reason.PAUSED, f"repairs of {where} are paused ({why}); go on with: kaas repair resume"
    if _goes_on_while_held(case, rung):
        return
    if place.pool.updating:
        yield Reason.UPDATE_UNDER_WAY, f"the pool is being updated: {place.pool.updating}; repairs go on after that"
    if machine.outdated:
        yield Reason.MACHINE_OUTDATED, "an update replaces the Machine"


def _goes_on_while_held(case: Case, rung: Rung) -> bool:
    """Whether an update that is held in the middle of the pool, for a week perhaps, does not mind what is done.

    It minds a replacement, which would be one of its own, or of the old kind that Cluster API does not make any more;
    and whatever is done to a machine that it has made and that has not joined.
    """
    return case.place.pool.held and case.patient.machine.node is not None and rung.action is not Action.REPLACE


def _spent(place: Place, scope: Scope) -> str:
    """One text for all who wait for the same; made anew when the count has changed."""
    key = f"spent {scope.name} {scope.in_flight}"
    if key not in place.notes:
        place.notes[key] = scope.spent()
    return place.notes[key]


def _too_many(place: Place, scope: Scope) -> str:
    if scope.name not in place.notes:
        place.notes[scope.name] = scope.too_many()
    return place.notes[scope.name]


def away(case: Case) -> Objection | None:
    """Why a node is not even judged: its Cluster is away, its Machine goes, or nothing is seen of it.

    While only heartbeats are missed, a node that is well again may be said to be healed.
    """
    cluster, sight = case.place.cluster, case.place.sight
    if cluster.away:
        return Reason.CLUSTER_AWAY, f"{cluster.away}; its nodes are repaired when it is back"
    if not sight.clear and not sight.heartbeats:
        return Reason.BLIND_TO_CLUSTER, f"the API server of {cluster.key[1]} cannot be seen: {sight.problem}"
    if not sight.clear and (case.findings or case.patient.progress is None):
        confirm = f"kaas repair confirm --site {cluster.site} {heartbeats_incident(cluster.key)}"
        message = f"{sight.problem}; nothing is done until fewer are missed, or a person confirms: {confirm}"
        return Reason.BLIND_TO_HEARTBEATS, message
    if case.patient.machine.deleting:
        return Reason.MACHINE_DELETING, "the Machine is being deleted already"
    return None

"""What must hold of every plan, found out anew from the fleet, without asking the planner's own modules."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from kaas.api.repair import Action, Limits, Mode, NumberOrPercent
from kaas.repairs.decisions import Act, Finish, Plan
from kaas.repairs.facts import Fleet, MachineView, NodeKey, Patient

HARD = frozenset(Action) - {Action.WAIT, Action.RESTART_DEVICE_PLUGIN}
HARMLESS_TO_ETCD = frozenset({Action.WAIT, Action.RESTART_DEVICE_PLUGIN, Action.QUARANTINE})
KEEPS_DISK = frozenset({Action.DRAIN, Action.SOFT_REBOOT, Action.HARD_REBOOT, Action.POWER_CYCLE})
IN_FLIGHT: dict[str, NumberOrPercent] = {"pool": 1, "cluster": 3, "zone": 5, "site": 10, "fleet": 20}


def check(fleet: Fleet, plan: Plan, now: datetime) -> None:
    """All of it."""
    acts = [d for d in plan.decisions if isinstance(d, Act)]
    everyone_is_told_of(fleet, plan, now)
    budgets_hold(fleet, acts)
    masters_are_safe(fleet, acts)
    for act in acts:
        patient = fleet.patients[act.node]
        it_may_begin(fleet, plan, patient, act, now)
        no_rung_is_skipped_without_a_cause(fleet, patient, act)
        it_can_help(fleet, patient, act, now)


def everyone_is_told_of(fleet: Fleet, plan: Plan, now: datetime) -> None:
    """One decision a patient; whatever is not done has a reason, and a time that is yet to come."""
    told = Counter(d.node for d in plan.decisions)
    assert set(told) == {k for k, p in fleet.patients.items() if p.progress or _mode(fleet, p) is not Mode.OFF}
    assert not told or max(told.values()) == 1
    for decision in plan.decisions:
        if not isinstance(decision, Act | Finish):
            assert decision.until > now
            assert decision.message
            assert plan.look_again is not None
            assert plan.look_again <= decision.until
        if isinstance(decision, Finish) and decision.healed:
            assert not [f for f in fleet.patients[decision.node].findings if not f.asked]
        if isinstance(decision, Finish):
            it_may_end(fleet, fleet.patients[decision.node], decision)


def it_may_end(fleet: Fleet, patient: Patient, finish: Finish) -> None:
    """No node is let go in the middle of what cannot be taken back, or for a drain when a person asks for more."""
    progress = patient.progress
    assert progress is not None
    assert progress.quarantined is None
    if _mode(fleet, patient) is Mode.OFF:
        assert progress.action not in HARD - {Action.DRAIN} or progress.acted or progress.failed
    elif not finish.healed:
        assert progress.failed or progress.action not in (Action.WAIT, Action.RESTART_DEVICE_PLUGIN)
    asked = [f for f in patient.findings if f.asked and f.entry is Action.WAIT]
    if asked and finish.healed:
        assert progress.action in HARD - {Action.DRAIN}


def budgets_hold(fleet: Fleet, acts: list[Act]) -> None:
    """In no scope that something newly enters more is in flight than its limit."""
    flying = [p.machine for p in fleet.patients.values() if flies(p)]
    before = {m.key for m in flying}
    new = [fleet.patients[a.node].machine for a in acts if a.action in HARD and a.node not in before]
    count = Counter(s for m in (*flying, *new) for s in scopes(m))
    for machine in new:
        for scope in scopes(machine):
            assert count[scope] <= most(fleet, machine, scope[0]), f"{scope}: {count[scope]}"


def flies(patient: Patient) -> bool:
    """Whether its users feel the repair."""
    progress = patient.progress
    return progress is not None and progress.action in HARD and progress.quarantined is None


def scopes(machine: MachineView) -> list[tuple[str, object]]:
    """Everything that has a budget and the machine is in."""
    zone = (machine.site, machine.zone)
    of = {"pool": machine.pool, "cluster": machine.cluster, "zone": zone, "site": machine.site, "fleet": ""}
    return list(of.items())


def most(fleet: Fleet, machine: MachineView, kind: str) -> int:
    """The limit of a scope in nodes."""
    pool, cluster, site = fleet.pools[machine.pool], fleet.clusters[machine.cluster], fleet.sites[machine.site]
    said: dict[str, tuple[Limits, int]] = {
        "pool": (pool.policy.limits, pool.size),
        "cluster": (cluster.limits, cluster.size),
        "zone": (site.zone_limits, site.zones[machine.zone]),
        "site": (site.limits, site.size),
        "fleet": (fleet.limits, sum(s.size for s in fleet.sites.values())),
    }
    limits, size = said[kind]
    limit = limits.max_in_flight if limits.max_in_flight is not None else IN_FLIGHT[kind]
    return limit if isinstance(limit, int) else max(1, int(size * float(limit[:-1]) / 100))


def masters_are_safe(fleet: Fleet, acts: list[Act]) -> None:
    """Never two at once, never below the quorum, never the last; a single one only when it does not work anyway."""
    busy: dict[object, set[NodeKey]] = {}
    for patient in fleet.patients.values():
        if patient.machine.control_plane and flies(patient):
            busy.setdefault(patient.machine.cluster, set()).add(patient.machine.key)
    for act in acts:
        patient = fleet.patients[act.node]
        if patient.machine.control_plane and act.action in HARD:
            busy.setdefault(patient.machine.cluster, set()).add(act.node)
            if act.action not in HARMLESS_TO_ETCD:
                _quorum_is_kept(fleet, patient, act)
    assert all(len(nodes) == 1 for nodes in busy.values())


def _quorum_is_kept(fleet: Fleet, patient: Patient, act: Act) -> None:
    cluster = fleet.clusters[patient.machine.cluster]
    if cluster.masters == 1:
        assert not patient.machine.etcd_healthy
        assert act.action in KEEPS_DISK
    else:
        assert cluster.healthy_masters >= cluster.masters // 2 + 1


def it_may_begin(fleet: Fleet, plan: Plan, patient: Patient, act: Act, now: datetime) -> None:
    """Something is wrong for too long, everything is seen, and nobody and nothing has said to wait."""
    machine = patient.machine
    pool, cluster, site = fleet.pools[machine.pool], fleet.clusters[machine.cluster], fleet.sites[machine.site]
    due = [f for f in patient.findings if f.due <= now]
    assert due, "nothing is wrong with it"
    assert _mode(fleet, patient) is Mode.AUTOMATIC
    assert not any((cluster.away, pool.paused, site.paused))
    assert not any((machine.skip, machine.deleting))
    assert not (pool.updating or machine.outdated) or (pool.held and act.action is not Action.REPLACE)
    assert machine.control_plane or not cluster.control_plane
    assert patient.progress is None or patient.progress.quarantined is None
    assert pool.policy.steps[act.step].action is act.action
    asked = any(f.asked for f in due)
    assert asked or not any(_is_of(b.scope, machine) for b in plan.breakers)
    _it_is_seen(fleet, patient, act, now, asked=asked)


def _it_is_seen(fleet: Fleet, patient: Patient, act: Act, now: datetime, *, asked: bool) -> None:
    cluster, site = fleet.clusters[patient.machine.cluster], fleet.sites[patient.machine.site]
    sight, minute = cluster.sight, timedelta(seconds=60)
    until = site.confirmed.get(f"heartbeats/{cluster.key[0]}/{cluster.key[1]}")
    lifted = sight.heartbeats and until is not None and now < until
    assert sight.clear or lifted
    assert site.sight.clear or act.action in HARMLESS_TO_ETCD
    if not asked and not lifted and patient.progress is None:
        assert now - minute >= sight.since
    if act.action in HARD:
        _no_zone_is_down(fleet, patient, now)


def _no_zone_is_down(fleet: Fleet, patient: Patient, now: datetime) -> None:
    zone, site = patient.machine.zone, fleet.sites[patient.machine.site]
    down = [p for p in fleet.patients.values() if p.machine.zone == zone and _fell(p)]
    if not zone or not down or site.confirmed.get(f"zone/{zone}", now) > now:
        return
    since = [min(f.since for f in p.findings if f.silent or f.cloud) for p in down]
    together = max(since) - min(since) <= timedelta(minutes=5)
    assert not (together and len(down) >= 3 and len(down) * 2 >= site.zones[zone]), "the zone is down"


def _fell(patient: Patient) -> bool:
    progress = patient.progress
    repaired = progress is not None and (
        progress.action in HARD - {Action.DRAIN, Action.QUARANTINE} or progress.quarantined is not None
    )
    return not repaired and any(f.silent or f.cloud for f in patient.findings)


def no_rung_is_skipped_without_a_cause(fleet: Fleet, patient: Patient, act: Act) -> None:
    """Between the last step and this one everything on the ladder is accounted for; a drain is not left out."""
    steps, progress = fleet.pools[patient.machine.pool].policy.steps, patient.progress
    at = -1 if progress is None or progress.step is None else progress.step
    passed = [s.action for s in steps[at + 1 : act.step]]
    if progress is not None and act.step == at:
        assert act.number == progress.number + 1
        assert act.number <= steps[at].retries + 1
        assert act.skipped == ()
        return
    assert act.step > at, "never down the ladder"
    assert act.number == 1
    assert [a for a, _ in act.skipped if a in passed] == passed
    assert all(cause for _, cause in act.skipped)
    assert Action.DRAIN not in passed or patient.machine.node is None or act.action not in HARD


def it_can_help(fleet: Fleet, patient: Patient, act: Act, now: datetime) -> None:
    """It is hard enough, it can be done at all, and it is not what helped for less than a day."""
    due, order = [f for f in patient.findings if f.due <= now], list(Action)
    if act.action is Action.DRAIN:
        assert patient.machine.node is not None
    else:
        assert order.index(act.action) >= min(order.index(f.entry) for f in due)
    if act.action is Action.RESTART_DEVICE_PLUGIN:
        assert not any(f.silent for f in patient.findings)
    helped = [t for t in patient.history if t.outcome == "Succeeded" and t.action is not Action.DRAIN]
    began = patient.progress.began if patient.progress else now
    if helped and began - helped[-1].ended < timedelta(days=1) and not any(f.asked for f in due):
        last = fleet.pools[patient.machine.pool].policy.steps[-1].action
        assert act.action is not helped[-1].action or act.action is last


def _mode(fleet: Fleet, patient: Patient) -> Mode:
    modes = {fleet.mode, fleet.sites[patient.machine.site].mode, fleet.pools[patient.machine.pool].policy.mode}
    return next(m for m in (Mode.OFF, Mode.DRY_RUN, Mode.AUTOMATIC) if m in modes)


def _is_of(scope: str, machine: MachineView) -> bool:
    pool = "/".join(("pool", *machine.pool[:2], machine.pool[2] or "control-plane"))
    zone = f"zone/{machine.site}/{machine.zone}"
    return scope in (pool, "/".join(("cluster", *machine.cluster)), zone, f"site/{machine.site}", "fleet")

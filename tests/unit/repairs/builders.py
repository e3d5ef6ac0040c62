"""Patients and the fleet around them: each builder gives what is usual, and takes what the test is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from kaas.api.repair import Action, Limits, Mode, RepairPolicy, Step
from kaas.repairs.blindness import LONG_AGO
from kaas.repairs.decisions import Decision
from kaas.repairs.facts import (
    ClusterFacts,
    Finding,
    Fleet,
    MachineView,
    Patient,
    PoolFacts,
    Progress,
    Sight,
    SiteFacts,
    Try,
)
from kaas.repairs.planner import plan

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CLUSTER = ("team", "c")
POOL = (*CLUSTER, "gpu")
CLEAR = Sight(True, LONG_AGO)
NO_LIMITS = Limits(max_in_flight=1000, max_unhealthy=1000)
LADDER = (
    Action.WAIT,
    Action.RESTART_DEVICE_PLUGIN,
    Action.DRAIN,
    Action.SOFT_REBOOT,
    Action.HARD_REBOOT,
    Action.REPLACE,
    Action.QUARANTINE,
)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def policy(*actions: Action, **more: Any) -> RepairPolicy:
    """Each step with a time-out of 600 s. Limits far away, unless told."""
    steps = tuple(Step(action=a) for a in actions or LADDER)
    return RepairPolicy(**{"steps": steps, "limits": NO_LIMITS, **more})


def machine(name: str = "m-1", **more: Any) -> MachineView:
    made = MachineView(
        key=("team", name),
        uid=name,
        cluster=CLUSTER,
        pool=POOL,
        site="north",
        zone="",
        created=ago(90000),
        node=name,
        server=f"server-{name}",
    )
    return replace(made, **more)


def finding(entry: Action = Action.SOFT_REBOOT, *, since: float = 600, tolerance: float = 300, **more: Any) -> Finding:
    """Began `since` seconds ago, and is due unless told."""
    began = ago(since)
    return Finding(
        **{
            "signal": "Sick",
            "since": began,
            "due": began + timedelta(seconds=tolerance),
            "entry": entry,
            "message": "it is sick",
            **more,
        }
    )


def asked(entry: Action = Action.WAIT) -> Finding:
    return finding(entry, since=5, tolerance=0, signal="Requested", asked=True)


def patient(*findings: Finding, name: str = "m-1", **more: Any) -> Patient:
    """With a finding that is due, unless told."""
    of_machine = {k: more.pop(k) for k in list(more) if k in MachineView.__slots__}
    return Patient(
        machine(name, **of_machine), findings or (finding(),), **{"boot_id": "boot-1", "ready": True, **more}
    )


def progress(action: Action, *, started: float, ladder: Sequence[Action] = LADDER, **more: Any) -> Progress:
    """In a step that began `started` seconds ago."""
    made = Progress(
        began=ago(started),
        cause="Sick",
        step=list(ladder).index(action),
        action=action,
        started=ago(started),
        number=1,
        boot_id="boot-1",
    )
    return replace(made, **more)


def tried(action: Action, *, ended: float, outcome: str = "Succeeded") -> Try:
    return Try(action, "Sick", ago(ended + 60), ago(ended), outcome)


def fleet(*patients: Patient, **more: Any) -> Fleet:
    """Ten machines in one pool. Fields of the pool, the cluster and the Site by their names, `size` of all three."""
    size = more.pop("size", 10)
    pools = {
        key: PoolFacts(
            key=key,
            policy=more.get("policy", policy()),
            size=size,
            **_of(PoolFacts, more, "updating", "held", "out", "replaced", "gpus_per_node"),
            paused=more.get("pool_paused", ""),
        )
        for key in {POOL, *(p.machine.pool for p in patients)}
    }
    clusters = {
        key: ClusterFacts(
            key=key,
            site="north",
            sight=more.get("sight", CLEAR),
            limits=more.get("cluster_limits", NO_LIMITS),
            size=size,
            **_of(ClusterFacts, more, "away", "control_plane", "masters", "healthy_masters"),
        )
        for key in {CLUSTER, *(p.machine.cluster for p in patients)}
    }
    site = SiteFacts(
        name="north",
        sight=more.get("cloud", CLEAR),
        limits=more.get("site_limits", NO_LIMITS),
        zone_limits=more.get("zone_limits", NO_LIMITS),
        size=more.get("site_size", size),
        paused=more.get("site_paused", ""),
        mode=more.get("site_mode", Mode.AUTOMATIC),
        **_of(SiteFacts, more, "zones", "hosts", "confirmed", "ended"),
    )
    by_key = {p.machine.key: p for p in patients}
    limits = more.get("fleet_limits", NO_LIMITS)
    return Fleet(pools, clusters, {"north": site}, by_key, limits, more.get("mode", Mode.AUTOMATIC))


def _of(_kind: type, said: dict[str, Any], *names: str) -> dict[str, Any]:
    return {n: said[n] for n in names if n in said}


def decide(*patients: Patient, **more: Any) -> Decision:
    """The only decision of a fleet."""
    (decision,) = plan(fleet(*patients, **more), NOW).decisions
    return decision


def decisions(patients: Iterable[Patient], **more: Any) -> dict[str, Decision]:
    """Decisions by the machine's name, in their order."""
    return {d.node[1]: d for d in plan(fleet(*patients, **more), NOW).decisions}

"""What is remembered of how a Cluster was before an update. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from kaas.api.update_status import Baseline, UnwellAddOn
from kaas.updates.verify.counters import quantile
from kaas.updates.verify.facts import AddOnFacts, Facts
from kaas.updates.verify.measuring import ENOUGH
from kaas.updates.verify.nodes import devices_of_pools
from kaas.updates.verify.pods import as_baseline

_MOST: Final = 50  # objects of add-ons in a baseline: what the status takes


def baseline_of(facts: Facts | None, now: datetime) -> Baseline:
    """The few numbers that count later. facts: None when the Cluster could not be looked at."""
    if facts is None:
        return Baseline(taken=now)
    traffic = facts.measured.traffic if facts.measured else None
    slow = quantile(0.99, traffic.buckets) if traffic and traffic.timed >= ENOUGH else None
    return Baseline(
        taken=now,
        requests=round(traffic.requests) if traffic else 0,
        errors=round(traffic.errors) if traffic else 0,
        latency_milliseconds=None if slow is None else round(slow * 1000),
        unwell=as_baseline(facts.unwell),
        add_ons=_unwell(facts.add_ons),
        pools=devices_of_pools(facts.machines, facts.nodes),
    )


def _unwell(found: Iterable[AddOnFacts]) -> tuple[UnwellAddOn, ...]:
    names = sorted(a.name for a in found if a.problem)
    return tuple(UnwellAddOn(name=name) for name in names[:_MOST])

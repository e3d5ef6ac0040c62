"""All checks before an update, in the order in which they are told: the name, what a finding does, and the check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from kaas.api.preflight import Check
from kaas.updates.preflight import cloud, machines, repairs, times, versions, workload
from kaas.updates.preflight.facts import Found, PreflightFacts
from kaas.updates.run import Severity

Predicate = Callable[[PreflightFacts], Iterator[Found]]


@dataclass(frozen=True, slots=True)
class Row:
    """One check. severity: of what it finds, unless that warns only or someone says otherwise.

    machines: whether it is about machines that are replaced, so that it finds nothing where none is.
    """

    name: Check
    severity: Severity
    check: Predicate
    machines: bool = True


CHECKS: Final = (
    Row(Check.UNREACHABLE_CLUSTER, Severity.BLOCK, workload.unreachable_cluster, machines=False),
    Row(Check.UNREACHABLE_CLOUD, Severity.BLOCK, cloud.unreachable_cloud),
    Row(Check.VERSION_SKEW, Severity.BLOCK, versions.version_skew),
    Row(Check.IMAGE_ACTIVE, Severity.BLOCK, cloud.image_active),
    Row(Check.QUOTA_FOR_SURGE, Severity.BLOCK, cloud.quota_for_surge),
    Row(Check.CAPACITY_FOR_SURGE, Severity.BLOCK, cloud.capacity_for_surge),
    Row(Check.ETCD_HEALTH, Severity.BLOCK, machines.etcd_health),
    Row(Check.MACHINES_HEALTHY, Severity.BLOCK, machines.machines_healthy, machines=False),
    Row(Check.REPAIR_UNDER_WAY, Severity.BLOCK, repairs.repair_under_way, machines=False),
    Row(Check.BUDGET_LEFT, Severity.BLOCK, repairs.budget_left),
    Row(Check.DISRUPTION_BUDGETS, Severity.BLOCK, workload.disruption_budgets),
    Row(Check.REMOVED_APIS, Severity.BLOCK, workload.removed_apis),
    Row(Check.WEBHOOKS, Severity.BLOCK, workload.webhooks),
    Row(Check.CERTIFICATES, Severity.BLOCK, times.certificates),
    Row(Check.ADD_ON_SUPPORT, Severity.BLOCK, versions.add_on_support),
    Row(Check.WINDOW_LONG_ENOUGH, Severity.WARN, times.window_long_enough),
)

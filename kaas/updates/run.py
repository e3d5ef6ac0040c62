"""One update under way: what is found before and after its steps, and who finds it. Plain data and a protocol."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from kaas.api.cluster import Cluster
from kaas.api.site import Site
from kaas.api.update_status import ADD_ONS_STEP, Availability, Baseline
from kaas.api.versions import KubernetesVersion
from kaas.updates.facts import Aims

ClusterKey = tuple[str, str]
"""Namespace and name of a Cluster."""

ANNOUNCED, PREFLIGHT, CONTROL_PLANE = "Announced", "Preflight", "ControlPlane"
ADD_ONS, VERIFICATION, FINISHED = ADD_ONS_STEP, "Verification", "Finished"
POOL_PREFIX = "Pool/"
"""Steps of pools are called `Pool/<name>`."""


class Severity(StrEnum):
    """What a finding does to an update that is to begin."""

    BLOCK = "Block"
    WARN = "Warn"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a check found before an update. check: its name. message: with the object and the way out.

    override: why it does not block although it would, in the words of the person who said so; "" when it does.
    """

    check: str
    severity: Severity
    message: str
    override: str = ""

    @property
    def blocks(self) -> bool:
        """Whether the update is not begun while this stands."""
        return self.severity is Severity.BLOCK and not self.override


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found before an update, at one time."""

    checked: datetime
    findings: tuple[Finding, ...] = ()

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """Those that keep the update from being begun."""
        return tuple(f for f in self.findings if f.blocks)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the Cluster is well after a step.

    passed: None while that is not known yet, since something is still settling or could not be asked. message: what
    was looked at, or what is wrong with the way out. unhealthy: the checks that failed.
    """

    passed: bool | None
    message: str
    unhealthy: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One update of one Cluster, as those who examine it need it.

    running: oldest version of the control plane. began: None before it has begun. pools: those that it replaces, in
    order. least_left: time left of the open maintenance window in seconds, else what the next one has; None when none
    is in sight, or it waits for none. asked: whether a person has asked for it, maybe since the Cluster is not well.
    against: why add-ons of the Cluster do not go with its version, in words.
    """

    key: ClusterKey
    cluster: Cluster
    site: Site
    aims: Aims
    running: KubernetesVersion
    began: datetime | None = None
    pools: tuple[str, ...] = ()
    least_left: float | None = None
    asked: bool = False
    against: tuple[str, ...] = ()


class Examiner(Protocol):
    """Who looks at a Cluster before, during and after an update. Never raises for a Cluster or cloud that is away."""

    async def preflight(self, case: Case, now: datetime) -> Report:
        """All checks at once. What could not be looked at is a finding too."""

    async def verify(self, case: Case, step: str, now: datetime) -> Verdict:
        """Whether the Cluster is well after a step: ControlPlane, Pool/<name>, AddOns, or Verification at the end."""

    async def baseline(self, case: Case, now: datetime) -> Baseline | None:
        """How it is before an update; None while it is still looked at."""

    def watch(self, key: ClusterKey, before: Availability | None = None) -> None:
        """Begin to ask its API server again and again; once is enough. before: what was found until now."""

    def availability(self, key: ClusterKey) -> Availability | None:
        """How it has answered since; None when it is not asked."""

    def forget(self, key: ClusterKey) -> None:
        """Ask no longer."""

"""What is said of the checks before an update: which of them count, and which findings are put up with."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AwareDatetime, Field

from kaas.api.model import ListMap, Model
from kaas.api.rules import Rule


class Check(StrEnum):
    """The checks before an update, in the order in which they are told; see docs/updates-preflight.md."""

    UNREACHABLE_CLUSTER = "UnreachableCluster"
    UNREACHABLE_CLOUD = "UnreachableCloud"
    VERSION_SKEW = "VersionSkew"
    IMAGE_ACTIVE = "ImageActive"
    QUOTA_FOR_SURGE = "QuotaForSurge"
    CAPACITY_FOR_SURGE = "CapacityForSurge"
    ETCD_HEALTH = "EtcdHealth"
    MACHINES_HEALTHY = "MachinesHealthy"
    REPAIR_UNDER_WAY = "RepairUnderWay"
    BUDGET_LEFT = "BudgetLeft"
    DISRUPTION_BUDGETS = "DisruptionBudgets"
    REMOVED_APIS = "RemovedApis"
    WEBHOOKS = "Webhooks"
    CERTIFICATES = "Certificates"
    ADD_ON_SUPPORT = "AddOnSupport"
    WINDOW_LONG_ENOUGH = "WindowLongEnough"


ALWAYS: Final = (Check.VERSION_SKEW, Check.IMAGE_ACTIVE)
"""Checks that nobody can do without: Kubernetes does not support what the first refuses, and without the image of the
second the first new machine would never come."""
_ALWAYS: Final = f"[{', '.join(repr(str(c)) for c in ALWAYS)}]"
_WAY_OUT: Final = "bring the nodes to a version that Kubernetes supports, or upload the image"


def _unless(also: Callable[[dict[str, Any]], bool]) -> Callable[[dict[str, Any]], bool]:
    return lambda said: said["check"] not in ALWAYS or also(said)


class PreflightSeverity(Model):
    """What the findings of one check do."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"self.severity == 'Block' || !(self.check in {_ALWAYS})",
            message=f"severity: VersionSkew and ImageActive always block: {_WAY_OUT}",
            check=_unless(lambda said: said["severity"] == "Block"),
            field=".severity",
        ),
    )
    check: Check
    """Name of the check."""
    severity: Literal["Block", "Warn"]
    """Block: the update is not begun while it finds something. Warn: that is told, and no more."""


class PreflightOverride(Model):
    """That the findings of one check are put up with, and why."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"!(self.check in {_ALWAYS})",
            message=f"check: VersionSkew and ImageActive cannot be overridden: {_WAY_OUT}",
            check=_unless(lambda said: False),
            field=".check",
        ),
    )
    check: Check
    """Name of the check."""
    reason: str = Field(min_length=1, max_length=256)
    """Why, for people: shown with every finding that it lets pass."""
    until: AwareDatetime | None = None
    """Until when it counts; when left out, until it is removed."""


Severities = Annotated[tuple[PreflightSeverity, ...], Field(max_length=16), ListMap("check")]


class PreflightPolicy(Model):
    """Which findings of the checks before an update are put up with."""

    severities: Severities = ()
    """Checks whose findings do something else here than by default; these count before those of the Site."""
    overrides: Annotated[tuple[PreflightOverride, ...], Field(max_length=16), ListMap("check")] = ()
    """Checks whose findings do not keep an update from being begun, each with the reason why."""


class SitePreflight(Model):
    """Which checks before an update block on a Site."""

    severities: Severities = ()
    """Checks whose findings do something else here than by default."""

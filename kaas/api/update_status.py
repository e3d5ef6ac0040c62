"""What is said of a Cluster's updates in its status."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field

from kaas.api.addon_status import AddOnChange, AddOnName
from kaas.api.model import Atomic, ListMap, Model

EXPIRED: Final = "Expired"
"""Reason of an update against the owner's wish: the version that runs, or is to be left, has expired."""
AHEAD: Final = "AheadOfVersion"
"""Reason when what runs is newer than what `spec.version` asks for, since that has expired."""

VERSION_CHANGED: Final = "VersionChanged"
"""Reason of an update to what a person has written into `spec.version`: it waits for no window."""

ADD_ONS_STEP: Final = "AddOns"
"""Step of an update that brings add-ons to other versions: from when it has begun, these count."""

THROUGH: Final = frozenset({"Done", "Skipped"})
"""States of a step after which the next may begin."""

Version = Annotated[str, Field(max_length=12)]
ChangeName = Literal["Patch", "Minor", "Image", "ClassRevision", "Certificates", "AddOns"]
RolledBackName = Literal["Version", "Image", "ClassRevision", "Certificates", "AddOn"]
StepState = Literal["Pending", "Running", "Held", "Done", "Failed", "Skipped"]
PoolRef = Annotated[str, Field(max_length=63)]


class Maintenance(Model):
    """One time during which the Cluster may be changed."""

    start: datetime
    """When it begins (UTC)."""
    end: datetime
    """When it ends (UTC)."""


class AnnouncedEnd(Model):
    """What was announced of the end of the version that runs."""

    version: Version
    """The version, as v1.36.3."""
    first: datetime
    """When it was announced for the first time (UTC): nobody is moved earlier than 30 days after that."""
    days_before: int = Field(ge=0)
    """At how many days before the end it was announced last."""


class Hold(Model):
    """The maintenance window has closed before an update was through: no further pool is begun."""

    since: datetime
    """Since when (UTC)."""
    until: datetime | None = None
    """When it goes on (UTC); left out when no window is in sight."""
    message: str = Field(max_length=1024)
    """What waits, for people."""


class UpdateStep(Model):
    """One step of an update. Steps are fixed when it begins, and are gone through in order."""

    name: str = Field(max_length=64)
    """Announced, Preflight, ControlPlane, Pool/<name>, AddOns, Verification or Finished."""
    state: StepState
    """Pending: not begun. Running: under way. Held: waits for what the message says. Done: it is through.
    Failed: the update has stopped here. Skipped: there was nothing to do, or a person said so."""
    reason: str | None = Field(default=None, max_length=128)
    """Why it is in that state, as one CamelCase word for programs."""
    message: str | None = Field(default=None, max_length=1024)
    """What it does, waits for or has found, for people."""
    since: datetime | None = None
    """Since when it is in that state for that reason (UTC)."""
    started: datetime | None = None
    """When it began (UTC)."""
    finished: datetime | None = None
    """When it ended (UTC)."""
    replaced: datetime | None = None
    """When all its machines were new and worked for the first time since one of them was made, or it went on (UTC);
    left out while it is not under way, and as long as some are to be replaced."""


class PreflightFinding(Model):
    """Something that a check before an update has found."""

    check: str = Field(max_length=64)
    """Name of the check."""
    severity: Literal["Block", "Warn"]
    """Block: the update is not begun while this stands. Warn: it is told, and no more."""
    message: str = Field(max_length=1024)
    """What is wrong and what to do about it, for people."""
    override: str | None = Field(default=None, max_length=256)
    """Why it does not block although it would, in the words of the person who said so."""

    @property
    def blocks(self) -> bool:
        """Whether the update is not begun while this stands."""
        return self.severity == "Block" and not self.override


class PreflightReport(Model):
    """What was found before an update."""

    checked: datetime
    """When it was looked at last (UTC)."""
    findings: Annotated[tuple[PreflightFinding, ...], Field(max_length=50), Atomic()] = ()
    """All that was found; empty when all is well."""


class Availability(Model):
    """How the Cluster's API server answered while an update was under way."""

    since: datetime
    """When it was asked for the first time (UTC)."""
    probes: int = Field(ge=0)
    """How often it was asked."""
    failed: int = Field(ge=0)
    """How often it did not answer, or not well."""
    longest_gap_milliseconds: int = Field(ge=0)
    """The longest time between two good answers."""
    longest_gap_began: datetime | None = None
    """When that began (UTC)."""


class UnwellWorkload(Model):
    """A workload of the system some of whose Pods do not work."""

    name: str = Field(max_length=316)
    """Kind and name, as DaemonSet/kube-proxy; for a static Pod the name of its manifest."""
    pods: int = Field(ge=1)
    """How many of its Pods do not work."""


class UnwellAddOn(Model):
    """Something of an add-on that does not work."""

    name: str = Field(max_length=330)
    """Kind, namespace and name, as DaemonSet monitoring/node-exporter."""


class PoolDevices(Model):
    """The devices that the nodes of a pool offered."""

    name: PoolRef
    """Name of the pool."""
    devices: int = Field(ge=0)
    """Devices with which each of its nodes could be scheduled at least: GPUs, or slices of them."""
    layout: str | None = Field(default=None, max_length=63)
    """Label `nvidia.com/mig.config` of these nodes; left out when they have none, or not the same."""


class Baseline(Model):
    """How the Cluster was before the update: what is found after a step is compared with it."""

    taken: datetime
    """When it was looked at (UTC)."""
    requests: int = Field(default=0, ge=0)
    """Requests that its API servers answered while they were looked at; 0 when they could not be asked."""
    errors: int = Field(default=0, ge=0)
    """Of these, how many they answered with a status from 500 on."""
    latency_milliseconds: int | None = Field(default=None, ge=0)
    """The 99th percentile of how long they took, watches aside; left out when too few came to tell."""
    unwell: Annotated[tuple[UnwellWorkload, ...], Field(max_length=50), ListMap("name")] = ()
    """Workloads in kube-system that did not work."""
    add_ons: Annotated[tuple[UnwellAddOn, ...], Field(max_length=50), ListMap("name")] = ()
    """What did not work of what kaas has put into the Cluster."""
    pools: Annotated[tuple[PoolDevices, ...], Field(max_length=50), ListMap("name")] = ()
    """Pools whose nodes offered GPUs."""


class Stopped(Model):
    """An update has stopped by itself: nothing further is begun until a person acts."""

    since: datetime
    """Since when (UTC)."""
    step: str = Field(max_length=64)
    """The step that failed."""
    reason: str = Field(max_length=128)
    """Why, as one CamelCase word for programs."""
    message: str = Field(max_length=1024)
    """Why, and how to go on, for people."""


class Before(Model):
    """What the Cluster had when an update began: what is rolled back goes back to this."""

    version: Version
    """The oldest version of its control plane, as v1.36.1."""
    image: str | None = Field(default=None, max_length=255)
    """Node image of that version; left out when it was not known."""
    class_revision: str | None = Field(default=None, max_length=253)
    """Its ClusterClass; left out when it was not known."""


class Surplus(Model):
    """Machines beyond those wanted that a surge has left, which are asked for as long as a pool is rolled back."""

    name: str = Field(max_length=253)
    """Name of the MachineDeployment in the topology."""
    machines: int = Field(ge=1)
    """How many."""


class RolledBack(Model):
    """Something that is as before for what is made from now on, since the update has stopped. It replaces none."""

    what: RolledBackName
    """What goes back. Certificates: machines of the control plane are not renewed."""
    add_on: AddOnName | None = None
    """The add-on that goes back; left out for all else."""
    pool: PoolRef | None = None
    """The pool that it goes back for; left out where Cluster API had not been handed it, for the Cluster as a whole."""
    from_: str = Field(alias="from", max_length=255)
    """What the update brings."""
    to: str | None = Field(default=None, max_length=255)
    """What is there again; left out for certificates."""
    since: datetime
    """Since when (UTC)."""
    surplus: Annotated[tuple[Surplus, ...], Field(max_length=50), Atomic()] = ()
    """What a surge has left in the pool."""


class Retried(Model):
    """A person has had a stopped update tried again."""

    since: datetime
    """When that was (UTC)."""
    reason: str = Field(max_length=1024)
    """Why, in their words: the value of the annotation `kaas.internal/update-retry`, which counts once."""


class UpdateSummary(Model):
    """What is to be done about the Cluster's version, and what will be."""

    target: Version | None = None
    """Version that the Cluster is brought to now, as v1.36.3; left out while nothing is to be done, or it waits."""
    version: Version | None = None
    """Version that it is brought to next, now or when it may be; left out when there is none."""
    change: ChangeName | None = None
    """The largest of what that update changes."""
    changes: Annotated[tuple[ChangeName, ...], Field(max_length=6), Atomic()] = ()
    """All that it changes: updates that would each replace machines are one."""
    image: str | None = Field(default=None, max_length=255)
    """Node image that the machines of the target are brought to; left out while they keep that of their version."""
    class_revision: str | None = Field(default=None, max_length=253)
    """ClusterClass that the Cluster is brought to; left out while it keeps its own."""
    certificates: datetime | None = None
    """Machines of the control plane made before this (UTC) are replaced, since their certificates end soon."""
    add_ons: Annotated[tuple[AddOnChange, ...], Field(max_length=50), ListMap("name")] = ()
    """Add-ons that it brings to another version, in their order; empty while they keep theirs."""
    forced_from: datetime | None = None
    """Of an update away from a version that has expired, or to one that a person has asked for: from then on (UTC) it
    waits for no maintenance window any more, and for the end of no exclusion. Left out for others."""
    since: datetime | None = None
    """Since when that version is the one to go to (UTC)."""
    reason: str | None = Field(default=None, max_length=128)
    """Why it is updated, or why not, as one CamelCase word for programs. Expired: also against what `spec` says."""
    message: str | None = Field(default=None, max_length=2048)
    """Why it is updated, or why not, for people."""
    next_time: datetime | None = None
    """When the Cluster changes next, as far as is known (UTC); left out when nothing is to come."""
    next_maintenance: Maintenance | None = None
    """The maintenance window that is open, else the next one."""
    began: datetime | None = None
    """When the last update was begun (UTC)."""
    announced: AnnouncedEnd | None = None
    """What was announced of the end of the version that runs; left out while that is far off."""
    hold: Hold | None = None
    """That no further pool is begun, until the next maintenance window; left out while none is held."""
    waiting: Annotated[tuple[PoolRef, ...], Field(max_length=100), Atomic()] = ()
    """Pools that may not begin with the update yet: it is not their turn, or the maintenance window has closed."""
    steps: Annotated[tuple[UpdateStep, ...], Field(max_length=64), ListMap("name")] = ()
    """The steps of the update under way, or of the last one."""
    preflight: PreflightReport | None = None
    """What was found before the next update, or the one under way."""
    availability: Availability | None = None
    """How the API server answered during the update under way, or the last one."""
    baseline: Baseline | None = None
    """How the Cluster was before the update under way, or the last one."""
    stopped: Stopped | None = None
    """That the update has stopped, and why; left out while it has not."""
    before: Before | None = None
    """What the Cluster had when the update under way, or the last one, began."""
    rolled_back: Annotated[tuple[RolledBack, ...], Field(max_length=64), Atomic()] = ()
    """What of the update is rolled back while it has stopped: what is made meanwhile is made as before."""
    retried: Retried | None = None
    """That the update goes on after it had stopped, since a person said so."""
    rollout: str | None = Field(default=None, max_length=253)
    """Rollout that decides when the Cluster's turn is; left out when none does."""

    def is_taken_back(self, what: RolledBackName) -> bool:
        """Whether the update has stopped before Cluster API was handed something: until it goes on, it is not."""
        return any(entry.what == what and entry.pool is None for entry in self.rolled_back)

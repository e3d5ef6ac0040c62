"""What is said of a Rollout in its status."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from kaas.api.model import Atomic, Conditions, Model
from kaas.api.rollout_carried import MAX_IMAGES, MAX_REVISIONS, CarriedImage, ClassName, Image, LeftOut

MAX_STAGES: Final = 16
MAX_GATES: Final = 8
MAX_APPROVALS: Final = MAX_STAGES * 2 * MAX_GATES
MAX_MEMBERS: Final = 2000
"""Members of one Rollout: its status, which lists them, has to fit into one object."""
MAX_RUNS: Final = 10
MAX_ZONES: Final = 64

ABORTED, PAUSED, TOO_MANY_FAILURES = "Aborted", "Paused", "TooManyFailures"
"""Reasons for which a Rollout is Stopped."""

Name = Annotated[str, Field(max_length=63)]
Version = Annotated[str, Field(max_length=12)]
Reason = Annotated[str, Field(max_length=128)]
Words = Annotated[str, Field(max_length=1024)]


class State(StrEnum):
    """How far a Rollout, a stage or a member is; names as update runs of Azure Kubernetes Fleet Manager have them."""

    NOT_STARTED = "NotStarted"
    RUNNING = "Running"
    PENDING = "Pending"
    COMPLETED = "Completed"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    STOPPING = "Stopping"
    STOPPED = "Stopped"


ENDED: Final = frozenset({State.COMPLETED, State.FAILED, State.SKIPPED})
"""States of a member with which nothing more is done."""


class RolloutMember(Model):
    """A Cluster of a stage, as it was when the stage started, and how far it is."""

    namespace: Name
    """Namespace of the Cluster."""
    name: Name
    """Name of the Cluster."""
    uid: str = Field(max_length=64)
    """Its uid: another one of the same name is no member."""
    site: Name
    """Site that it runs on."""
    zones: Annotated[tuple[Name, ...], Field(max_length=MAX_ZONES), Atomic()] = ()
    """Zones that its machines are in, as far as its spec names them."""
    version: Version | None = None
    """Version that it ran when the stage started; left out when it ran none yet."""
    asked: Version
    """What its `spec.version` was then: when it is another one, a person has changed it."""
    left_out: Annotated[tuple[LeftOut, ...], Field(max_length=3), Atomic()] = ()
    """What of that which is carried it does not take, and why."""
    state: State
    """NotStarted: its turn has not come. Pending: it may begin, or waits for what the message says. Running: it is
    updated. Completed: it has all that it takes of what is carried, and is Ready. Failed: its update has stopped, or
    it is not Ready for too long. Skipped: it is left out, for what the message says. Stopped: the Rollout was aborted
    before its turn."""
    reason: Reason | None = None
    """Why it is in that state, as one CamelCase word for programs."""
    message: Words | None = None
    """Why, for people; when it waits for its maintenance window, when that opens."""
    released: datetime | None = None
    """Since when it may begin (UTC); left out while it may not."""
    started: datetime | None = None
    """When its update was seen to have begun (UTC)."""
    finished: datetime | None = None
    """When it came to its end: Completed, Failed or Skipped (UTC)."""
    unwell: datetime | None = None
    """Since when it is not Ready, after it began (UTC), put off by the time that it was Ready in between; left out once
    it has been Ready for `notReadySeconds` at a stretch."""
    well: datetime | None = None
    """Since when it is Ready again (UTC); left out while it is not, and when `unwell` is."""
    tried: datetime | None = None
    """When it last had its turn and did not begin (UTC): others go before it then."""
    retried: datetime | None = None
    """When a person had it tried again (UTC)."""

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name of the Cluster."""
        return self.namespace, self.name


class GateStatus(Model):
    """A gate that a stage has come to."""

    name: Name
    """Name of the gate."""
    open: bool
    """Whether it is open; it stays so once it was."""
    asked: datetime
    """When the stage came to it (UTC)."""
    holds: datetime | None = None
    """Since when its condition holds without a break (UTC); left out while it does not."""
    opened: datetime | None = None
    """When it opened (UTC)."""
    approved: datetime | None = None
    """Time of the approval that opened it (UTC): one approval opens one gate."""
    message: Words
    """What it waits for and what was found, or who opened it, for people."""


class StageStatus(Model):
    """How far a stage is."""

    name: Name
    """Name of the stage."""
    state: State
    """NotStarted: stages before it are not through, or its gates are closed. Running: its members are updated.
    Pending: it waits for windows, its soak or its gates. Completed: it is through. Failed: more members failed than
    may."""
    reason: Reason | None = None
    """Why it is in that state, as one CamelCase word for programs."""
    message: Words | None = None
    """What it waits for, for people."""
    started: datetime | None = None
    """When it started and its list of members was fixed (UTC)."""
    settled: datetime | None = None
    """When its last member came to its end (UTC): the soak counts from here."""
    finished: datetime | None = None
    """When it was through (UTC)."""
    members: Annotated[tuple[RolloutMember, ...], Field(max_length=MAX_MEMBERS), Atomic()] = ()
    """Its Clusters, as they were when it started, in the order in which they are taken where windows allow."""
    before_gates: Annotated[tuple[GateStatus, ...], Field(max_length=MAX_GATES), Atomic()] = ()
    """Gates before it that it has come to."""
    after_gates: Annotated[tuple[GateStatus, ...], Field(max_length=MAX_GATES), Atomic()] = ()
    """Gates after it that it has come to."""


class Counts(Model):
    """Members of all stages that have started, counted."""

    total: int = Field(default=0, ge=0)
    """All of them."""
    completed: int = Field(default=0, ge=0)
    """Those that have all that they take of what is carried, and are Ready."""
    running: int = Field(default=0, ge=0)
    """Those that are updated now."""
    pending: int = Field(default=0, ge=0)
    """Those that wait."""
    failed: int = Field(default=0, ge=0)
    """Those that failed."""
    skipped: int = Field(default=0, ge=0)
    """Those that are left out."""
    to_come: int = Field(default=0, ge=0)
    """Clusters of stages that have not started, as of now."""


class Run(Model):
    """What went through the fleet before."""

    run: int = Field(ge=1)
    """Number of the run."""
    brings: Words | None = None
    """What it brought, for people."""
    version: Version | None = None
    """The version; left out when it brought none."""
    images: Annotated[tuple[Image, ...], Field(max_length=MAX_IMAGES), Atomic()] = ()
    """The node images."""
    class_revisions: Annotated[tuple[ClassName, ...], Field(max_length=MAX_REVISIONS), Atomic()] = ()
    """The ClusterClasses."""
    state: State
    """Completed, or Stopped when it was aborted."""
    started: datetime
    """When it started (UTC)."""
    finished: datetime
    """When it ended (UTC)."""
    approvals: Annotated[tuple[datetime, ...], Field(max_length=MAX_APPROVALS), Atomic()] = ()
    """Times of the approvals that opened gates of it (UTC): none of them opens one of a later run."""
    counts: Counts
    """Its members by how they ended."""


class Halt(Model):
    """The Rollout has stopped by itself: nothing further is begun until a person acts."""

    since: datetime
    """Since when (UTC)."""
    generation: int = Field(ge=0)
    """The metadata.generation with which it stopped: a changed spec is looked at anew."""
    reason: Reason
    """Why, as one CamelCase word for programs."""
    message: Words
    """Why, and how to go on, for people."""


class RolloutStatus(Model):
    """How far the change is."""

    conditions: Conditions = ()
    """Progressing: whether it goes on. Succeeded: whether the run is through; False when it has stopped.
    AnnotationsRead: whether what people said in annotations is understood."""
    observed_generation: int | None = Field(default=None, ge=0)
    """The metadata.generation that this status is about."""
    state: State | None = None
    """NotStarted: there is nothing to roll out yet. Running: members are updated. Pending: it waits for windows, a soak
    or a gate. Stopping: it is stopped, and what has begun is finished. Stopped: it is stopped. Completed: all stages
    are through."""
    reason: Reason | None = None
    """Why it is in that state, as one CamelCase word for programs."""
    message: Words | None = None
    """What it does or waits for, with the way out where it has stopped, for people."""
    brings: Words | None = None
    """What goes through the fleet in this run, or went last, for people."""
    version: Version | None = None
    """Version that goes through the fleet in this run, or went last; left out when none does."""
    images: Annotated[tuple[CarriedImage, ...], Field(max_length=MAX_IMAGES), Atomic()] = ()
    """Node images of this run, or of the last one, by version."""
    class_revisions: Annotated[tuple[ClassName, ...], Field(max_length=MAX_REVISIONS), Atomic()] = ()
    """ClusterClasses of this run, or of the last one, one for each provider."""
    run: int | None = Field(default=None, ge=1)
    """Number of the run, from 1: with a channel there is one whenever something is newer."""
    started: datetime | None = None
    """When the run started (UTC)."""
    finished: datetime | None = None
    """When the run ended (UTC)."""
    stage: Name | None = None
    """Stage that it is in; left out when it is in none."""
    stages: Annotated[tuple[StageStatus, ...], Field(max_length=MAX_STAGES), Atomic()] = ()
    """The stages of this run, in order."""
    counts: Counts | None = None
    """Members counted."""
    progress: str | None = Field(default=None, max_length=32)
    """Members that came to their end, of all that there are, as `5 of 12`."""
    next_time: datetime | None = None
    """When something may change by the clock alone (UTC): a window opens, a soak or the wait for a time ends."""
    halt: Halt | None = None
    """That it has stopped by itself, and why; left out while it has not."""
    history: Annotated[tuple[Run, ...], Field(max_length=MAX_RUNS), Atomic()] = ()
    """The last ten runs before this one, newest first."""

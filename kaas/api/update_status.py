"""What is said of a Cluster's updates in its status."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field

from kaas.api.model import Model

EXPIRED: Final = "Expired"
"""Reason of an update against the owner's wish: the version that runs, or is to be left, has expired."""
AHEAD: Final = "AheadOfVersion"
"""Reason when what runs is newer than what `spec.version` asks for, since that has expired."""

Version = Annotated[str, Field(max_length=12)]


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


class UpdateSummary(Model):
    """What is to be done about the Cluster's version, and what will be."""

    target: Version | None = None
    """Version that the Cluster is brought to now, as v1.36.3; left out while nothing is to be done, or it waits."""
    version: Version | None = None
    """Version that it is brought to next, now or when it may be; left out when there is none."""
    change: Literal["Patch", "Minor"] | None = None
    """How large that update is."""
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

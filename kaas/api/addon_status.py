"""What is said of add-ons in a Cluster's status."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from kaas.api.model import Model

AddOnName = Annotated[str, Field(max_length=40)]
AddOnVersion = Annotated[str, Field(max_length=40)]
AddOnState = Literal["Waiting", "Applying", "Starting", "Ready", "Failed", "Removing"]


class InstalledAddOn(Model):
    """One add-on of a Cluster."""

    name: AddOnName
    """Name of the Addon."""
    version: AddOnVersion | None = None
    """Version all of whose objects are in the Cluster, and none of another; left out while there is none."""
    digest: str | None = Field(default=None, max_length=64)
    """SHA-256 of the data of its ConfigMap, in hexadecimal."""
    wanted: AddOnVersion | None = None
    """Version that is being put into the Cluster, or would be; left out when that is the one it has."""
    state: AddOnState
    """Waiting: the Cluster cannot be written to yet, or no version suits it. Applying: its objects are being written.
    Starting: they are there, and what runs of them does not work yet. Ready: all of it works. Failed: the message says
    what. Removing: it is being taken out of the Cluster."""
    message: str | None = Field(default=None, max_length=1024)
    """What it waits for or what is wrong, for people, with the way out."""
    since: datetime | None = None
    """Since when it is in that state (UTC)."""
    moved: datetime | None = None
    """When more of its objects were there at the version that it has or is brought to, or more of what runs of them
    worked, than ever before, for the last time (UTC), to half a minute or so; left out when that was not seen."""


class AddOnChange(Model):
    """An add-on that an update brings to another version."""

    name: AddOnName
    """Name of the Addon."""
    from_: AddOnVersion = Field(alias="from")
    """Version that the Cluster had when the update began."""
    to: AddOnVersion
    """Version that it is brought to."""

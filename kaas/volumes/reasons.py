"""Reasons of the condition DataLoaded, and which of them are the end of a load. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from kaas.loader import report


class Reason(StrEnum):
    """Why the data is not there (yet); the loader's own reasons stand beside these in `report.Reason`."""

    PENDING = "Pending"
    WAITING = "WaitingForConsumer"
    RESTORING = "Restoring"
    LISTING = "Listing"
    LOADING = "Loading"
    VERIFYING = "Verifying"
    RETRY = "RetryBackoff"
    STALLED = "Stalled"
    INVALID = "InvalidSpec"
    FAILED = "Failed"
    LOADED = "Loaded"


RUNNING: Final = frozenset({Reason.LISTING, Reason.LOADING, Reason.VERIFYING})
"""What a load does one after the other: a change between them is no news."""

ACTIVE: Final = RUNNING | {Reason.RETRY, Reason.STALLED}
"""There is a Job, or there was one."""

FINAL: Final = frozenset(
    str(r) for r in report.Reason if r not in {report.Reason.LOADED, report.Reason.STALLED, report.Reason.INTERRUPTED}
)
"""With status False: the load has ended and is not tried again by itself."""

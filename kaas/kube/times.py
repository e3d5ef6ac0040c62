"""Times as the Kubernetes API has them: RFC 3339, UTC, to the second. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import overload


def at(text: str) -> datetime:
    """The time that a text says."""
    return datetime.fromisoformat(text)


@overload
def stamp(moment: datetime) -> str: ...
@overload
def stamp(moment: None) -> None: ...
def stamp(moment: datetime | None) -> str | None:
    """The text of a time, and None of none."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def whole(moment: datetime) -> datetime:
    """As it is written down: to the second, and never later than it was."""
    return moment.replace(microsecond=0)

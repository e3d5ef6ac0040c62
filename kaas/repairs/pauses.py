"""What a person said in annotations: that repairs wait, or that an incident is to be repaired all the same. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Final

UNTIL: Final = "until="


def paused(value: str | None, now: datetime) -> str:
    """Why repairs wait; "" when they do not (any more).

    value: of the annotation `kaas.internal/repair-paused`: `[until=<RFC 3339> ]<reason>`; None when there is none. An
    end that cannot be read counts as no end: waiting is the safe way.
    """
    if value is None:
        return ""
    end, reason = _split(value)
    if end is not None and end <= now:
        return ""
    told = reason or "nobody said why"
    return f"{told}, until {end.isoformat()}" if end else told


def pause(reason: str, until: datetime | None) -> str:
    """Value of the annotation."""
    return " ".join(filter(None, (f"{UNTIL}{until.isoformat()}" if until else "", reason)))


def _split(value: str) -> tuple[datetime | None, str]:
    if not value.startswith(UNTIL):
        return None, value
    text, _, reason = value.removeprefix(UNTIL).partition(" ")
    try:
        end = datetime.fromisoformat(text)
    except ValueError:
        return None, value
    return (end, reason) if end.tzinfo else (None, value)


def confirmed(value: str | None) -> Mapping[str, datetime]:
    """Incidents that are to be repaired all the same, with the time until which that counts.

    value: of the annotation `kaas.internal/repair-confirmed`: JSON, incident to time. What is not readable counts not.
    """
    try:
        found = json.loads(value or "{}")
        times = {str(k): datetime.fromisoformat(v) for k, v in found.items()}
    except (ValueError, TypeError, AttributeError):
        return {}
    return {k: v for k, v in times.items() if v.tzinfo}


def confirm(value: str | None, incident: str, until: datetime, now: datetime) -> str:
    """Value of the annotation with one more incident, and without those that are over."""
    lasting = {k: v for k, v in confirmed(value).items() if v > now} | {incident: until}
    return json.dumps({k: v.isoformat() for k, v in sorted(lasting.items())})

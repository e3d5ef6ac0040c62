"""A condition as a feature writes it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from kaas.kube.times import stamp

MAX_MESSAGE: Final = 2048


def condition_of(
    name: str, holds: bool | None, reason: str, message: str, before: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """A condition, with the time of its last transition. holds: None means unknown. before: the status as it is."""
    status = "Unknown" if holds is None else str(holds)
    known = next((c for c in before.get("conditions") or () if c["type"] == name), None)
    since = known["lastTransitionTime"] if known and known["status"] == status else stamp(now)
    words = message[:MAX_MESSAGE]
    return {"type": name, "status": status, "reason": reason, "message": words, "lastTransitionTime": since}

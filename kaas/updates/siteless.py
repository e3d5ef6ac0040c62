"""What is told of a Cluster whose Site is not there, or cannot be read: what is under way is held. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from kaas.api.constants import CONDITION_UPDATES
from kaas.api.update_status import Hold, UpdateSummary
from kaas.kube.conditions import MAX_MESSAGE, condition_of
from kaas.kube.objects import Object
from kaas.updates.ledger.steps import pools_behind, unfinished

_OF_SITE: Final = ("hold", "nextTime", "nextMaintenance")


def status(before: Object, reason: str, message: str, now: datetime) -> Object:
    """The status to write while nobody knows when the Cluster may be changed. before: the status as it is.

    What is said of the update under way, or of the last one, stays: those who follow it go back on nothing.
    """
    said = UpdateSummary.model_validate(before["update"])
    kept = {k: v for k, v in before["update"].items() if k not in _OF_SITE}
    update = kept | {"reason": reason, "message": message[:MAX_MESSAGE]}
    if unfinished(said.steps):
        since = said.hold.since if said.hold else now
        update["hold"] = Hold(since=since, message=f"no further step is begun: {message}"[:1024]).to_json()
        update["waiting"] = [*pools_behind(said.steps)]
    condition = condition_of(CONDITION_UPDATES, None, reason, message, before, now)
    return {"update": {k: v for k, v in update.items() if v != []}, "conditions": [condition]}

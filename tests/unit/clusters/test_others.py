"""Of what repairs and updates write in a Cluster's status, this feature reads what is in flight, and the target."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.api.constants import CONDITION_REPAIRS, CONDITION_UPDATES
from kaas.clusters.others import concern, without_others

READY = {"type": "Ready", "status": "True"}
REPAIRS = {"type": CONDITION_REPAIRS, "status": "False"}
UPDATES = {"type": CONDITION_UPDATES, "status": "False"}


def cluster(version: str = "1", spec: Any = None, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "c", "resourceVersion": version}, "spec": spec or {}, "status": status}


def test_without_others_leaves_what_is_ours() -> None:
    said = {"repair": {"unhealthy": 1}, "update": {"target": "v1.36.3"}, "addOns": [{"name": "agent"}]}
    status = {"phase": "Ready", "conditions": [READY, REPAIRS, UPDATES], **said}
    assert without_others(status) == {"phase": "Ready", "conditions": [READY]}
    assert without_others({"conditions": [REPAIRS, UPDATES]}) == {}


@pytest.mark.parametrize(
    ("changed", "concerns"),
    [
        (cluster("2", phase="Ready"), False),
        (cluster("2", phase="Ready", conditions=[REPAIRS]), False),
        (cluster("2", phase="Ready", repair={"pools": [{"name": "cpu", "inFlight": 0, "unhealthy": 3}]}), False),
        (cluster("2", phase="Ready", repair={"pools": [{"name": "cpu", "inFlight": 1, "unhealthy": 3}]}), True),
        (cluster("2", phase="Ready", conditions=[UPDATES], update={"version": "v1.36.3", "reason": "Paused"}), False),
        (cluster("2", phase="Ready", update={"target": "v1.36.3", "reason": "Updating"}), True),
        (cluster("2", phase="Ready", addOns=[{"name": "agent", "state": "Starting"}]), False),
        (cluster("2", phase="Failed"), True),
        (cluster("2", {"version": "v1"}, phase="Ready"), True),
    ],
)
def test_of_others_only_what_is_in_flight_and_the_target_are_read(changed: dict[str, Any], concerns: bool) -> None:
    assert (concern(changed) != concern(cluster(phase="Ready"))) is concerns

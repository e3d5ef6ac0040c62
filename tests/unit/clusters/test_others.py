"""What repairs write in a Cluster's status concerns this feature only as far as nodes are under repair."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.api.constants import CONDITION_REPAIRS
from kaas.clusters.others import concern, without_repairs

READY = {"type": "Ready", "status": "True"}
REPAIRS = {"type": CONDITION_REPAIRS, "status": "False"}


def cluster(version: str = "1", spec: Any = None, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "c", "resourceVersion": version}, "spec": spec or {}, "status": status}


def test_without_repairs_leaves_what_is_ours() -> None:
    status = {"phase": "Ready", "conditions": [READY, REPAIRS], "repair": {"unhealthy": 1}}
    assert without_repairs(status) == {"phase": "Ready", "conditions": [READY]}
    assert without_repairs({"conditions": [REPAIRS]}) == {}


@pytest.mark.parametrize(
    ("changed", "concerns"),
    [
        (cluster("2", phase="Ready"), False),
        (cluster("2", phase="Ready", conditions=[REPAIRS]), False),
        (cluster("2", phase="Ready", repair={"pools": [{"name": "cpu", "inFlight": 0, "unhealthy": 3}]}), False),
        (cluster("2", phase="Ready", repair={"pools": [{"name": "cpu", "inFlight": 1, "unhealthy": 3}]}), True),
        (cluster("2", phase="Failed"), True),
        (cluster("2", {"version": "v1"}, phase="Ready"), True),
    ],
)
def test_of_repairs_only_what_is_in_flight_is_read(changed: dict[str, Any], concerns: bool) -> None:
    assert (concern(changed) != concern(cluster(phase="Ready"))) is concerns

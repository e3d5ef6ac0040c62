"""What others say in a Cluster's status, and what of it this feature reads."""

from __future__ import annotations

from typing import Any

from kaas.api.constants import CONDITION_REPAIRS
from kaas.kube.objects import Object


def without_repairs(status: Object) -> Object:
    """A status without what the repairs feature writes as another field manager: not ours to compare or remove."""
    conditions = [c for c in status.get("conditions") or () if c["type"] != CONDITION_REPAIRS]
    kept = {k: v for k, v in status.items() if k not in ("repair", "conditions")}
    return kept | ({"conditions": conditions} if conditions else {})


def concern(cluster: Object) -> Any:
    """Of a Cluster, what this feature reads: of repairs, only how many are in flight."""
    meta = {k: v for k, v in cluster["metadata"].items() if k != "resourceVersion"}
    status = cluster.get("status") or {}
    pools = (status.get("repair") or {}).get("pools") or ()
    in_flight = {p["name"]: p["inFlight"] for p in pools if p["inFlight"]}
    return meta, cluster.get("spec"), without_repairs(status), in_flight

"""What others say in a Cluster's status, and what of it this feature reads."""

from __future__ import annotations

from typing import Any

from kaas.api.constants import CONDITION_REPAIRS, CONDITION_UPDATES
from kaas.kube.objects import Object, metadata_without

_FIELDS = frozenset({"addOns", "repair", "update"})
_FOLLOWED = ("target", "image", "classRevision", "certificates", "waiting")
_CONDITIONS = frozenset({CONDITION_REPAIRS, CONDITION_UPDATES})


def without_others(status: Object) -> Object:
    """A status without what add-ons, repairs and updates write as other field managers: not ours to compare."""
    conditions = [c for c in status.get("conditions") or () if c["type"] not in _CONDITIONS]
    kept = {k: v for k, v in status.items() if k not in _FIELDS and k != "conditions"}
    return kept | ({"conditions": conditions} if conditions else {})


def concern(cluster: Object) -> Any:
    """Of a Cluster, what this feature reads.

    Of repairs, how many are in flight; of updates, what to go to, and which pools wait.
    """
    meta = metadata_without(cluster, "resourceVersion")
    status = cluster.get("status") or {}
    pools = (status.get("repair") or {}).get("pools") or ()
    in_flight = {p["name"]: p["inFlight"] for p in pools if p["inFlight"]}
    update = status.get("update") or {}
    brought = [update.get(name) for name in _FOLLOWED]
    return meta, cluster.get("spec"), without_others(status), in_flight, brought, "hold" in update

"""What machines are made of: a change of it replaces them. Pure."""

from __future__ import annotations

import json

from kaas.api.constants import CONTROL_PLANE_POOL, LABEL_POOL
from kaas.clusters.snapshot import Object


def replaced_pools(live: Object, desired: Object) -> frozenset[str]:
    """Pools, "" being the control plane, whose machines a change from one Cluster API Cluster to another replaces.

    Those that come, go or only change their size are not among them.
    """
    before, after = _makings(live), _makings(desired)
    return frozenset(pool for (pool, part), made in before.items() if made != after.get((pool, part), made))


def _makings(cluster: Object) -> dict[tuple[str, str], str]:
    """By pool and MachineDeployment."""
    topology = cluster.get("spec", {}).get("topology") or {}
    variables = _values(topology.get("variables"))
    version = topology.get("version")
    every, images = [topology.get("classRef"), version], variables.get("images") or {}
    renewed = (topology.get("controlPlane") or {}).get("rollout")
    plane = [*every, images.get(version), variables.get("controlPlaneFlavor"), renewed]
    found = {(CONTROL_PLANE_POOL, ""): _text(plane)}
    for part in (topology.get("workers") or {}).get("machineDeployments") or ():
        labels = (part.get("metadata") or {}).get("labels") or {}
        overrides = _values((part.get("variables") or {}).get("overrides"))
        image = (overrides.pop("images", None) or images).get(version)
        own = [image, part.get("class"), part.get("failureDomain"), overrides]
        found[labels.get(LABEL_POOL, ""), part["name"]] = _text([*every, *own])
    return found


def _values(variables: list[Object] | None) -> Object:
    return {v["name"]: v["value"] for v in variables or ()}


def _text(parts: list[object]) -> str:
    return json.dumps(parts, sort_keys=True)

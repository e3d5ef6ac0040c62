"""What a Cluster holds already: flavors, images, zones and GPU facts of its topology. Pure.

A Site that changes must not disturb what runs: what is held needs no offer any more, and keeps the facts that it was
made with.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from kaas.api.constants import ANNOTATION_GPU, LABEL_POOL
from kaas.api.site import GpuFacts

Object = dict[str, Any]

PoolFlavor = tuple[str, str]
"""Name of a pool and its flavor."""


class Holding:
    """What a topology wants of a cloud, which for a live one is what it has."""

    def __init__(self, cluster: Object | None) -> None:
        topology = (cluster or {}).get("spec", {}).get("topology", {})
        variables = _values(topology.get("variables"))
        pools = topology.get("workers", {}).get("machineDeployments") or []
        control_plane: str | None = variables.get("controlPlaneFlavor")
        self.servers: Counter[str] = Counter()
        self.gpus: dict[PoolFlavor, GpuFacts | None] = {}
        if control_plane:
            self.servers[control_plane] += topology["controlPlane"].get("replicas", 1)
        for pool in pools:
            self._add(pool)
        self.images = frozenset((variables.get("images") or {}).values())
        zones = {*(variables.get("controlPlaneZones") or ()), *(p.get("failureDomain") for p in pools)}
        self.zones = frozenset(z for z in zones if z)

    def _add(self, pool: Object) -> None:
        flavor: str | None = _values(pool.get("variables", {}).get("overrides")).get("workerFlavor")
        if not flavor:
            return
        self.servers[flavor] += pool.get("replicas") or 0
        metadata = pool.get("metadata") or {}
        name = (metadata.get("labels") or {}).get(LABEL_POOL)
        if name:
            self.gpus[(name, flavor)] = _facts(metadata.get("annotations") or {})


def gpu_annotation(facts: GpuFacts | None) -> dict[str, str]:
    """The annotation that remembers GPU facts; none for a pool without GPUs."""
    return {ANNOTATION_GPU: json.dumps(facts.to_json(), sort_keys=True)} if facts else {}


def _facts(annotations: Mapping[str, str]) -> GpuFacts | None:
    found = annotations.get(ANNOTATION_GPU)
    return GpuFacts.model_validate_json(found) if found else None


def _values(variables: Iterable[Object] | None) -> Object:
    return {v["name"]: v["value"] for v in variables or ()}

"""Nodes and Machines as the checks need them. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kaas.api.cluster import Cluster
from kaas.api.constants import CONTROL_PLANE_POOL, LABEL_POOL
from kaas.api.site import Site
from kaas.api.update_status import PoolDevices
from kaas.gpu.layouts import CONFIG, layout_of
from kaas.kube.objects import Object, is_deleting, is_true, labels
from kaas.kube.resources import CONTROL_PLANE_LABEL
from kaas.updates.run import CONTROL_PLANE, POOL_PREFIX
from kaas.updates.verify.facts import MachineFacts, NodeFacts

# Extended resources of devices: nvidia.com/gpu, nvidia.com/mig-1g.5gb, amd.com/gpu, gpu.intel.com/i915.
_DEVICE: Final = re.compile(r"(^|[^a-z])(gpu|mig)", re.IGNORECASE)
_WHOLE: Final = re.compile(r"([0-9]+)(k?)")  # the API server writes thousands as 2k


def node_facts(node: Object, gpus: Collection[str] = ()) -> NodeFacts:
    """What counts of a Node. gpus: resources that the Site calls so, beside those that say it themselves."""
    status: dict[str, Any] = node.get("status") or {}
    capacity, allocatable = status.get("capacity") or {}, status.get("allocatable") or {}
    devices = {k: (_number(v), _number(allocatable.get(k))) for k, v in capacity.items() if k in gpus or _is_device(k)}
    return NodeFacts(
        name=node["metadata"]["name"],
        ready=is_true(node, "Ready"),
        version=str((status.get("nodeInfo") or {}).get("kubeletVersion") or ""),
        devices={k: both for k, both in devices.items() if both[0]},
        layout=layout_of(labels(node)),
    )


def _is_device(resource: str) -> bool:
    return "/" in resource and _DEVICE.search(resource) is not None


def _number(quantity: object) -> int:
    match = _WHOLE.fullmatch(str(quantity))
    return int(match[1]) * (1000 if match[2] else 1) if match else 0


def offered(node: NodeFacts) -> int:
    """Devices with which the node can be scheduled."""
    return sum(free for _, free in node.devices.values())


def machines_of(step: str, pools: Iterable[str], found: Iterable[Object]) -> list[Object]:
    """The Machines that a step is about: those of the control plane, of a pool, or at the end of all that changed."""
    wanted = {CONTROL_PLANE_POOL, *pools}
    if step == CONTROL_PLANE:
        wanted = {CONTROL_PLANE_POOL}
    elif step.startswith(POOL_PREFIX):
        wanted = {step.removeprefix(POOL_PREFIX)}
    return [m for m in found if pool_of(m) in wanted and not is_deleting(m)]


def pool_of(machine: Object) -> str | None:
    """Name of the pool of a Machine, "" for the control plane; None when it is of none."""
    if CONTROL_PLANE_LABEL in labels(machine):
        return CONTROL_PLANE_POOL
    return labels(machine).get(LABEL_POOL)


@dataclass(frozen=True, slots=True)
class PoolGpus:
    """The GPUs of a pool's machines. layout: what the pool has MIG make of them, "" for nothing."""

    count: int
    model: str = ""
    layout: str = ""


NO_GPUS: Final = PoolGpus(0)


def machine_facts(machine: Object, pools: Mapping[str, PoolGpus]) -> MachineFacts:
    """What counts of a Machine. pools: those with GPUs, by name."""
    pool = pool_of(machine) or CONTROL_PLANE_POOL
    node = ((machine.get("status") or {}).get("nodeRef") or {}).get("name")
    version = str((machine.get("spec") or {}).get("version") or "")
    gpus = pools.get(pool, NO_GPUS)
    return MachineFacts(machine["metadata"]["name"], pool, gpus.count, node, version, gpus.layout, gpus.model)


def gpus_of_pools(cluster: Cluster, site: Site) -> dict[str, PoolGpus]:
    """GPUs of a machine, by pool; pools without any are left out, and all of a simulation: its nodes offer nothing."""
    if site.spec.provider == "dev":
        return {}
    flavors = {f.name: f.gpu for f in site.spec.flavors if f.gpu}
    found = ((p, flavors[p.flavor]) for p in cluster.spec.node_pools if p.flavor in flavors)
    return {p.name: PoolGpus(gpu.count, gpu.model, p.labels.get(CONFIG, "")) for p, gpu in found}


def devices_of_pools(machines: Iterable[MachineFacts], nodes: Mapping[str, NodeFacts]) -> tuple[PoolDevices, ...]:
    """What the Ready nodes of each pool with GPUs offer at least, with their layout when they have the same."""
    by_pool: dict[str, list[NodeFacts]] = {}
    for machine in machines:
        node = nodes.get(machine.node or "")
        if machine.gpus and node is not None and node.ready:
            by_pool.setdefault(machine.pool, []).append(node)
    return tuple(_pool_devices(pool, found) for pool, found in sorted(by_pool.items()))


def _pool_devices(pool: str, nodes: list[NodeFacts]) -> PoolDevices:
    layouts = {n.layout.name for n in nodes}
    same = layouts.pop() if len(layouts) == 1 else ""
    return PoolDevices(name=pool, devices=min(map(offered, nodes)), layout=same or None)

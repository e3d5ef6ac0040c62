"""Node pools as MachineDeployments: split over zones, with the labels, taints and capacity of their flavor. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kaas.api.cluster import NodePool, Taint
from kaas.api.constants import GROUP, LABEL_POOL
from kaas.api.pool_update import waits_before_drain
from kaas.api.site import GpuFacts, Site
from kaas.clusters.held import PoolFlavor
from kaas.clusters.replacing import Rollout, drain_seconds, rollout_of

GPU_TAINT_VALUE = "present"
GPU_PRESENT_LABEL = "nvidia.com/gpu.present"  # as NVIDIA's GPU feature discovery sets it
GPU_MODEL_LABEL = f"{GROUP}/gpu-model"
NVIDIA = "nvidia.com/"

_NOT_OF_LABELS = re.compile(r"[^-A-Za-z0-9_.]+")

# Cluster API provider of the cluster autoscaler: what a pool without machines would bring.
CAPACITY = "capacity.cluster-autoscaler.kubernetes.io"


@dataclass(frozen=True)
class Deployment:
    """One MachineDeployment of the topology: a pool, or the part of a pool that is in one zone.

    drain_seconds: how long a node may drain; None where the class decides. rollout: how its machines are replaced, None
    for Cluster API's own way. waits_before_drain: whether a machine that is to go waits until kaas has it drained.
    """

    name: str
    pool: str
    flavor: str
    replicas: int
    zone: str | None
    labels: tuple[tuple[str, str], ...]
    taints: tuple[Taint, ...]
    gpu: GpuFacts | None
    drain_seconds: int | None
    rollout: Rollout | None
    waits_before_drain: bool

    @property
    def node_labels(self) -> str:
        """The labels as the kubelet takes them; sorted, so that the same labels are the same text."""
        return ",".join(f"{k}={v}" for k, v in self.labels)

    @property
    def capacity(self) -> dict[str, str]:
        """Annotations from which the autoscaler knows a node of this pool before there is one.

        CPU, memory and disk come from the infrastructure provider; GPUs, labels and taints it can't know.
        """
        found = {f"{CAPACITY}/labels": self.node_labels}
        if self.taints:
            found[f"{CAPACITY}/taints"] = ",".join(f"{t.key}={t.value or ''}:{t.effect}" for t in self.taints)
        if self.gpu:
            found |= {f"{CAPACITY}/gpu-type": self.gpu.resource, f"{CAPACITY}/gpu-count": str(self.gpu.count)}
        return found


def deployments(
    pools: Sequence[NodePool], site: Site, held: Mapping[PoolFlavor, GpuFacts | None] | None = None
) -> tuple[Deployment, ...]:
    """The MachineDeployments of a Cluster's pools, in the order in which they are written.

    held: GPU facts of pools that exist with their flavor. They keep these: facts become labels and taints, and a Site
    whose facts change would replace every GPU node of every Cluster at once.
    """
    offered = {flavor.name: flavor.gpu for flavor in site.spec.flavors}
    known = held or {}
    return tuple(
        d for pool in pools for d in _of_pool(pool, known.get((pool.name, pool.flavor), offered.get(pool.flavor)))
    )


def share(replicas: int, parts: int) -> list[int]:
    """Replicas over zones as evenly as they go, the first zones first: 4 over 3 is 2, 1, 1."""
    each, over = divmod(replicas, parts)
    return [each + (1 if i < over else 0) for i in range(parts)]


def zone_suffix(zone: str) -> str:
    """A zone's name as the end of a Kubernetes name: `AZ_1` is `az-1`."""
    return re.sub(r"[^a-z0-9]+", "-", zone.lower())


def _of_pool(pool: NodePool, gpu: GpuFacts | None) -> Iterator[Deployment]:
    zones: Sequence[str | None] = pool.zones or (None,)
    for zone, replicas in zip(zones, share(pool.replicas, len(zones)), strict=True):
        yield Deployment(
            name=pool.name if zone is None else f"{pool.name}-{zone_suffix(zone)}",
            pool=pool.name,
            flavor=pool.flavor,
            replicas=replicas,
            zone=zone,
            labels=_labels(pool, gpu),
            taints=_taints(pool, gpu),
            gpu=gpu,
            drain_seconds=drain_seconds(pool, gpus=gpu is not None),
            rollout=rollout_of(pool, gpus=gpu is not None),
            waits_before_drain=waits_before_drain(pool.update, gpus=gpu is not None),
        )


def _labels(pool: NodePool, gpu: GpuFacts | None) -> tuple[tuple[str, str], ...]:
    own = {LABEL_POOL: pool.name}
    if gpu:
        own |= {GPU_MODEL_LABEL: _NOT_OF_LABELS.sub("-", gpu.model).strip("-_.")}
        own |= {GPU_PRESENT_LABEL: "true"} if gpu.resource.startswith(NVIDIA) else {}
    return tuple(sorted({**own, **pool.labels}.items()))


def _taints(pool: NodePool, gpu: GpuFacts | None) -> tuple[Taint, ...]:
    """The pool's own, after that of the GPUs: its key is their resource, which device plugins tolerate by default."""
    own = tuple(Taint(key=t.key, value=t.value or None, effect=t.effect) for t in pool.taints)
    effect = pool.gpu.taint
    if not gpu or effect == "None" or any(t.key == gpu.resource for t in own):
        return own
    return (Taint(key=gpu.resource, value=GPU_TAINT_VALUE, effect=effect), *own)

"""What an administrator decides of all loads. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

GPU_LABEL: Final = "nvidia.com/gpu.present=true"
"""On nodes with GPUs. Source: NVIDIA gpu-feature-discovery."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a loader's container is given, as Kubernetes quantities; limits too, for quotas admit nothing without."""

    cpu: str = "500m"
    memory: str = "256Mi"
    cpu_limit: str = "2"
    memory_limit: str = "512Mi"
    scratch: str = "64Mi"
    """Limit of `/tmp`."""


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """How loads are done.

    image: of the loader. at_once, per_namespace: loads that run at the same time. tries_again: how often a Job starts
    another Pod after one failed. timeout, keep: seconds for all tries together, and until a Job that has ended is
    deleted should the controller be away. priority_class: "" for the cluster's default. allow_endpoints: CIDRs and
    hosts that loaders may speak to although they are inside, or without TLS. keep_out: CIDRs that no loader's packet
    gets to, as those of Pods and Services. network_policy: whether a namespace with loads gets one for loaders.
    gpu_label: `KEY=VALUE` or `KEY` of nodes with GPUs, "" where they have none.
    """

    image: str
    at_once: int = 20
    per_namespace: int = 5
    tries_again: int = 6
    timeout: int = 86400
    keep: int = 3600
    priority_class: str = ""
    allow_endpoints: tuple[str, ...] = ()
    keep_out: tuple[str, ...] = ()
    network_policy: bool = True
    gpu_label: str = GPU_LABEL
    resources: Resources = field(default_factory=Resources)

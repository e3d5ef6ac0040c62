"""Which condition of a Node means which signal, and what it looks like when it is bad. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from types import MappingProxyType
from typing import Final

NODE_NOT_READY: Final = "NodeNotReady"
NODE_SILENT: Final = "NodeSilent"
DISK_PRESSURE: Final = "DiskPressure"
MEMORY_PRESSURE: Final = "MemoryPressure"
PID_PRESSURE: Final = "PIDPressure"
NETWORK_UNAVAILABLE: Final = "NetworkUnavailable"
READONLY_FILESYSTEM: Final = "ReadonlyFilesystem"
KERNEL_DEADLOCK: Final = "KernelDeadlock"
KUBELET_RESTARTING: Final = "KubeletRestarting"
RUNTIME_RESTARTING: Final = "RuntimeRestarting"
RUNTIME_UNHEALTHY: Final = "ContainerRuntimeUnhealthy"
KERNEL_NOT_READY: Final = "KernelNotReady"
NETWORKING_NOT_READY: Final = "NetworkingNotReady"
STORAGE_NOT_READY: Final = "StorageNotReady"
GPU_FAULT: Final = "GpuFault"

CONDITIONS: Final = MappingProxyType(
    {
        # Kubernetes: kubelet and node lifecycle controller
        ("Ready", "False"): NODE_NOT_READY,
        ("Ready", "Unknown"): NODE_SILENT,
        ("DiskPressure", "True"): DISK_PRESSURE,
        ("MemoryPressure", "True"): MEMORY_PRESSURE,
        ("PIDPressure", "True"): PID_PRESSURE,
        ("NetworkUnavailable", "True"): NETWORK_UNAVAILABLE,
        # node-problem-detector, config/*.json
        ("ReadonlyFilesystem", "True"): READONLY_FILESYSTEM,
        ("KernelDeadlock", "True"): KERNEL_DEADLOCK,
        ("FrequentKubeletRestart", "True"): KUBELET_RESTARTING,
        ("KubeletUnhealthy", "True"): KUBELET_RESTARTING,
        ("FrequentContainerdRestart", "True"): RUNTIME_RESTARTING,
        ("FrequentDockerRestart", "True"): RUNTIME_RESTARTING,
        ("ContainerRuntimeUnhealthy", "True"): RUNTIME_UNHEALTHY,
        ("CorruptDockerOverlay2", "True"): RUNTIME_UNHEALTHY,
        # the node problem detector of AKS
        ("FilesystemCorruptionProblem", "True"): READONLY_FILESYSTEM,
        ("KubeletProblem", "True"): KUBELET_RESTARTING,
        ("ContainerRuntimeProblem", "True"): RUNTIME_UNHEALTHY,
        ("GPUMissing", "True"): GPU_FAULT,
        ("NVLinkStatusInactive", "True"): GPU_FAULT,
        ("XIDErrors", "True"): GPU_FAULT,
        ("UnhealthyNvidiaDevicePlugin", "True"): GPU_FAULT,
        # the node monitoring agent of EKS
        ("KernelReady", "False"): KERNEL_NOT_READY,
        ("NetworkingReady", "False"): NETWORKING_NOT_READY,
        ("StorageReady", "False"): STORAGE_NOT_READY,
        ("ContainerRuntimeReady", "False"): RUNTIME_UNHEALTHY,
        ("AcceleratedHardwareReady", "False"): GPU_FAULT,
    }
)
"""Type and status of a condition, and the signal that it is. Every other condition with these types is well."""

# Monitors of GPUs name their conditions as they like, and many are a site's own rules: a type that speaks of GPUs and
# calls a fault by its name counts when it is True, one that calls itself ready or healthy when it is False. Others,
# such as GPUClockThrottling, do not count: no repair helps against heat, and a wrong guess costs a healthy node.
_ABOUT_GPUS: Final = re.compile(r"gpu|xid|nvidia|nvlink|nvswitch|dcgm|fabric-?manager|accelerat", re.IGNORECASE)
_FAULT: Final = re.compile(
    r"unhealthy|not-?ready|not-?running|error|fault|fail|missing|problem|xid|lost|fallen|mismatch|watch$", re.IGNORECASE
)
_WELL: Final = re.compile(r"(?<!un)healthy$|(?<!not)(?<!not-)ready$", re.IGNORECASE)


@lru_cache(maxsize=4096)
def signal_of(kind: str, status: str) -> str | None:
    """The signal that a condition of this type and status is; None when nothing is wrong by it."""
    known = CONDITIONS.get((kind, status))
    if known is not None or not _ABOUT_GPUS.search(kind) or any(kind == k for k, _ in CONDITIONS):
        return known
    well = _WELL.search(kind) is not None
    if (well and status == "False") or (not well and status == "True" and _FAULT.search(kind)):
        return GPU_FAULT
    return None

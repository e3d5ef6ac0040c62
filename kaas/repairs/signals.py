"""The signals: what can be wrong with a machine, how long it is tolerated, and where the ladder is entered. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from kaas.api.repair import Action, RepairPolicy
from kaas.repairs import conditions, looks
from kaas.repairs.looks import Look

MINUTE: Final = 60
HOUR: Final = 3600

NODE_MISSING: Final = "NodeMissing"
GPU_MISSING: Final = "GpuMissing"
FLAPPING: Final = "Flapping"
REQUESTED: Final = "Requested"


@dataclass(frozen=True, slots=True)
class Signal:
    """One row. look: how it is seen. tolerance: seconds that it may last. entry: the mildest step that can help.

    metal_tolerance, metal_entry: for bare metal, None when the same. why: where the numbers come from.
    silent: it means only that nothing is heard of the node. cloud: it is Nova that says so. asked: a person does.
    whole: all GPUs of the node are lost by it.
    """

    name: str
    what: str
    look: Look
    tolerance: int
    entry: Action
    why: str
    metal_tolerance: int | None = None
    metal_entry: Action | None = None
    silent: bool = False
    cloud: bool = False
    asked: bool = False
    whole: bool = False

    def tolerated(self, *, metal: bool) -> int:
        """Seconds that it may last on such a machine."""
        return self.metal_tolerance if metal and self.metal_tolerance is not None else self.tolerance

    def entered(self, *, metal: bool) -> Action:
        """The mildest step that can help on such a machine."""
        return self.metal_entry if metal and self.metal_entry is not None else self.entry


_NODE: Final = (
    Signal(
        conditions.NODE_NOT_READY,
        "`Ready` is False: the kubelet says that it cannot run Pods",
        looks.node_not_ready,
        5 * MINUTE,
        Action.SOFT_REBOOT,
        "Pods are evicted from it after 300 s anyway (Kubernetes' default toleration); medik8s and magnum-capi have "
        "the same, GKE and AKS 10 min, EKS 30. A DGX takes ten minutes to boot, so it gets GKE's",
        metal_tolerance=10 * MINUTE,
        whole=True,
    ),
    Signal(
        conditions.NODE_SILENT,
        "`Ready` is Unknown or missing: nothing is heard of the kubelet",
        looks.node_silent,
        5 * MINUTE,
        Action.SOFT_REBOOT,
        "as NodeNotReady, counted from when Kubernetes gave up waiting (50 s after the last heartbeat)",
        metal_tolerance=10 * MINUTE,
        silent=True,
        whole=True,
    ),
    Signal(
        NODE_MISSING,
        "The Machine joined, and its Node is gone",
        looks.node_missing,
        5 * MINUTE,
        Action.SOFT_REBOOT,
        "a kubelet makes its Node when it starts, so a reboot brings it back; Cluster API's MachineHealthCheck and "
        "Gardener replace the machine",
        metal_tolerance=10 * MINUTE,
        whole=True,
    ),
    Signal(
        "NeverJoined",
        "The server was made, and no Node has joined; or no server was made",
        looks.never_joined,
        20 * MINUTE,
        Action.REPLACE,
        "Gardener's creation timeout (Cluster API's nodeStartupTimeout is 10 min); bare metal is cleaned and written "
        "first. What a first boot leaves half done no reboot repeats",
        metal_tolerance=HOUR,
        metal_entry=Action.REBUILD,
        whole=True,
    ),
    Signal(
        conditions.DISK_PRESSURE,
        "`DiskPressure` lasts",
        looks.condition(conditions.DISK_PRESSURE),
        30 * MINUTE,
        Action.DRAIN,
        "GKE repairs a full boot disk after 30 min, Gardener after 10, EKS never. No Pod is placed there, and the "
        "kubelet, which removes images and Pods at once, has failed by then: a drain empties it, a reboot clears it",
    ),
    Signal(
        conditions.MEMORY_PRESSURE,
        "`MemoryPressure` lasts",
        looks.condition(conditions.MEMORY_PRESSURE),
        HOUR,
        Action.DRAIN,
        "EKS never repairs it, as mostly a workload is at fault. The kubelet evicts that within minutes; what is left "
        "after an hour leaks outside of Pods",
    ),
    Signal(
        conditions.PID_PRESSURE,
        "`PIDPressure` lasts",
        looks.condition(conditions.PID_PRESSURE),
        HOUR,
        Action.DRAIN,
        "as MemoryPressure",
    ),
    Signal(
        conditions.NETWORK_UNAVAILABLE,
        "`NetworkUnavailable` is True",
        looks.condition(conditions.NETWORK_UNAVAILABLE),
        10 * MINUTE,
        Action.SOFT_REBOOT,
        "Gardener: 10 min",
        whole=True,
    ),
    Signal(
        conditions.READONLY_FILESYSTEM,
        "A file system has become read-only, or is corrupt",
        looks.condition(conditions.READONLY_FILESYSTEM),
        5 * MINUTE,
        Action.SOFT_REBOOT,
        "it does not heal by itself, and is checked at boot; Gardener drains by force after 5 min",
        whole=True,
    ),
    Signal(
        conditions.KERNEL_DEADLOCK,
        "`KernelDeadlock` is True",
        looks.condition(conditions.KERNEL_DEADLOCK),
        10 * MINUTE,
        Action.HARD_REBOOT,
        "Gardener: 10 min; such a kernel does not shut down when it is asked to",
        whole=True,
    ),
    Signal(
        conditions.KUBELET_RESTARTING,
        "The kubelet restarts again and again, or its health check fails",
        looks.condition(conditions.KUBELET_RESTARTING),
        10 * MINUTE,
        Action.SOFT_REBOOT,
        "node-problem-detector counts 5 restarts in 20 min before it says so, and restarts the kubelet itself",
    ),
    Signal(
        conditions.RUNTIME_RESTARTING,
        "containerd or Docker restarts again and again",
        looks.condition(conditions.RUNTIME_RESTARTING),
        10 * MINUTE,
        Action.SOFT_REBOOT,
        "as KubeletRestarting",
    ),
    Signal(
        conditions.RUNTIME_UNHEALTHY,
        "The container runtime does not work",
        looks.condition(conditions.RUNTIME_UNHEALTHY),
        10 * MINUTE,
        Action.SOFT_REBOOT,
        "EKS: 30 min, and replaces; node-problem-detector has restarted it before it says so",
        whole=True,
    ),
    Signal(
        conditions.KERNEL_NOT_READY,
        "`KernelReady` is False (EKS node monitoring agent)",
        looks.condition(conditions.KERNEL_NOT_READY),
        30 * MINUTE,
        Action.HARD_REBOOT,
        "EKS: 30 min, and replaces",
    ),
    Signal(
        conditions.NETWORKING_NOT_READY,
        "`NetworkingReady` is False (EKS node monitoring agent)",
        looks.condition(conditions.NETWORKING_NOT_READY),
        30 * MINUTE,
        Action.SOFT_REBOOT,
        "EKS: 30 min, and replaces",
    ),
    Signal(
        conditions.STORAGE_NOT_READY,
        "`StorageReady` is False (EKS node monitoring agent)",
        looks.condition(conditions.STORAGE_NOT_READY),
        30 * MINUTE,
        Action.SOFT_REBOOT,
        "EKS: 30 min, and replaces",
    ),
    Signal(
        "WrongVersion",
        "The kubelet is not of the Machine's version",
        looks.wrong_version,
        HOUR,
        Action.REPLACE,
        "a node changed by hand, or an image that is not what its name says; updates replace machines within the hour",
        metal_entry=Action.REBUILD,
    ),
    Signal(
        FLAPPING,
        "Lost four times within an hour, never for long; ends after 30 calm minutes",
        looks.flapping,
        0,
        Action.SOFT_REBOOT,
        "what counts is tolerated already; so it is due at once",
    ),
)

_GPU: Final = (
    Signal(
        GPU_MISSING,
        "Fewer GPUs are allocatable than there are, or there are fewer than the flavor has",
        looks.gpu_missing,
        10 * MINUTE,
        Action.RESTART_DEVICE_PLUGIN,
        "EKS: 10 min (AcceleratedHardwareReady); drivers and device plugin of a new node come up within. The plugin "
        "never takes back that a GPU is unhealthy, so it is restarted first",
        metal_tolerance=15 * MINUTE,
    ),
    Signal(
        conditions.GPU_FAULT,
        "A monitor says that a GPU is at fault: an XID (not of a workload), NVLink, memory, fabric manager, DCGM",
        looks.gpu_fault,
        5 * MINUTE,
        Action.SOFT_REBOOT,
        "half of EKS's 10 min: no GPU heals by itself, and time is left for its job to fail and save. Where the "
        "ladder is entered the XID says",
        metal_tolerance=10 * MINUTE,
    ),
    Signal(
        "MigFailed",
        "`nvidia.com/mig.config.state` is failed",
        looks.mig_failed,
        5 * MINUTE,
        Action.SOFT_REBOOT,
        "MIG Manager partitions anew when the node boots",
        whole=True,
    ),
    Signal(
        "MigPending",
        "`nvidia.com/mig.config.state` stays pending or rebooting",
        looks.mig_pending,
        15 * MINUTE,
        Action.SOFT_REBOOT,
        "MIG Manager may reboot the node itself, which takes a DGX ten minutes",
        metal_tolerance=30 * MINUTE,
        whole=True,
    ),
)

_SERVER: Final = (
    Signal(
        "ServerError",
        "Nova has the server in ERROR",
        looks.server_error,
        2 * MINUTE,
        Action.HARD_REBOOT,
        "a hard reboot brings a server out of ERROR, and Cluster API has given the machine up; one that never "
        "joined is replaced",
        cloud=True,
        whole=True,
    ),
    Signal(
        "ServerStopped",
        "The server is SHUTOFF, PAUSED or SUSPENDED and Nova does nothing with it",
        looks.server_stopped,
        5 * MINUTE,
        Action.HARD_REBOOT,
        "a hard reboot starts it; as long as NodeNotReady, for who stopped it may be about to start it",
        cloud=True,
        whole=True,
    ),
    Signal(
        "ServerGone",
        "Nova has no such server",
        looks.server_gone,
        2 * MINUTE,
        Action.REPLACE,
        "it does not come back; long enough for one wrong answer of a cell that is away",
        cloud=True,
        whole=True,
    ),
    Signal(
        "HostDown",
        "The node is not Ready, and Nova hears nothing of its hypervisor",
        looks.host_down,
        5 * MINUTE,
        Action.WAIT,
        "asks for no step: it says why the node is not Ready, and that others there are not either. A node that is "
        "Ready on such a host is well: only Nova's agent is not",
        cloud=True,
        whole=True,
    ),
)

_ASKED: Final = (
    Signal(
        "HealthCheck",
        "A MachineHealthCheck finds the Machine unhealthy",
        looks.health_check,
        0,
        Action.SOFT_REBOOT,
        "it has tolerated it itself",
        whole=True,
    ),
    Signal(
        REQUESTED,
        "A person asks, by `kaas repair NODE` or the annotation `kaas.internal/repair`",
        looks.requested,
        0,
        Action.WAIT,
        "begins at once with the step that is asked for; without one, with the first of the ladder that is more than a "
        "drain and can help against what else is wrong, after a drain: where nothing is, with a soft reboot",
        asked=True,
    ),
)

SIGNALS: Final = (*_NODE, *_GPU, *_SERVER, *_ASKED)
"""Every signal, in the order in which findings are told."""

BY_NAME: Final = MappingProxyType({signal.name: signal for signal in SIGNALS})


def unknown(policy: RepairPolicy) -> tuple[str, ...]:
    """Names in a policy that are no signal's: what it says of them has no effect."""
    return tuple(s.name for s in policy.signals if s.name not in BY_NAME)

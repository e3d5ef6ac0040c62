"""What repairs are decided from: plain data, made by `observe` from what the watches and the cloud say. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from kaas.api.repair import Action, Limits, Mode, RepairPolicy
from kaas.gpu.layouts import NO_LAYOUT, Layout

NodeKey = tuple[str, str]
"""Namespace and name of a Machine: what identifies a node here, for a machine that never joined has no Node."""

ClusterKey = tuple[str, str]
"""Namespace and name of a Cluster."""

PoolKey = tuple[str, str, str]
"""Namespace and name of a Cluster, and the pool's name; "" is the control plane."""

ZoneKey = tuple[str, str]
"""Site and availability zone; zone "" when the cloud chooses."""


@dataclass(frozen=True, slots=True)
class NodeCondition:
    """One condition of a Node. since: its last transition."""

    type: str
    status: str
    reason: str
    message: str
    since: datetime


@dataclass(frozen=True, slots=True)
class NodeView:
    """What the workload cluster says of a Node.

    capacity, allocatable: devices by resource name, GPU resources only (MIG slices too).
    layout: of its GPUs, as its labels tell.
    request: value of the annotation `kaas.internal/repair`, None when nobody asks.
    """

    name: str
    boot_id: str = ""
    version: str = ""
    conditions: tuple[NodeCondition, ...] = ()
    capacity: Mapping[str, int] = field(default_factory=dict)
    allocatable: Mapping[str, int] = field(default_factory=dict)
    layout: Layout = NO_LAYOUT
    unschedulable: bool = False
    deleting: bool = False
    request: str | None = None


@dataclass(frozen=True, slots=True)
class ServerView:
    """What Nova says of a server.

    status: Nova's, as ACTIVE, ERROR, SHUTOFF, REBOOT. task: what it is doing, "" for nothing. host: the hypervisor, as
    much as the project may see (`hostId`). host_status: UP, DOWN, MAINTENANCE, UNKNOWN, "" when not shown.
    """

    id: str
    status: str
    power: str = ""
    task: str = ""
    host: str = ""
    host_status: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class MachineView:
    """What Cluster API says of a Machine.

    health_check: message of a MachineHealthCheck that finds it unhealthy, None otherwise. outdated: it waits for its
    replacement by an update. never_joined: it has no Node yet. infrastructure_ready: since when its server is made.
    etcd_healthy: of a control plane's machine, None when not known. request: as in `NodeView`.
    skip: it is not to be touched (`cluster.x-k8s.io/skip-remediation`, or paused).
    """

    key: NodeKey
    uid: str
    cluster: ClusterKey
    pool: PoolKey
    site: str
    zone: str
    created: datetime
    node: str | None = None
    server: str | None = None
    version: str = ""
    control_plane: bool = False
    infrastructure_ready: datetime | None = None
    deleting: bool = False
    outdated: bool = False
    skip: bool = False
    etcd_healthy: bool | None = None
    health_check: str | None = None
    request: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a node.

    signal: its name in the table. since: when it began, as far as is known. due: when it has lasted longer than it is
    tolerated. entry: the mildest step that can help. message: for a person, with the numbers.
    gpus: devices that are lost by it.
    """

    signal: str
    since: datetime
    due: datetime
    entry: Action
    message: str
    gpus: int = 0
    silent: bool = False
    """Whether it means only that nothing is heard of the node: what many nodes have when the watcher is blind."""
    cloud: bool = False
    """Whether the cloud says so (Nova's view of the server): then it counts only while the cloud can be seen."""
    asked: bool = False
    """Whether a person asks for it; `entry` is the action asked for, Wait when none was named."""
    anyhow: bool = False
    """Whether none was named, and `entry` is what the planner took it for: any step that mends does as well."""


SUCCEEDED: Final = "Succeeded"
FAILED: Final = "Failed"
TIMED_OUT: Final = "TimedOut"
SKIPPED: Final = "Skipped"
CALLED_OFF: Final = "CalledOff"


@dataclass(frozen=True, slots=True)
class Try:
    """One step that was tried. outcome: Succeeded, Failed, TimedOut, Skipped. cause: name of a signal."""

    action: Action
    cause: str
    began: datetime
    ended: datetime
    outcome: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the repair of a node is: what the status of its NodeRepair says.

    step: index in the policy's ladder, None before the first. acted: when the step's act was done, None while it is
    under way. boot_id: the Node's before the step. number: which try of this step, from 1.
    failed: why the act could not be done, "" when it was or is under way. not_before: when it failed: the pause before
    the next try counts from then.
    cordoned: whether the repair cordoned the node. quarantined: since when it is kept for a person.
    """

    began: datetime
    cause: str
    step: int | None = None
    action: Action | None = None
    started: datetime | None = None
    acted: datetime | None = None
    number: int = 0
    failed: str = ""
    not_before: datetime | None = None
    boot_id: str = ""
    cordoned: bool = False
    quarantined: datetime | None = None
    tried: tuple[Try, ...] = ()

    @property
    def attempt(self) -> tuple[int | None, int, datetime | None]:
        """What tells this try from all others: two steps may begin in the same second."""
        return self.step, self.number, self.started


@dataclass(frozen=True, slots=True)
class Patient:
    """A node that is sick, or under repair.

    findings: what is wrong now; empty while a repaired node is watched before it counts as healed.
    well_since: since when nothing is wrong, None while something is. host: its hypervisor, "" when not known.
    history: tries of earlier repairs of the same machine, oldest first, at most ten.
    server: status in Nova, None when it is not known now. boot_id, ready: of its Node now.
    """

    machine: MachineView
    findings: tuple[Finding, ...] = ()
    progress: Progress | None = None
    history: tuple[Try, ...] = ()
    well_since: datetime | None = None
    host: str = ""
    boot_id: str = ""
    ready: bool = False
    server: ServerView | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """Whether something can be seen. since: when that last changed. problem: why not, for a person.

    heartbeats: whether it is (or last was) not clear because the heartbeats of many nodes stopped together.
    """

    clear: bool
    since: datetime
    problem: str = ""
    heartbeats: bool = False


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """One pool. size: its machines. updating: why it counts as being updated, "" when it is not.

    held: whether that update is held or has stopped, so that no further machine is begun. out: how many of the machines
    that are wanted it has taken out nevertheless, of those that it had begun before; counted while it is held.
    replaced: when its last machines (at most ten) were replaced by a repair, oldest first, and whether it helped.
    gpus_per_node: 0 for a pool without.
    """

    key: PoolKey
    policy: RepairPolicy
    size: int
    updating: str = ""
    paused: str = ""
    replaced: tuple[tuple[datetime, bool], ...] = ()
    gpus_per_node: int = 0
    held: bool = False
    out: int = 0


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """One Cluster. away: why nothing may be done to it (paused, deleting), "" when something may.

    control_plane: why the control plane counts as not healthy, "" when it is. sight: of its API server.
    masters: machines of the control plane; healthy_masters: those that work, with a healthy etcd member, and are no
    patients.
    """

    key: ClusterKey
    site: str
    sight: Sight
    limits: Limits
    size: int
    away: str = ""
    control_plane: str = ""
    masters: int = 1
    healthy_masters: int = 1


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """One Site. sight: of its cloud's API. zones: machines by zone. hosts: machines by hypervisor.

    confirmed: incidents (`zone/<name>`, `host/<id>`, `heartbeats/<namespace>/<cluster>`) that a person has said are to
    be repaired, with the time until which that counts. paused: why repairs wait here, "" when they do not.
    """

    name: str
    sight: Sight
    limits: Limits
    zone_limits: Limits
    size: int
    zones: Mapping[str, int] = field(default_factory=dict)
    hosts: Mapping[str, int] = field(default_factory=dict)
    confirmed: Mapping[str, datetime] = field(default_factory=dict)
    paused: str = ""
    mode: Mode = Mode.AUTOMATIC
    ended: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class Fleet:
    """Everything at one moment. Healthy nodes are in it as numbers only."""

    pools: Mapping[PoolKey, PoolFacts]
    clusters: Mapping[ClusterKey, ClusterFacts]
    sites: Mapping[str, SiteFacts]
    patients: Mapping[NodeKey, Patient]
    limits: Limits
    mode: Mode = Mode.AUTOMATIC

"""What the checks before an update look at. Plain data; times are aware, in UTC. Pure.

What could not be asked is `Unknown`, which is neither well nor wrong: a check says so and does not block by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kaas.api.constants import CONTROL_PLANE_POOL
from kaas.updates.run import Case


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that could not be asked, and why."""

    why: str


NOT_ASKED = Unknown("it was not asked")


@dataclass(frozen=True, slots=True)
class Found:
    """Something that a check has found. message: with the object and the way out.

    warns: it could not be looked at, or is no obstacle by itself: it does not block, unless someone wants that.
    """

    message: str
    warns: bool = False


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """A Machine of the Cluster. pool: empty for the control plane. node: None before it has joined.

    ready: None when Cluster API does not say. trouble: why it is not ready, in Cluster API's words. member: whether its
    member of etcd is healthy, None when nobody knows; of the control plane only. certificates: when those of its API
    server end, None when that is not known.
    """

    name: str
    pool: str
    version: str
    node: str | None = None
    ready: bool | None = True
    trouble: str = ""
    deleting: bool = False
    member: bool | None = None
    certificates: datetime | None = None

    @property
    def control_plane(self) -> bool:
        """Whether it is one of the control plane."""
        return self.pool == CONTROL_PLANE_POOL


@dataclass(frozen=True, slots=True)
class Kubelet:
    """A Node, and the version of its kubelet as it says it."""

    node: str
    version: str


@dataclass(frozen=True, slots=True)
class CloudView:
    """What the project of the Site sees of its cloud.

    images: name to Glance's status. flavors: name to (vcpus, ram in MiB). free: quota left by resource, absent where
    there is no limit; without Neutron's where those could not be asked (network). rooms: by flavor and zone, hosts
    with room for one more server.
    """

    images: Mapping[str, str] | Unknown = NOT_ASKED
    flavors: Mapping[str, tuple[int, int]] | Unknown = NOT_ASKED
    free: Mapping[str, int] | Unknown = NOT_ASKED
    network: Unknown | None = None
    rooms: Mapping[tuple[str, str | None], int | Unknown] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DisruptionBudget:
    """A PodDisruptionBudget that lets no Pod go although all its Pods are well. Numbers of Pods.

    rule: what it asks for, as `maxUnavailable 0`. nodes: on which its Pods are.
    """

    namespace: str
    name: str
    expected: int
    rule: str
    nodes: frozenset[str] | Unknown


@dataclass(frozen=True, slots=True)
class Client:
    """Who has written objects in a version of an API. last: when. example: one of the objects."""

    name: str
    last: datetime | None
    example: str


@dataclass(frozen=True, slots=True)
class DeprecatedApi:
    """A version of an API that was asked for since the API server started, and is to be removed.

    removed: minor of Kubernetes 1 that has it no more. clients: who has written with it, the latest first.
    """

    group: str
    version: str
    resource: str
    removed: int
    clients: tuple[Client, ...] | Unknown = ()

    def __str__(self) -> str:
        return f"{self.resource}.{self.group} {self.version}"


@dataclass(frozen=True, slots=True)
class Hook:
    """An admission webhook with failurePolicy Fail that is asked about something an update needs.

    configuration: kind and name. needs: what it is asked about, as `nodes`. server: its Service or URL. endpoints: how
    many of its endpoints are ready, None when it is not asked within the cluster. conditional: it has matchConditions
    or selectors by which it may leave these out. system: whether it is asked about what nodes and the control plane
    themselves need, not only about Pods of users. seconds: its time-out.
    """

    configuration: str
    name: str
    needs: tuple[str, ...]
    server: str
    endpoints: int | Unknown | None
    conditional: bool = False
    system: bool = True
    seconds: int = 10


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority of the Cluster, and when it ends."""

    name: str
    ends: datetime


@dataclass(frozen=True, slots=True)
class PreflightFacts:
    """Everything that is known of a Cluster before an update.

    cluster_away, cloud_away: why it could not be asked at all; "" when it was, or need not be. image: what the new
    machines boot from, None when no Release and no Site says. etcd: what the control plane says of all members
    together: whether they are well, and its words. cloud: None for a provider without one.
    """

    case: Case
    now: datetime
    machines: tuple[MachineFacts, ...] = ()
    etcd: tuple[bool | None, str] = (True, "")
    image: str | None = None
    cloud: CloudView | None = None
    cloud_away: str = ""
    cluster_away: str = ""
    kubelets: tuple[Kubelet, ...] | Unknown = NOT_ASKED
    budgets: tuple[DisruptionBudget, ...] | Unknown = NOT_ASKED
    deprecated: tuple[DeprecatedApi, ...] | Unknown = NOT_ASKED
    hooks: tuple[Hook, ...] | Unknown = NOT_ASKED
    authorities: tuple[Authority | Unknown, ...] = ()

    def nodes_to_go(self) -> frozenset[str]:
        """Nodes of the control plane and of the pools that are replaced."""
        pools = {CONTROL_PLANE_POOL, *self.case.pools}
        return frozenset(m.node for m in self.machines if m.node and m.pool in pools)


def listed(names: list[str], most: int = 3) -> str:
    """Some names, and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def unknown(what: str, why: Unknown) -> Found:
    """That something could not be looked at."""
    return Found(f"{what} could not be looked at: {why.why}", warns=True)

"""`Cluster`: a Kubernetes cluster that a user asks for."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from kaas.api.addon_status import InstalledAddOn
from kaas.api.fields import (
    DNS_LABEL,
    TAINT_KEY_RULE,
    FlavorName,
    LabelKey,
    Labels,
    LabelValue,
    SiteName,
    Zone,
    pattern_rule,
)
from kaas.api.maintenance import Maintenance
from kaas.api.model import AGE, Column, Conditions, ListMap, ListSet, Model, Resource, condition_message
from kaas.api.network import IMMUTABLE_NETWORK, Network
from kaas.api.pool_update import PoolUpdate
from kaas.api.repair import ClusterRepair, PoolRepair
from kaas.api.repair_status import RepairSummary
from kaas.api.rules import Rule
from kaas.api.update_status import UpdateSummary
from kaas.api.updates import MINOR_UPDATES_RULE, Updates
from kaas.api.versions import RUNNING_RULES, AskedVersion

MAX_NAME: Final = 40
MAX_POOL_NAME: Final = 30
# A machine is called <cluster>-<pool>-<zone>-xxxxx-xxxxx, and a host name has at most 63 characters.
MAX_TOGETHER: Final = 63 - len("-xxxxx-xxxxx")
_NAME: Final = r"[a-z]([-a-z0-9]*[a-z0-9])?"

Zones = Annotated[tuple[Zone, ...], Field(max_length=16), ListSet()]
PoolName = Annotated[
    str,
    Field(min_length=1, max_length=MAX_POOL_NAME),
    pattern_rule(DNS_LABEL, "name of a pool must have only lower-case letters, digits and '-', as gpu-a100"),
]


def _is_cluster_name(cluster: dict[str, Any]) -> bool:
    name = cluster["metadata"].get("name", "")
    return len(name) <= MAX_NAME and re.fullmatch(_NAME, name) is not None


def _fit_together(cluster: dict[str, Any]) -> bool:
    name = cluster["metadata"].get("name", "")
    pools = cluster["spec"].get("nodePools", ())
    return all(
        len("-".join(filter(None, (name, pool["name"], zone)))) <= MAX_TOGETHER
        for pool in pools
        for zone in pool.get("zones") or [""]
    )


class Taint(Model):
    """Keeps pods without a matching toleration off the nodes of a pool."""

    key: Annotated[LabelKey, TAINT_KEY_RULE]
    """Name of the taint, as `example.com/dedicated`."""
    value: LabelValue | None = None
    """Value that a toleration must name; none when left out."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
    """What happens to pods that do not tolerate it."""


class GpuPolicy(Model):
    """How nodes with GPUs are treated. Has no effect on pools whose flavor has none."""

    taint: Literal["NoSchedule", "PreferNoSchedule", "NoExecute", "None"] = "NoSchedule"
    """Effect of the taint that keeps pods without GPUs off, its key is the name of the GPU resource; None: no taint."""
    drain_timeout_seconds: int = Field(default=7200, ge=0, le=604800)
    """Seconds that a node which is to go waits for its pods to end: training jobs need time. 0 waits for ever."""


class ControlPlane(Model):
    """The machines that run Kubernetes itself."""

    replicas: Annotated[
        Literal[1, 3, 5],
        Field(description="Number of machines; with 3 or 5 one or two may fail and the Cluster goes on."),
    ] = 3
    flavor: FlavorName
    """Flavor of the machines, one that the Site offers."""
    zones: Zones = ()
    """Zones to spread over; when left out, all zones of the Site that take control planes."""


class NodePool(Model):
    """Machines of one kind that run the pods."""

    name: PoolName
    """Name of the pool, unique in the Cluster; part of its machines' names."""
    flavor: FlavorName
    """Flavor of the machines, one that the Site offers. A changed flavor replaces the machines one by one."""
    replicas: int = Field(default=1, ge=0, le=1000)
    """Number of machines, over all zones of the pool together."""
    labels: Labels = Field(default_factory=dict)
    """Labels of the nodes."""
    taints: Annotated[tuple[Taint, ...], Field(max_length=16), ListMap("key", "effect")] = ()
    """Taints of the nodes, beside the one that GPU nodes get."""
    zones: Zones = ()
    """Zones to spread over evenly; when left out, the cloud chooses."""
    gpu: GpuPolicy = Field(default_factory=GpuPolicy)
    """How nodes with GPUs are treated."""
    repair: PoolRepair = Field(default_factory=PoolRepair)
    """How sick nodes are repaired."""
    update: PoolUpdate = Field(default_factory=PoolUpdate)
    """How the machines are replaced by an update."""


class ClusterSpec(Model):
    """What the user asks for."""

    rules: ClassVar[tuple[Rule, ...]] = (MINOR_UPDATES_RULE,)
    version: AskedVersion
    """Kubernetes version: `1.36` for the newest patch of it, which `updates` follows; or exactly `v1.36.3`."""
    site: Annotated[
        SiteName,
        Rule(
            cel="self == oldSelf",
            message="site cannot change once the Cluster exists: make a new Cluster on the other site and move to it",
        ),
    ]
    """Name of the Site that the Cluster runs on."""
    control_plane: ControlPlane
    """The machines that run Kubernetes itself."""
    node_pools: Annotated[tuple[NodePool, ...], Field(max_length=50), ListMap("name")] = ()
    """Pools of machines that run the pods."""
    network: Annotated[Network, IMMUTABLE_NETWORK] = Network()
    """Address ranges of the Cluster."""
    repair: ClusterRepair = Field(default_factory=ClusterRepair)
    """How sick nodes are repaired."""
    maintenance: Maintenance = Field(default_factory=Maintenance)
    """When updates may happen that kaas does by itself; a change of this spec is carried out at once."""
    updates: Updates = Field(default_factory=Updates)
    """Which updates the Cluster gets by itself."""


class Endpoint(Model):
    """Where the Cluster's API server answers."""

    host: str = Field(max_length=253)
    """Name or address."""
    port: int = Field(ge=1, le=65535)
    """TCP port."""


class SecretName(Model):
    """A Secret in the Cluster's namespace."""

    name: str = Field(max_length=253)
    """Name of the Secret."""


class ControlPlaneStatus(Model):
    """Machines of the control plane, counted."""

    replicas: int = Field(ge=0)
    """Machines that exist."""
    ready: int = Field(ge=0)
    """Of these, how many work."""
    up_to_date: int = Field(ge=0)
    """Of these, how many are as the spec says."""
    certificates_end: datetime | None = None
    """When the first of their certificates ends (UTC); left out while that is not known."""


class NodePoolStatus(Model):
    """Machines of one pool, counted."""

    name: str = Field(max_length=MAX_POOL_NAME)
    """Name of the pool; one that left the spec is listed until its last machine is gone."""
    replicas: int = Field(ge=0)
    """Machines that exist."""
    ready: int = Field(ge=0)
    """Of these, how many have a Ready node."""
    up_to_date: int = Field(ge=0)
    """Of these, how many are as the spec says."""
    available: int = Field(ge=0)
    """Of these, how many have been Ready for long enough to count on."""
    version: str | None = Field(default=None, max_length=32)
    """Kubernetes version that its machines have or are being brought to; of several, the oldest."""


class NewestRevision(Model):
    """The newest way in which kaas makes machines."""

    name: str = Field(max_length=253)
    """Name of the ClusterClass."""
    since: datetime
    """Since when there is that ClusterClass, or this Cluster knows of it (UTC)."""


class NodeCount(Model):
    """Nodes of all pools together; control plane aside."""

    ready: int = Field(ge=0)
    """Nodes that are Ready."""
    desired: int = Field(ge=0)
    """Nodes that the spec asks for."""


class PlannedStep(Model):
    """A step that is still to be done."""

    id: str = Field(max_length=128)
    """Identifies the step."""
    reason: str = Field(max_length=1024)
    """Why it is to be done, for people."""
    waits_for: str | None = Field(default=None, max_length=1024)
    """What it waits for; left out when it is next."""


Phase = Literal["Pending", "Provisioning", "Ready", "Updating", "Degraded", "Blocked", "Deleting"]


class ClusterStatus(Model):
    """What the controller found."""

    phase: Phase | None = None
    """The Cluster in one word. Pending: nothing is made yet, for something that it needs is missing. Provisioning: it
    comes up for the first time. Ready: it is as the spec says. Updating: it works and moves to what the spec says.
    Degraded: a part of it does not work. Blocked: it works, but a change cannot go on until someone acts.
    Deleting: what it made is being removed."""
    conditions: Conditions = ()
    """What holds and what does not, each with its reason; Ready sums them up."""
    observed_generation: int | None = Field(default=None, ge=0)
    """The metadata.generation that this status is about."""
    endpoint: Endpoint | None = None
    """Where the Cluster's API server answers."""
    version: str | None = Field(default=None, max_length=32)
    """Kubernetes version of the control plane: the oldest that one of its machines runs."""
    class_revision: str | None = Field(default=None, max_length=253)
    """Name of the ClusterClass that the Cluster stays on until it is moved by a step of its own."""
    newest_class_revision: NewestRevision | None = None
    """The newest ClusterClass of this kaas, which the Cluster may be moved to."""
    image: str | None = Field(default=None, max_length=255)
    """Node image that machines of its version are made of."""
    kubeconfig_secret: SecretName | None = None
    """Secret with the administrator's kubeconfig under the key `value`."""
    control_plane: ControlPlaneStatus | None = None
    """Machines of the control plane."""
    node_pools: Annotated[tuple[NodePoolStatus, ...], Field(max_length=100), ListMap("name")] = ()
    """Machines of the pools."""
    nodes: NodeCount | None = None
    """Nodes of all pools together."""
    plan: Annotated[tuple[PlannedStep, ...], Field(max_length=100), ListMap("id")] = ()
    """Steps that are still to be done, in order."""
    repair: RepairSummary | None = None
    """Sick nodes, and what is done about them; left out while none is."""
    update: UpdateSummary | None = None
    """What is to be done about the version, and when."""
    add_ons: Annotated[tuple[InstalledAddOn, ...], Field(max_length=100), ListMap("name")] = ()
    """Add-ons that it has, is to have, or is being rid of."""


class Cluster(Resource):
    """A Kubernetes cluster on a Site, with its control plane and node pools."""

    plural: ClassVar[str] = "clusters"
    scope: ClassVar[Literal["Namespaced", "Cluster"]] = "Namespaced"
    short_names: ClassVar[tuple[str, ...]] = ("kc",)
    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="Phase", json_path=".status.phase"),
        Column(name="Version", json_path=".status.version", description="Kubernetes version that runs"),
        Column(name="Site", json_path=".spec.site"),
        Column(
            name="Control plane",
            json_path=".status.controlPlane.ready",
            type="integer",
            description="Control-plane machines that work",
        ),
        Column(name="Nodes", json_path=".status.nodes.ready", type="integer", description="Nodes that are Ready"),
        Column(name="Desired", json_path=".status.nodes.desired", type="integer", priority=1),
        # Not of type date: kubectl shows a time to come as <invalid>.
        Column(name="Next", json_path=".status.update.nextTime", description="When it changes next"),
        condition_message("Ready", priority=1),
        AGE,
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"size(self.metadata.name) <= {MAX_NAME} && self.metadata.name.matches('^(?:{_NAME})$')",
            message=f"metadata.name must have at most {MAX_NAME} lower-case letters, digits and '-', "
            "and begin with a letter: it becomes part of machine names",
            check=_is_cluster_name,
        ),
        Rule(
            cel="!has(self.spec.nodePools) || self.spec.nodePools.all(p,"
            f" size(self.metadata.name) + size(p.name) + 1 <= {MAX_TOGETHER} && (!has(p.zones) || p.zones.all(z,"
            f" size(self.metadata.name) + size(p.name) + size(z) + 2 <= {MAX_TOGETHER})))",
            message=f"nodePools: <cluster>-<pool>-<zone> must have at most {MAX_TOGETHER} characters, "
            "for it begins the machines' names: shorten the name of the pool or of the Cluster",
            check=_fit_together,
            field=".spec.nodePools",
        ),
        *RUNNING_RULES,
    )

    kind: Literal["Cluster"] = "Cluster"
    spec: ClusterSpec
    """What the user asks for."""
    status: ClusterStatus | None = None
    """What the controller found."""

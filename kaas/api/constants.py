"""Names that every part of the project shares."""

from __future__ import annotations

from typing import Final

GROUP: Final = "kaas.internal"
"""API group, and prefix of labels and annotations. `.internal` is reserved for private use: it clashes with no one."""

VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

FIELD_MANAGER: Final = "kaas"
"""Field manager of server-side apply for objects."""

STATUS_MANAGER: Final = "kaas-status"
"""Field manager of server-side apply for status."""

SYSTEM_NAMESPACE: Final = "kaas-system"
"""Where the controller runs, and where a Site's credentials are looked for unless it says otherwise."""

FINALIZER: Final = f"{GROUP}/cluster"
"""Keeps a Cluster until everything that it made is gone."""

LABEL_CLUSTER: Final = f"{GROUP}/cluster"
LABEL_POOL: Final = f"{GROUP}/pool"
CONTROL_PLANE_POOL: Final = ""
"""Stands for the control plane where a pool's name is asked for."""
LABEL_SITE: Final = f"{GROUP}/site"
LABEL_REVISION: Final = f"{GROUP}/class-revision"

REPAIR_STATUS_MANAGER: Final = "kaas-repair-status"
"""Field manager of server-side apply for `Cluster.status.repair` and the condition RepairsAllowed."""

CONDITION_REPAIRS: Final = "RepairsAllowed"
"""Condition of a Cluster that says whether its sick nodes are repaired, and why not."""

UPDATES_MANAGER: Final = "kaas-updates"
"""Field manager of server-side apply for `Cluster.status.update` and the condition VersionUpToDate."""

ADD_ONS_MANAGER: Final = "kaas-add-ons"
"""Field manager of server-side apply for `Cluster.status.addOns` and `Addon.status`."""

ROLLOUT_MANAGER: Final = "kaas-rollouts"
"""Field manager of server-side apply for `Rollout.status`."""

CONDITION_UPDATES: Final = "VersionUpToDate"
"""Condition of a Cluster that says whether it runs the version that it is to run, and why not. UpToDate is another
one: whether its machines are as was handed to Cluster API."""

CONDITION_DRAIN: Final = "DrainAllowed"
"""Condition of a Machine that is to go: whether Cluster API may drain it, and what it waits for."""

LABEL_ADD_ON: Final = f"{GROUP}/add-on"
"""On every object in a Cluster that an add-on put there. Value: name of the Addon."""
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
"""Label of Kubernetes for who keeps an object; `kaas` on those of add-ons."""

# On a Machine; the first on a Node too.
ANNOTATION_REPAIR: Final = f"{GROUP}/repair"
"""A person asks for a repair. Value: the first step, as HardReboot; empty for the first after a drain that helps."""
ANNOTATION_REPAIR_REASON: Final = f"{GROUP}/repair-reason"
"""Why that person asks, in their words."""
ANNOTATION_RELEASED: Final = f"{GROUP}/repair-released"
"""A person lets a machine out of quarantine. Value: the time (RFC 3339) at which they did, and why."""
ANNOTATION_HISTORY: Final = f"{GROUP}/repair-history"
"""The last ten steps that were tried, as JSON, oldest first."""

# On a Cluster or a Site.
ANNOTATION_PAUSED: Final = f"{GROUP}/repair-paused"
"""Repairs wait here. Value: why; `until=<RFC 3339>` in it says until when."""
ANNOTATION_CONFIRMED: Final = f"{GROUP}/repair-confirmed"
"""On a Site: incidents that are to be repaired nevertheless, as JSON: incident to the time until which it counts."""

ANNOTATION_UPDATES_PAUSED: Final = f"{GROUP}/updates-paused"
"""On a Cluster: no update is begun by itself, nor a machine of a pool by one under way. Value: why."""
ANNOTATION_UPDATE_POOLS: Final = f"{GROUP}/update-pools"
"""On a Cluster: pools with the strategy Manual that may be updated now. Value: names with commas between, or `*`.
It counts until it is removed."""
ANNOTATION_UPDATE_RETRY: Final = f"{GROUP}/update-retry"
"""On a Cluster: a person has an update that stopped go on. Value: why."""
ANNOTATION_UPDATE_CHECK: Final = f"{GROUP}/update-check"
"""On a Cluster: a person has the checks before its next update made at once. Value: any text, a new one each time."""

# On a Namespace.
ANNOTATION_MAINTENANCE: Final = f"{GROUP}/maintenance"
"""When its Clusters may be changed. Value: YAML of the same shape as `Cluster.spec.maintenance`."""

# On a MachineDeployment of the topology, and by Cluster API on its Machines.
ANNOTATION_GPU: Final = f"{GROUP}/gpu"
"""The GPU facts that its nodes were made with, as JSON."""

# On a MachineDeployment.
ANNOTATION_REPLACED: Final = f"{GROUP}/repair-replaced"
"""When its last machines were replaced by a repair, and whether it helped, as JSON."""

LABEL_QUARANTINED: Final = f"{GROUP}/quarantined"
"""Label of a Node in quarantine (the signal), key of its taint (NoSchedule: what runs stays), and annotation (why)."""

"""From a Machine, as it is kept in memory, to what repairs are decided from. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from kaas.api.constants import ANNOTATION_REPAIR, CONTROL_PLANE_POOL, LABEL_POOL
from kaas.kube.objects import Object, annotation, condition, is_deleting, labels
from kaas.kube.resources import (
    CONTROL_PLANE_LABEL,
    PAUSED_ANNOTATION,
    REMEDIATE_ANNOTATION,
    SKIP_REMEDIATION_ANNOTATION,
)
from kaas.kube.times import at
from kaas.repairs.facts import ClusterKey, MachineView

_NOT_TOUCHED: Final = (SKIP_REMEDIATION_ANNOTATION, PAUSED_ANNOTATION)


def machine_view(machine: Object, cluster: ClusterKey, site: str, server: str | None = None) -> MachineView:
    """What Cluster API says of a Machine. server: its id when the Machine does not tell it (yet)."""
    meta, spec, status = machine["metadata"], machine.get("spec") or {}, machine.get("status") or {}
    master = CONTROL_PLANE_LABEL in labels(machine)
    return MachineView(
        key=(meta.get("namespace") or "", meta["name"]),
        uid=meta.get("uid") or "",
        cluster=cluster,
        pool=(*cluster, CONTROL_PLANE_POOL if master else labels(machine).get(LABEL_POOL, CONTROL_PLANE_POOL)),
        site=site,
        zone=spec.get("failureDomain") or "",
        created=at(meta["creationTimestamp"]),
        node=(status.get("nodeRef") or {}).get("name"),
        server=(spec.get("providerID") or "").rpartition("/")[2] or server,
        version=spec.get("version") or "",
        control_plane=master,
        infrastructure_ready=_since(machine, "InfrastructureReady"),
        deleting=is_deleting(machine),
        outdated=_is(machine, "UpToDate", "False"),
        skip=any(annotation(machine, name) is not None for name in _NOT_TOUCHED),
        etcd_healthy=_etcd(machine),
        health_check=_failed_check(machine),
        request=annotation(machine, ANNOTATION_REPAIR),
    )


def works(machine: Object) -> bool:
    """Whether a machine of the control plane does its part: its Node is well, its API server runs, etcd is healthy."""
    broken = ("NodeHealthy", "APIServerPodHealthy", "EtcdMemberHealthy")
    return not is_deleting(machine) and not any(_is(machine, name, "False") for name in broken)


def _since(machine: Object, name: str) -> datetime | None:
    """When a condition became True, for as long as that is kept: until the machine has joined."""
    found = condition(machine, name)
    if found is None or found.get("status") != "True" or "lastTransitionTime" not in found:
        return None
    return at(found["lastTransitionTime"])


def _etcd(machine: Object) -> bool | None:
    found = condition(machine, "EtcdMemberHealthy")
    return {"True": True, "False": False}.get(found["status"]) if found else None


def _failed_check(machine: Object) -> str | None:
    """What MachineHealthCheck found; our own mark, which it repeats, is not news."""
    found = condition(machine, "HealthCheckSucceeded")
    if found is None or found.get("status") != "False" or annotation(machine, REMEDIATE_ANNOTATION) is not None:
        return None
    return found.get("message") or found.get("reason") or "unhealthy"


def _is(machine: Object, name: str, status: str) -> bool:
    found = condition(machine, name)
    return found is not None and found.get("status") == status

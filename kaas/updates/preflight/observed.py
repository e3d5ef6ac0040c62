"""What the index says of a Cluster before an update: its machines, its etcd, and the image of its machines. Pure."""

from __future__ import annotations

from typing import Final

from kaas.api.constants import CONTROL_PLANE_POOL, LABEL_POOL
from kaas.kube import resources
from kaas.kube.objects import Object, condition, is_deleting, labels
from kaas.kube.ports import Source
from kaas.kube.times import at
from kaas.updates.preflight.facts import MachineFacts
from kaas.updates.run import Case, ClusterKey

_SAID: Final = {"True": True, "False": False}


def machines_of(store: Source, key: ClusterKey) -> tuple[MachineFacts, ...]:
    """The Machines of a Cluster."""
    return tuple(machine_facts(machine) for machine in store.of_cluster(resources.MACHINE, *key))


def machine_facts(machine: Object) -> MachineFacts:
    """What Cluster API says of a Machine."""
    status = machine.get("status") or {}
    master = resources.CONTROL_PLANE_LABEL in labels(machine)
    ready = condition(machine, "Ready") or {}
    ends = status.get("certificatesExpiryDate")
    return MachineFacts(
        name=machine["metadata"]["name"],
        pool=CONTROL_PLANE_POOL if master else labels(machine).get(LABEL_POOL, "?"),
        version=(machine.get("spec") or {}).get("version") or "",
        node=(status.get("nodeRef") or {}).get("name"),
        ready=_SAID.get(ready.get("status", "")),
        trouble="" if ready.get("status") == "True" else _words(ready),
        deleting=is_deleting(machine),
        member=_SAID.get((condition(machine, "EtcdMemberHealthy") or {}).get("status", "")) if master else None,
        certificates=at(ends) if ends else None,
    )


def _words(found: Object) -> str:
    """The message of a condition on one line, else its reason."""
    return " ".join(str(found.get("message") or found.get("reason") or "").split())


def etcd_of(store: Source, key: ClusterKey) -> tuple[bool | None, str]:
    """What the control plane says of all members of etcd: whether they are well, and why not."""
    found = store.of_cluster(resources.KUBEADM_CONTROL_PLANE, *key)
    said = condition(found[0], "EtcdClusterHealthy") if found else None
    if said is None:
        return None, "" if found else "there is no KubeadmControlPlane"
    return _SAID.get(said["status"]), "" if said["status"] == "True" else _words(said)


def image_of(store: Source, case: Case) -> str | None:
    """The node image of new machines: the one that is gone to, else that of the version; None when nobody says."""
    version = str(case.aims.version)
    if case.aims.image:
        return case.aims.image
    cluster = store.get(resources.CAPI_CLUSTER, *case.key)
    variables = ((cluster or {}).get("spec") or {}).get("topology", {}).get("variables") or ()
    pinned = next((v["value"] for v in variables if v["name"] == "images"), None) or {}
    named = next((i.name for i in case.site.spec.images if i.version == version), None)
    return pinned.get(version) or named or _released(store, version)


def _released(store: Source, version: str) -> str | None:
    found = (r for r in store.list(resources.RELEASE) if r["spec"]["version"] == version)
    latest = max(found, key=lambda r: str(r["metadata"]["name"]), default=None)
    return str(latest["spec"]["image"]) if latest else None

"""Claims and Pods that the tests are about, and what became of them."""

from __future__ import annotations

from typing import Any

from kaas.volumes import terms
from kaas.volumes.identity import Load
from tests.contract.credentials.cluster import Answer, Cluster, Object, manifest

SOURCE = "s3://models/llama/"
RESTRICTED = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
ROOM = {"requests": {"storage": "1Gi"}}


def claim(namespace: str, name: str = "data", *, mode: str = "ReadWriteOnce", **notes: str) -> Object:
    """A claim with annotations of loads, `_` for `-`."""
    annotations = {terms.PREFIX + key.replace("_", "-"): value for key, value in notes.items()}
    spec = {"accessModes": [mode], "resources": ROOM, "volumeName": f"pv-{namespace}-{name}"}
    return manifest("PersistentVolumeClaim", name, namespace, annotations=annotations, spec=spec)


def pod(namespace: str, *claims: str, annotations: dict[str, str] | None = None, **spec: Any) -> Object:
    """A Pod without a name that mounts claims."""
    volumes = [{"name": f"v{n}", "persistentVolumeClaim": {"claimName": name}} for n, name in enumerate(claims)]
    limits = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    wanted = {
        "securityContext": RESTRICTED,
        "containers": [{"name": "app", "image": "app", "securityContext": limits}],
        "volumes": volumes,
        **spec,
    }
    metadata: Object = {"generateName": "app-", "namespace": namespace, "annotations": annotations or {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": wanted}


def template(*claims: str) -> Object:
    """What Deployments and Jobs make Pods of."""
    found = pod("", *claims)
    return {"metadata": {"labels": {"app": "x"}}, "spec": {**found["spec"], "restartPolicy": "Always"}}


def gates(found: Object) -> list[str]:
    """Names of a Pod's gates."""
    return [gate["name"] for gate in found["spec"].get("schedulingGates") or ()]


def waits(answer: Answer) -> bool:
    """Whether a Pod that was taken waits: it has our gate and our label, or neither."""
    assert answer.status == 201, answer
    return held(answer.body)


def held(found: Object) -> bool:
    """The same of a Pod."""
    labelled = (found["metadata"].get("labels") or {}).get(terms.WAITING_LABEL) == terms.WAITING
    gated = terms.GATE in gates(found)
    assert labelled == gated, found["metadata"]
    return gated


async def made(cluster: Cluster, obj: Object) -> Object:
    """Create; nobody says a word against it."""
    answer = await cluster.create(obj)
    assert (answer.status, answer.warnings) == (201, []), answer
    return answer.body


async def loaded(cluster: Cluster, found: Object) -> None:
    """Write what the controller writes when a claim's data is there."""
    note = found["metadata"].get("annotations", {}).get(terms.ID, "")
    said = Load.of(found["metadata"]["uid"], note, "00000000").marked("1.0GiB in 3 files", 1024)
    now = "2026-01-01T00:00:00Z"
    condition = {"type": terms.CONDITION, "status": "True", "reason": "Loaded", "message": said}
    status = {"conditions": [{**condition, "lastTransitionTime": now}]}
    meta = found["metadata"]
    path = f"/api/v1/namespaces/{meta['namespace']}/persistentvolumeclaims/{meta['name']}/status"
    answer = await cluster.call("PATCH", path, {"status": status}, "application/merge-patch+json")
    assert answer.status == 200, answer

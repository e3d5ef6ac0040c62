"""Claims, Jobs and Pods: each builder gives what is usual, and takes what a test is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from kaas.kube.objects import Object
from kaas.volumes import terms
from kaas.volumes.attempts import Attempt, Job, Outcome
from kaas.volumes.claim import Claim, claim_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SOURCE = "s3://models/llama/"


def raw_claim(*, condition: Object | None = None, phase: str = "Bound", **spec: Any) -> Object:
    """A claim; keywords with `load_` are annotations."""
    notes = {terms.PREFIX + k.removeprefix("load_").replace("_", "-"): v for k, v in spec.items() if "load_" in k}
    meta = {
        "name": "data",
        "namespace": "team",
        "uid": "c1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "annotations": notes,
    }
    rest = {k: v for k, v in spec.items() if "load_" not in k}
    status = {"phase": phase, "conditions": [condition] if condition else []}
    wanted = {"accessModes": ["ReadWriteOnce"], "volumeName": "pv", **rest}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": wanted, "status": status}


def claim(**spec: Any) -> Claim:
    """A claim that asks for a load."""
    return claim_of(raw_claim(**{"load_source": SOURCE, **spec}))


def pod(name: str = "app", *claims: str, gates: tuple[str, ...] = (terms.GATE,), **spec: Any) -> Object:
    """A Pod that waits."""
    meta = {
        "name": name,
        "namespace": "team",
        "uid": f"uid-{name}",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {terms.WAITING_LABEL: "waiting"},
    }
    volumes = [{"name": c, "persistentVolumeClaim": {"claimName": c}} for c in claims]
    wanted = {"volumes": volumes, "schedulingGates": [{"name": g} for g in gates], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": wanted, "status": {}}


def job(mark: str, *attempts: Attempt, **more: Any) -> Job:
    """A Job that runs."""
    usual: dict[str, Any] = {
        "name": "load-data",
        "uid": "j1",
        "deleting": False,
        "outcome": Outcome.RUNNING,
        "created": NOW,
        "deadline": NOW + timedelta(hours=24),
        "tries": 7,
    }
    return Job(mark=mark, attempts=attempts, **{**usual, **more})


def attempt(**more: Any) -> Attempt:
    """One Pod of a load."""
    return Attempt(**{"name": "load-data-1", "created": NOW, **more})

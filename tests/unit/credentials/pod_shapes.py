"""Pods, ServiceAccounts and Secrets for tests of the Pod side, and a Pod as it is once its patch is applied."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import jsonpatch

from kaas.credentials.pods.facts import SecretFacts
from kaas.credentials.pods.mutation import Outcome, mutate
from kaas.credentials.terms import AWS_ANNOTATION, AWS_TYPE, GCP_ANNOTATION, GCP_FILE, GCP_TYPE, TOKEN_MOUNT

Object = dict[str, Any]

KEYS = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"})
AUDIENCE = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k"
STATIC: dict[str, SecretFacts | None] = {
    "team-s3": SecretFacts(AWS_TYPE, KEYS),
    "team-gcs": SecretFacts(GCP_TYPE, frozenset({GCP_FILE})),
}
KEYLESS: dict[str, SecretFacts | None] = {
    "team-s3": SecretFacts(AWS_TYPE, frozenset({"AWS_ROLE_ARN", "AWS_REGION", "ca.crt"})),
    "team-gcs": SecretFacts(GCP_TYPE, frozenset({GCP_FILE}), True, AUDIENCE, f"{TOKEN_MOUNT}/gcp"),
}
BOTH = {AWS_ANNOTATION: "team-s3", GCP_ANNOTATION: "team-gcs"}
AWS = {AWS_ANNOTATION: "team-s3"}
GCP = {GCP_ANNOTATION: "team-gcs"}


def container(name: str = "app", **fields: Any) -> Object:
    return {"name": name, "image": "registry.example/app", **fields}


def pod(*containers: Object, annotations: Mapping[str, Any] | None = None, **spec: Any) -> Object:
    """A Pod as it comes to webhooks: the API server has filled in its ServiceAccount."""
    meta: Object = {"generateName": "app-7d9f-", "namespace": "team"}
    if annotations is not None:
        meta["annotations"] = dict(annotations)
    full = {"containers": list(containers), "serviceAccountName": "default", **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": full}


def account(annotations: Mapping[str, Any]) -> Object:
    return {"metadata": {"name": "default", "annotations": dict(annotations)}}


def patched(raw: Object, outcome: Outcome) -> Object:
    """A Pod with its patch, by somebody else's implementation of RFC 6902."""
    # The library puts values into the result as they are, and later operations change them there.
    result: Object = jsonpatch.apply_patch(raw, copy.deepcopy(outcome.patch))
    return result


def injected(
    raw: Object, secrets: Mapping[str, SecretFacts | None] = STATIC, service_account: Object | None = None
) -> Object:
    """A Pod as its containers will see it; it must not have been refused."""
    outcome = mutate(raw, service_account, secrets)
    assert outcome.denied is None
    return patched(raw, outcome)


def environment(found: Object) -> dict[str, Any]:
    """Variables of a container: its value, `secret/key`, or the field of the Pod."""
    return {e["name"]: _value(e) for e in found.get("env") or []}


def _value(entry: Object) -> Any:
    if "value" in entry:
        return entry["value"]
    source = entry["valueFrom"]
    if "secretKeyRef" in source:
        ref = source["secretKeyRef"]
        return f"{ref['name']}/{ref['key']}" + ("?" if ref.get("optional") else "")
    return source["fieldRef"]["fieldPath"]


def mounts(found: Object) -> dict[str, str]:
    """Paths of a container, and which volume is there."""
    return {m["mountPath"]: m["name"] for m in found.get("volumeMounts") or []}

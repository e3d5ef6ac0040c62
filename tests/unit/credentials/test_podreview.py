"""Admission reviews of Pods: what is looked up, and what is answered."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from kaas.credentials.podreview import MOST_WARNINGS, Needs, answer, needs, respond
from kaas.credentials.pods.facts import SecretFacts, facts_of
from kaas.credentials.terms import AWS_ANNOTATION, GCP_ANNOTATION, GCP_FILE, GCP_TYPE, SEEN_ANNOTATION, TOKEN_MOUNT
from tests.unit.credentials.pod_shapes import (
    AUDIENCE,
    AWS,
    BOTH,
    STATIC,
    Object,
    account,
    container,
    environment,
    pod,
)

OFF = {AWS_ANNOTATION: "none", GCP_ANNOTATION: "none"}


def review(raw: Object, **request: Any) -> Object:
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {"uid": "1-2", "kind": kind, "namespace": "team", "operation": "CREATE", "object": raw, **request},
    }


def test_what_is_looked_up() -> None:
    asked = review(pod(container(), annotations=AWS, serviceAccountName="reader"))
    assert needs(asked) == Needs("team", "reader", ("team-s3",))
    assert needs(asked, account(BOTH)) == Needs("team", None, ("team-s3", "team-gcs"))
    assert needs(asked, accounts=False) == Needs("team", None, ("team-s3",))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (pod(container()), Needs("team", "default")),
        (pod(container(), annotations=OFF), Needs("team")),
        (pod(container(), annotations={AWS_ANNOTATION: "Wrong"}), Needs("team")),
        (pod(container(), annotations={AWS_ANNOTATION: "s", GCP_ANNOTATION: "s"}), Needs("team", "default", ("s",))),
    ],
)
def test_no_more_is_looked_up_than_needed(raw: Object, expected: Needs) -> None:
    assert needs(review(raw)) == expected


def test_a_patch() -> None:
    sent = respond(review(pod(container(), annotations=AWS)), None, STATIC)
    assert (sent["apiVersion"], sent["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response = sent["response"]
    assert (response["uid"], response["allowed"], response["patchType"]) == ("1-2", True, "JSONPatch")
    operations = json.loads(base64.b64decode(response["patch"]))
    assert operations[0]["path"] == "/spec/containers/0/env"
    assert "AWS_ACCESS_KEY_ID" in environment({"env": operations[0]["value"]})
    assert "warnings" not in response


def test_a_refusal() -> None:
    response = respond(review(pod(container(), annotations={AWS_ANNOTATION: "Wrong"})), None, {})["response"]
    assert response["allowed"] is False
    assert response["status"]["code"] == 422
    assert response["status"]["message"].startswith("metadata.annotations[kaas.internal/aws-credentials] of the Pod")
    assert "patch" not in response


def test_nothing_to_give() -> None:
    raw = pod(container())
    response = respond(review(raw), None, {})["response"]
    mark = {"op": "add", "path": "/metadata/annotations", "value": {SEEN_ANNOTATION: "1"}}
    assert json.loads(base64.b64decode(response["patch"])) == [mark]
    raw["metadata"]["annotations"] = mark["value"]
    assert respond(review(raw), None, {})["response"] == {"uid": "1-2", "allowed": True}


@pytest.mark.parametrize(
    "request_fields",
    [
        {"operation": "UPDATE"},
        {"operation": "DELETE", "object": None},
        {"subResource": "ephemeralcontainers"},
        {"kind": {"group": "", "version": "v1", "kind": "Secret"}},
        {"kind": {"group": "metrics.k8s.io", "version": "v1", "kind": "Pod"}},
    ],
)
def test_what_is_not_the_creation_of_a_pod_is_allowed(request_fields: Object) -> None:
    asked = review(pod(container(), annotations=AWS), **request_fields)
    assert needs(asked) == Needs("team")
    assert respond(asked, None, STATIC)["response"] == {"uid": "1-2", "allowed": True}


def test_warnings_fit_into_a_header() -> None:
    many = [container(f"c{n}\n{'x' * 300}", env=[{"name": "AWS_PROFILE", "value": ""}]) for n in range(30)]
    found = answer(review(pod(*many, annotations=AWS)), None, STATIC)
    assert len(found.warnings) == MOST_WARNINGS
    assert {len(w) for w in found.warnings} == {256}
    assert all(w.isprintable() for w in found.warnings)


def test_who_asked_is_told_for_the_metrics() -> None:
    found = answer(review(pod(container(), annotations=AWS)), account(BOTH), STATIC)
    assert found.given == {"aws": "Pod", "gcp": "ServiceAccount"}


def encoded(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def test_facts_of_secrets() -> None:
    config = {"type": "external_account", "audience": AUDIENCE, "credential_source": {"file": f"{TOKEN_MOUNT}/gcp"}}
    external = {"type": GCP_TYPE, "data": {GCP_FILE: encoded(config)}}
    assert facts_of(external) == SecretFacts(GCP_TYPE, frozenset({GCP_FILE}), True, AUDIENCE, f"{TOKEN_MOUNT}/gcp")
    static = {"type": GCP_TYPE, "data": {GCP_FILE: encoded({"type": "service_account", "private_key": "SECRET"})}}
    assert facts_of(static) == SecretFacts(GCP_TYPE, frozenset({GCP_FILE}))
    assert "SECRET" not in repr(facts_of(static))
    assert facts_of({"type": "t", "data": {"AWS_ROLE_ARN": "eA=="}}).role


@pytest.mark.parametrize("content", ["", "%%%", "eA", encoded([]), encoded({"type": "external_account"}), "A" * 10**6])
def test_files_that_say_nothing(content: str) -> None:
    facts = facts_of({"type": GCP_TYPE, "data": {GCP_FILE: content}})
    assert (facts.audience, facts.token_file) == ("", "")

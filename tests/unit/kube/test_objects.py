"""Reading plain objects."""

from __future__ import annotations

import pytest

from kaas.kube import resources
from kaas.kube.errors import Conflict, Forbidden, Invalid, KubeError, NotFound, Unavailable, error_for
from kaas.kube.objects import (
    Ref,
    annotation,
    condition,
    is_deleting,
    is_true,
    labels,
    owner_reference,
    owner_uids,
    ref_of,
    uid,
)

CLUSTER = {
    "apiVersion": "kaas.internal/v1alpha1",
    "kind": "Cluster",
    "metadata": {"name": "one", "namespace": "team-a", "uid": "u1", "labels": {"a": "b"}, "annotations": {"n": "v"}},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Synced", "status": "False"}]},
}


def test_names() -> None:
    assert ref_of(CLUSTER) == Ref("kaas.internal/v1alpha1", "Cluster", "team-a", "one")
    assert str(ref_of(CLUSTER)) == "Cluster.kaas.internal team-a/one"
    assert str(Ref("v1", "Node", None, "n")) == "Node n"
    assert uid(CLUSTER) == "u1"
    assert uid({"metadata": {}}) == ""


def test_labels_annotations_and_conditions() -> None:
    assert labels(CLUSTER) == {"a": "b"}
    assert labels({"metadata": {"labels": None}}) == {}
    assert annotation(CLUSTER, "n") == "v"
    assert annotation(CLUSTER, "other") is None
    assert condition(CLUSTER, "Synced") == {"type": "Synced", "status": "False"}
    assert condition(CLUSTER, "Never") is None
    assert is_true(CLUSTER, "Ready")
    assert not is_true(CLUSTER, "Synced")
    assert not is_true({}, "Ready")


def test_ownership() -> None:
    reference = owner_reference(CLUSTER)
    assert reference == {
        "apiVersion": "kaas.internal/v1alpha1",
        "kind": "Cluster",
        "name": "one",
        "uid": "u1",
        "controller": True,
        "blockOwnerDeletion": True,
    }
    assert "controller" not in owner_reference(CLUSTER, controller=False)
    assert owner_uids({"metadata": {"ownerReferences": [reference]}}) == ["u1"]
    assert owner_uids({}) == []
    assert is_deleting({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    assert not is_deleting(CLUSTER)


@pytest.mark.parametrize("resource", resources.KNOWN.values(), ids=str)
def test_table_of_kinds(resource: resources.Resource) -> None:
    assert resource.plural == resource.plural.lower()
    assert resources.find(resource.api_version, resource.kind) == resource
    newer = resources.find(f"{resource.group}/v9" if resource.group else "v9", resource.kind)
    assert newer == resource.at("v9")


def test_paths() -> None:
    assert resources.CLUSTER.path("a", "b") == "/apis/kaas.internal/v1alpha1/namespaces/a/clusters/b"
    assert resources.MACHINE.path() == "/apis/cluster.x-k8s.io/v1beta2/machines"
    assert resources.SITE.path("ignored", "s") == "/apis/kaas.internal/v1alpha1/sites/s"
    assert resources.SECRET.path("a") == "/api/v1/namespaces/a/secrets"
    assert resources.find("example.com/v1", "Other") is None


@pytest.mark.parametrize(
    ("code", "body", "kind"),
    [
        (404, b'{"message": "no", "reason": "NotFound"}', NotFound),
        (409, b'{"message": "changed", "reason": "Conflict"}', Conflict),
        (422, b'{"message": "bad"}', Invalid),
        (400, b'{"message": "strict decoding error"}', Invalid),
        (401, b"", Forbidden),
        (403, b'{"message": "may not"}', Forbidden),
        (500, b'{"message": "failed to create typed patch object: .dta: field not declared in schema"}', Invalid),
        (500, b'{"message": "etcdserver: request timed out"}', Unavailable),
        (502, b"<html>proxy</html>", Unavailable),
        (429, b"[]", Unavailable),
        (408, b"", Unavailable),
        (406, b"", Invalid),
    ],
)
def test_errors_by_meaning(code: int, body: bytes, kind: type[KubeError]) -> None:
    error = error_for("apply Cluster a/b", code, body)
    assert type(error) is kind
    assert error.code == code
    assert str(error).startswith("apply Cluster a/b: ")
    assert kind.hint in str(error)


def test_causes_are_kept() -> None:
    causes = b'[{"field": "spec.version", "message": "must be"}, {"message": "m"}]'
    body = b'{"message": "invalid", "details": {"causes": ' + causes + b"}}"
    assert [str(c) for c in error_for("x", 422, body).causes] == ["spec.version: must be", "m"]

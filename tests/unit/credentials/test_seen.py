"""The mark by which the API server knows that a Pod was answered."""

from __future__ import annotations

from typing import Any

import jsonpatch
import pytest

from kaas.credentials.podreview import answer
from kaas.credentials.pods.mutation import mutate
from kaas.credentials.pods.seen import mark
from kaas.credentials.pods.wanted import MIRROR_ANNOTATION
from kaas.credentials.terms import AWS_ANNOTATION, SEEN_ANNOTATION
from tests.unit.credentials.pod_shapes import AWS, STATIC, Object, container, pod
from tests.unit.credentials.test_podreview import review


def marked(raw: Object) -> Object:
    patch = mutate(raw, None, STATIC).patch
    found: Object = jsonpatch.apply_patch(raw, [*patch, *mark(raw, patch)])
    return found


@pytest.mark.parametrize("annotations", [None, {}, {"a": "b"}, AWS, {SEEN_ANNOTATION: "7"}])
def test_it_counts_all_containers_whatever_else_is_annotated(annotations: Any) -> None:
    raw = pod(container(), container("b"), annotations=annotations, initContainers=[container("proxy")])
    found = marked(raw)
    assert found["metadata"]["annotations"][SEEN_ANNOTATION] == "3"
    assert found["metadata"]["annotations"].keys() >= (annotations or {}).keys()
    assert mark(found, []) == []


def test_a_container_that_was_added_makes_it_wrong() -> None:
    found = marked(pod(container()))
    found["spec"]["containers"].append(container("sidecar"))
    (operation,) = mark(found, [])
    assert operation["value"] == "2"


def test_a_copy_of_a_static_pod_is_the_kubelets() -> None:
    raw = pod(container(), annotations={MIRROR_ANNOTATION: "x", **AWS})
    assert mark(raw, []) == []


@pytest.mark.parametrize("raw", [{}, {"metadata": None, "spec": {}}, {"metadata": {}, "spec": []}])
def test_what_is_no_pod_is_left_alone(raw: Object) -> None:
    assert mark(raw, []) == []


def test_a_refused_pod_is_not_marked() -> None:
    response = answer(review(pod(container(), annotations={AWS_ANNOTATION: "Wrong"})), None, {}).review["response"]
    assert "patch" not in response

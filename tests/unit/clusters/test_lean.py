"""What is kept of objects: all that is read, the same when it is made small again, and what is alike only once."""

from __future__ import annotations

import copy

from kaas.clusters import lean
from kaas.clusters.status import COUNTS
from tests.unit.clusters.builders import Object, capi_cluster, condition, deployment, machine

TIMES = {"lastTransitionTime": "2026-01-05T08:00:00Z", "observedGeneration": 3}


def test_conditions_lose_their_times() -> None:
    found = lean.part(machine("m", {**condition("Ready"), **TIMES}, condition("NodeHealthy", "False", "Sick", "words")))
    assert found["status"]["conditions"] == [condition("Ready"), condition("NodeHealthy", "False", "Sick", "words")]


def test_what_is_alike_is_kept_once() -> None:
    one, two = (lean.part(machine(name, {**condition("Ready"), **TIMES})) for name in "ab")
    assert one["status"]["conditions"] is two["status"]["conditions"]
    assert one["metadata"]["labels"] is two["metadata"]["labels"]


def test_counts_are_kept() -> None:
    counts: Object = dict.fromkeys(COUNTS.values(), 2)
    assert lean.part(deployment("d", "cpu", **counts))["status"] == {**counts, "conditions": []}
    assert lean.part(deployment("d", "cpu"))["spec"] == {"template": {"spec": {"version": "v1.36.1"}}}


def test_made_small_twice_is_the_same() -> None:
    for make, obj in (
        (lean.part, machine("m", condition("Ready"), control_plane=True, spec={"version": "v1.36.1", "other": 1})),
        (lean.part, deployment("d", "cpu", readyReplicas=1)),
        (lean.cluster, capi_cluster(condition("Available"), topology={"version": "v1.36.1"})),
        (lean.cluster_class, {"apiVersion": "v1", "kind": "C", "metadata": {"name": "c"}, "spec": {"variables": []}}),
    ):
        before = copy.deepcopy(obj)
        small = make(obj)
        assert make(small) == small
        assert obj == before


def test_of_annotations_only_ours_stays() -> None:
    theirs = {"kubectl.kubernetes.io/last-applied-configuration": "long"}
    found = capi_cluster(metadata={"annotations": {**theirs, "kaas.internal/applied": "hash"}})
    assert lean.cluster(found)["metadata"]["annotations"] == {"kaas.internal/applied": "hash"}
    assert "annotations" not in lean.cluster(capi_cluster(metadata={"annotations": theirs}))["metadata"]

"""What is kept of objects: all that is read, the same when it is made small again, and what is alike only once."""

from __future__ import annotations

import copy

from kaas.clusters.status import COUNTS
from kaas.kube import lean
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


def test_of_a_machine_is_kept_where_it_runs() -> None:
    spec = {
        "version": "v1.36.1",
        "failureDomain": "az-1",
        "providerID": "openstack:///1",
        "bootstrap": {"dataSecretName": "m-boot", "configRef": {"name": "m"}},
        "infrastructureRef": {"name": "m-server", "kind": "OpenStackMachine"},
    }
    found = lean.machine(machine("m", condition("Ready"), spec=spec))
    assert found["spec"] == {
        "version": "v1.36.1",
        "failureDomain": "az-1",
        "providerID": "openstack:///1",
        "bootstrap": {"dataSecretName": "m-boot"},
        "infrastructureRef": {"name": "m-server"},
    }
    assert lean.machine(found) == found


def test_of_a_machine_is_kept_when_its_certificates_end() -> None:
    found = machine("m", condition("Ready"), control_plane=True)
    found["status"]["certificatesExpiryDate"] = "2027-09-01T00:00:00Z"
    assert lean.machine(found)["status"]["certificatesExpiryDate"] == "2027-09-01T00:00:00Z"


def test_times_are_kept_until_a_machine_has_joined() -> None:
    made = machine("m", {**condition("InfrastructureReady"), **TIMES})
    joined = copy.deepcopy(made)
    joined["status"]["nodeRef"] = {"name": "m"}
    made["status"].pop("nodeRef", None)
    assert lean.machine(made)["status"]["conditions"][0]["lastTransitionTime"] == TIMES["lastTransitionTime"]
    assert lean.machine(lean.machine(made)) == lean.machine(made)
    assert "lastTransitionTime" not in lean.machine(joined)["status"]["conditions"][0]


def test_annotations_about_repairs_are_kept() -> None:
    noted = machine("m", condition("Ready"))
    noted["metadata"]["annotations"] = {"kaas.internal/repair": "", "cluster.x-k8s.io/paused": "", "other": "x"}
    assert lean.machine(noted)["metadata"]["annotations"] == {"kaas.internal/repair": "", "cluster.x-k8s.io/paused": ""}

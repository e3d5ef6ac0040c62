"""The index against a plain list of what should be in it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kaas.kube.objects import Ref
from kaas.kube.resources import CAPI_CLUSTER, CLUSTER, CLUSTER_NAME_LABEL, MACHINE, SECRET, SITE
from kaas.runtime.index import Index


def machine(name: str, *, namespace: str = "t", cluster: str = "", owner: str = "", uid: str = "") -> dict[str, Any]:
    meta: dict[str, Any] = {"name": name, "namespace": namespace, "uid": uid or f"uid-{name}"}
    if cluster:
        meta["labels"] = {CLUSTER_NAME_LABEL: cluster}
    if owner:
        meta["ownerReferences"] = [{"uid": owner}]
    return {"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Machine", "metadata": meta}


def test_kinds_of_one_name_are_two_kinds_and_versions_are_one() -> None:
    index = Index()
    ours = {"apiVersion": "kaas.internal/v1alpha1", "kind": "Cluster", "metadata": {"name": "c", "namespace": "t"}}
    theirs = {"apiVersion": "cluster.x-k8s.io/v1beta1", "kind": "Cluster", "metadata": {"name": "c", "namespace": "t"}}
    index.put(ours)
    assert index.get(CAPI_CLUSTER, "t", "c") is None
    index.put(theirs)
    assert index.get(CLUSTER, "t", "c") == ours
    assert index.get(CAPI_CLUSTER, "t", "c") == theirs
    assert index.get_ref(Ref("cluster.x-k8s.io/v1beta2", "Cluster", "t", "c")) == theirs


def test_cluster_wide_kinds() -> None:
    index = Index()
    site = {"apiVersion": "kaas.internal/v1alpha1", "kind": "Site", "metadata": {"name": "s"}}
    index.put(site)
    assert index.get(SITE, None, "s") == site
    assert index.list(SITE) == [site]


def test_put_and_remove_tell_what_was_known() -> None:
    index = Index()
    assert index.put(machine("a", cluster="one")) is None
    before = index.put(machine("a", cluster="two"))
    assert before == machine("a", cluster="one")
    assert index.of_cluster(MACHINE, "t", "one") == []
    assert index.of_cluster(MACHINE, "t", "two") == [machine("a", cluster="two")]
    assert index.remove(machine("a")) == machine("a", cluster="two")
    assert index.remove(machine("a")) is None
    assert index.of_cluster(MACHINE, "t", "two") == []


def test_an_answer_does_not_undo_what_a_watch_has_shown_since() -> None:
    """Answers to writes come by other connections than watches do."""
    index = Index()
    for number in (9, 10):
        index.put(_at(number), seen=True)
    assert index.put(_at(9)) == _at(10)
    assert index.get(MACHINE, "t", "a") == _at(10)
    assert index.caught_up(_at(10)) is None, "nothing of ours is ahead"
    index.put(_at(11))
    assert index.get(MACHINE, "t", "a") == _at(11)
    index.put(_at(3), seen=True)  # as after a backup was restored
    assert index.get(MACHINE, "t", "a") == _at(3)


def _at(number: int) -> dict[str, Any]:
    found = machine("a")
    return {**found, "metadata": {**found["metadata"], "resourceVersion": str(number)}}


def test_a_late_deletion_does_not_take_the_successor() -> None:
    index = Index()
    index.put(machine("a", uid="new"))
    assert index.remove(machine("a", uid="old")) is None
    assert index.get(MACHINE, "t", "a") is not None


def test_owners() -> None:
    index = Index()
    index.put(machine("b", owner="o"))
    index.put(machine("a", owner="o"))
    index.put(machine("c", owner="p"))
    assert [o["metadata"]["name"] for o in index.owned_by("o")] == ["a", "b"]
    assert index.owned_by("o", SITE) == []
    assert index.count() == index.count(MACHINE) == 3


def test_memory_is_lean() -> None:
    def keep(secret: dict[str, Any]) -> list[str]:
        return ["value"] if secret["metadata"]["name"].endswith("-kubeconfig") else []

    index = Index(keep)
    for name in ("c-kubeconfig", "other"):
        meta = {"name": name, "namespace": "t", "managedFields": [{"manager": "x"}]}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {"value": "dg==", "more": "bQ=="}}
        index.put(secret)
        assert secret["data"] == {"value": "dg==", "more": "bQ=="}
    kept = index.get(SECRET, "t", "c-kubeconfig")
    assert kept is not None
    assert kept["data"] == {"value": "dg=="}
    assert "managedFields" not in kept["metadata"]
    assert index.get(SECRET, "t", "other")["data"] == {}  # type: ignore[index]


NAMES, CLUSTERS = st.sampled_from("abc"), st.sampled_from(["", "one", "two"])
STEPS = st.lists(st.tuples(st.booleans(), NAMES, st.sampled_from("tu"), CLUSTERS, CLUSTERS), max_size=40)


@given(STEPS)
def test_secondary_indices_agree_with_the_objects(steps: list[tuple[bool, str, str, str, str]]) -> None:
    index, model = Index(), dict[tuple[str, str], dict[str, Any]]()
    for present, name, namespace, cluster, owner in steps:
        obj = machine(name, namespace=namespace, cluster=cluster, owner=owner)
        if present:
            index.put(obj)
            model[(namespace, name)] = obj
        else:
            index.remove(obj)
            model.pop((namespace, name), None)
    known = [model[k] for k in sorted(model)]
    assert index.list(MACHINE) == known
    for label in ("one", "two"):
        in_t = [o for o in known if o["metadata"]["namespace"] == "t"]
        assert index.list(MACHINE, "t") == in_t
        expected = [o for o in in_t if o["metadata"].get("labels") == {CLUSTER_NAME_LABEL: label}]
        assert index.of_cluster(MACHINE, "t", label) == expected
        owned = [o for o in known if o["metadata"].get("ownerReferences") == [{"uid": label}]]
        assert index.owned_by(label) == owned

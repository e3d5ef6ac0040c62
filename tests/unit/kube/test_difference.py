"""When an apply would change something, and when not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.kube.difference import APPLIED_ANNOTATION, applied_hash, differs, with_applied_hash

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text("ab1", max_size=2))
NAMES = st.sampled_from(["a", "b", "name", "type", "labels", "spec"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


def obj(**parts: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "x"}, **parts}


OBJECTS = st.builds(lambda spec: obj(spec=spec), st.dictionaries(NAMES, VALUES, max_size=4))


@pytest.mark.parametrize(
    ("desired", "live", "paths"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, []),
        ({"a": 1}, {"a": "1"}, ["spec.a"]),
        ({"a": "1"}, {"a": "1000m"}, ["spec.a"]),
        ({"a": 1}, {"a": True}, ["spec.a"]),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": False}, {}, ["spec.a"]),
        ({"a": None}, {}, []),
        ({"a": {}}, {}, ["spec.a"]),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, ["spec.a.b.c"]),
        ({"a": [1, 2]}, {"a": [1, 2]}, []),
        ({"a": [1, 2]}, {"a": [2, 1]}, ["spec.a[0]", "spec.a[1]"]),
        ({"a": [1]}, {"a": [1, 2]}, ["spec.a"]),
        ({"a": []}, {"a": [1]}, ["spec.a"]),
        ({"a": [1]}, {"a": {"b": 1}}, ["spec.a"]),
        ({"v": [{"name": "x", "value": 1}]}, {"v": [{"name": "y"}, {"name": "x", "value": 1, "more": 2}]}, []),
        ({"v": [{"name": "x", "value": 1}]}, {"v": [{"name": "x", "value": 2}]}, ["spec.v[x].value"]),
        ({"v": [{"name": "x"}, {"name": "y"}]}, {"v": [{"name": "x"}]}, ["spec.v[y]"]),
        ({"v": [{"name": "x"}, {"name": "y"}]}, {"v": [{"name": "y"}, {"name": "x"}]}, []),
        ({"v": [{"name": "x"}, {"name": "x"}]}, {"v": [{"name": "x"}]}, ["spec.v"]),
        (
            {"taints": [{"key": "k", "effect": "NoSchedule"}]},
            {"taints": [{"key": "k", "effect": "NoExecute"}, {"key": "k", "effect": "NoSchedule"}]},
            [],
        ),
        ({"taints": [{"key": "k", "value": "1"}]}, {"taints": [{"key": "k", "value": "2"}]}, ["spec.taints[k].value"]),
        (
            {"c": [{"type": "Ready", "status": "True"}]},
            {"c": [{"type": "Ready", "status": "False"}]},
            ["spec.c[Ready].status"],
        ),
        ({"v": [{"a": 1}]}, {"v": [{"a": 1, "defaulted": 2}]}, []),
    ],
)
def test_table(desired: Any, live: Any, paths: list[str]) -> None:
    assert differs(obj(spec=desired), obj(spec=live)) == paths


def test_metadata_that_the_server_drops_or_shares() -> None:
    desired = obj()
    desired["metadata"] |= {"labels": {}, "finalizers": ["ours"], "ownerReferences": [{"uid": "1", "name": "o"}]}
    live = obj()
    live["metadata"] |= {"finalizers": ["theirs", "ours"], "ownerReferences": [{"uid": "2"}, {"uid": "1", "name": "o"}]}
    assert differs(desired, live) == []
    assert differs(desired, obj()) == ["metadata.finalizers", "metadata.ownerReferences"]


def test_a_removed_field_is_found_by_the_hash() -> None:
    live = with_applied_hash(obj(spec={"a": 1, "b": 2}))
    assert differs(with_applied_hash(obj(spec={"a": 1})), live) == [f"metadata.annotations[{APPLIED_ANNOTATION}]"]
    assert differs(obj(spec={"a": 1}), live) == []


def test_a_removed_list_entry_is_found_by_the_hash() -> None:
    live = with_applied_hash(obj(spec={"pools": [{"name": "a"}, {"name": "b"}]}))
    assert differs(with_applied_hash(obj(spec={"pools": [{"name": "a"}]})), live)


def test_hash_is_stable_and_ignores_itself_and_the_order_of_fields() -> None:
    first, second = obj(spec={"a": 1, "b": 2}), obj(spec={"b": 2, "a": 1})
    assert applied_hash(first) == applied_hash(second) == applied_hash(with_applied_hash(first))
    assert applied_hash(obj(spec={"a": 1})) == "fe073be007ac394e6f3c909c40c0720b"
    assert with_applied_hash(with_applied_hash(first)) == with_applied_hash(first)


def test_inputs_are_not_changed() -> None:
    desired = obj(spec={"a": 1})
    desired["metadata"]["annotations"] = {"mine": "1"}
    before = copy.deepcopy(desired)
    with_applied_hash(desired)
    assert desired == before


@given(OBJECTS)
def test_an_object_does_not_differ_from_itself(desired: dict[str, Any]) -> None:
    assert differs(with_applied_hash(desired), with_applied_hash(copy.deepcopy(desired))) == []


@given(OBJECTS, OBJECTS)
def test_no_difference_means_the_same_was_applied(desired: dict[str, Any], applied: dict[str, Any]) -> None:
    found = differs(with_applied_hash(desired), with_applied_hash(applied))
    assert bool(found) == (applied_hash(desired) != applied_hash(applied))


@given(OBJECTS, st.dictionaries(st.sampled_from(["others", "status"]), VALUES))
def test_what_others_add_is_theirs(desired: dict[str, Any], added: dict[str, Any]) -> None:
    live = copy.deepcopy(desired)
    live["spec"].update(added)
    live["metadata"]["labels"] = {"theirs": "1"}
    assert differs(desired, live) == []


@given(st.dictionaries(NAMES, SCALARS.filter(lambda v: v is not None), min_size=1), st.data())
def test_drift_is_found(spec: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(spec)))
    live = obj(spec={**spec, name: "drifted"})
    assert differs(obj(spec=spec), live) == [f"spec.{name}"]
    del live["spec"][name]
    expected = [] if name == "labels" and not spec[name] else [f"spec.{name}"]
    assert differs(obj(spec=spec), live) == expected

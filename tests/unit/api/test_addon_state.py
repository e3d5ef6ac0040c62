"""Which add-ons a Cluster is to have, and in which version; and that every field of an Addon has a say in that."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.api.addon import MOST_ADDONS, Addon, KubernetesRange
from kaas.api.addon_state import add_ons_of, installed, is_usable, newest, order_of, selects, supports, version_of
from kaas.api.cluster import Cluster
from kaas.api.constants import API_VERSION
from kaas.api.crd import schema
from kaas.api.load import parse
from kaas.api.rollout import ClusterSelector
from tests.unit.schema_walk import leaves

Object = dict[str, Any]
LABELS = {"tier": "production", "stage": "test"}


def cluster(namespace: str = "team-a", name: str = "one", **more: Any) -> Cluster:
    meta = {"name": name, "namespace": namespace, "labels": more.pop("labels", LABELS)}
    spec = {"version": "1.36", "site": more.pop("site", "lab"), "controlPlane": {"flavor": "small"}}
    return Cluster.model_validate(
        {"apiVersion": API_VERSION, "kind": "Cluster", "metadata": meta, "spec": spec, "status": more}
    )


def addon(name: str = "exporter", *versions: Object, usable: tuple[str, ...] = (), **spec: Any) -> Addon:
    """usable: versions whose ConfigMap has been read; the others have been looked at in vain."""
    listed = list(versions) or [{"version": "1.0.0", "manifests": {"configMap": "a"}}]
    found = [
        {"version": v["version"], "digest": "d", "objects": 1}
        if v["version"] in usable
        else {"version": v["version"], "message": "there is no such ConfigMap"}
        for v in listed
    ]
    meta = {"name": name, "deletionTimestamp": spec.pop("deleted", None)}
    raw = {"apiVersion": API_VERSION, "kind": "Addon", "metadata": meta, "spec": {**spec, "versions": listed}}
    return Addon.model_validate(raw | {"status": {"versions": found}})


def at(version: str, least: str | None = None, most: str | None = None) -> Object:
    said = {key: value for key, value in (("minVersion", least), ("maxVersion", most)) if value}
    return {"version": version, "kubernetes": said, "manifests": {"configMap": f"exporter-{version}"}}


# --- which Clusters -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({}, True),
        ({"namespaces": ["team-a", "team-b"]}, True),
        ({"namespaces": ["team-b"]}, False),
        ({"names": ["team-a/one"]}, True),
        ({"names": ["team-b/one", "team-a/two"]}, False),
        ({"sites": ["lab"]}, True),
        ({"sites": ["north"]}, False),
        ({"matchLabels": {"tier": "production"}}, True),
        ({"matchLabels": {"tier": "production", "stage": "staging"}}, False),
        ({"matchLabels": {"other": ""}}, False),
        ({"matchExpressions": [{"key": "stage", "operator": "In", "values": ["test", "staging"]}]}, True),
        ({"matchExpressions": [{"key": "stage", "operator": "NotIn", "values": ["test"]}]}, False),
        ({"matchExpressions": [{"key": "other", "operator": "NotIn", "values": ["test"]}]}, True),
        ({"matchExpressions": [{"key": "stage", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "stage", "operator": "DoesNotExist"}]}, False),
        ({"namespaces": ["team-a"], "sites": ["north"]}, False),
    ],
)
def test_all_that_a_selector_says_must_hold(selector: Object, selected: bool) -> None:
    assert selects(ClusterSelector.model_validate(selector), cluster()) is selected


def test_add_ons_come_in_their_order_and_those_that_go_not_at_all() -> None:
    every = [
        addon("late", order=5),
        addon("beta"),
        addon("alpha"),
        addon("first", order=-5),
        addon("gone", deleted="2027-01-01T00:00:00Z"),
        addon("elsewhere", clusters={"sites": ["north"]}),
    ]
    assert [a.metadata.name for a in add_ons_of(cluster(), every)] == ["first", "alpha", "beta", "late"]


@given(st.randoms(use_true_random=False))
def test_of_too_many_the_first_are_taken_however_they_are_listed(chance: random.Random) -> None:
    every = [addon(f"a{n:03}", order=n // 10) for n in range(MOST_ADDONS + 5)]
    chance.shuffle(every)
    names = [a.metadata.name for a in add_ons_of(cluster(), every)]
    assert names == [f"a{n:03}" for n in range(MOST_ADDONS)]


# --- which version ------------------------------------------------------------------------------------------------

NUMBERS = st.tuples(*[st.integers(0, 12)] * 3, st.integers(0, 12))


@given(NUMBERS, NUMBERS, st.booleans())
def test_numbers_decide_which_version_is_newer(one: tuple[int, ...], other: tuple[int, ...], with_v: bool) -> None:
    def named(numbers: tuple[int, ...]) -> str:
        return ".".join(map(str, numbers[:3])) + (f"-{numbers[3]}" if numbers[3] else "")

    first, second = named(one), f"{'v' if with_v else ''}{named(other)}"
    assert (order_of(first) < order_of(second)) is (one < other)


@pytest.mark.parametrize(
    ("least", "most", "minors"),
    [(None, None, range(33, 40)), ("1.35", None, range(35, 40)), (None, "1.36", range(33, 37)), ("1.36", "1.36", [36])],
)
def test_a_range_takes_in_both_its_ends(least: str | None, most: str | None, minors: range | list[int]) -> None:
    said = KubernetesRange(min_version=least, max_version=most)
    assert [minor for minor in range(33, 40) if supports(said, minor)] == list(minors)


def test_the_newest_is_one_that_can_be_used_and_supports_the_kubernetes() -> None:
    every = (at("1.9.0", most="1.36"), at("1.10.0", "1.36"), at("1.10.0-1", "1.36"), at("2.0.0", "1.37"), at("1.8.0"))
    found = addon("exporter", *every, usable=("1.8.0", "1.9.0", "1.10.0", "2.0.0"))
    assert [v.version if (v := newest(found, minor)) else None for minor in (35, 36, 37)] == [
        "1.9.0",
        "1.10.0",
        "2.0.0",
    ]
    assert newest(addon("exporter", *every), 36) is None


def test_what_was_not_looked_at_cannot_be_used() -> None:
    found = addon("exporter", at("1.0.0"), usable=("1.0.0",))
    assert is_usable(found, "1.0.0")
    assert not is_usable(found, "1.0.1")
    assert not is_usable(found.model_copy(update={"status": None}), "1.0.0")


def test_a_version_is_found_by_its_name() -> None:
    found = addon("exporter", at("1.0.0"), at("1.0.1"))
    assert (version_of(found, "1.0.1"), version_of(found, "1.0.2"), version_of(found, None)) == (
        found.spec.versions[1],
        None,
        None,
    )


def test_what_a_cluster_has_stands_in_its_status() -> None:
    has = cluster(addOns=[{"name": "exporter", "version": "1.0.0", "state": "Ready"}])
    assert installed(has)["exporter"].version == "1.0.0"
    assert not installed(cluster())
    assert not installed(cluster().model_copy(update={"status": None}))


# --- every field --------------------------------------------------------------------------------------------------

FULL: Object = {
    "clusters": {
        "namespaces": ["team-a"],
        "names": ["team-a/one"],
        "sites": ["lab"],
        "matchLabels": {"tier": "production"},
        "matchExpressions": [{"key": "stage", "operator": "In", "values": ["test"]}],
    },
    "order": 10,
    "maxFailures": 1,
    "versions": [
        {
            "version": "1.8.1",
            "kubernetes": {"minVersion": "1.35", "maxVersion": "1.36"},
            "manifests": {"configMap": "exporter-1.8.1"},
        }
    ],
}
OTHERWISE: dict[str, Any] = {
    "clusters.namespaces[]": "team-b",
    "clusters.names[]": "team-a/two",
    "clusters.sites[]": "north",
    "clusters.matchLabels{}": "test",
    "clusters.matchExpressions[].key": "tier",
    "clusters.matchExpressions[].operator": "NotIn",
    "clusters.matchExpressions[].values[]": "staging",
    "order": -10,
    "maxFailures": 0,
    "versions[].version": "1.8.2",
    "versions[].kubernetes.minVersion": "1.36",
    "versions[].kubernetes.maxVersion": "1.35",
    "versions[].manifests.configMap": "exporter-other",
}
"""Another value for each field, by its path."""


def what_comes_of(spec: Object) -> list[Any]:
    """What a Cluster has in three minors beside another add-on of the order 0, and from where."""
    found = Addon.model_validate(
        {
            "apiVersion": API_VERSION,
            "kind": "Addon",
            "metadata": {"name": "exporter"},
            "spec": spec,
            "status": {"versions": [{"version": v["version"], "digest": "d", "stopped": 1} for v in spec["versions"]]},
        }
    )
    other = addon("other", at("1.0.0"), usable=("1.0.0",))
    return [
        (a.metadata.name, v.version, v.manifests.config_map)
        for minor in (34, 35, 36, 37)
        for a in add_ons_of(cluster(), [found, other])
        if (v := newest(a, minor))
    ]


def changed(path: str, value: Any) -> Object:
    spec = copy.deepcopy(FULL)
    place: Any = spec
    *way, last = path.replace("[]", ".0").replace("{}", ".tier").split(".")
    for part in way:
        place = place[int(part) if part.isdigit() else part]
    key: Any = int(last) if last.isdigit() else last
    assert place[key] != value
    place[key] = value
    return spec


def test_every_field_has_another_value() -> None:
    assert sorted(leaves(schema(Addon)["properties"]["spec"], "")) == sorted(f".{path}" for path in OTHERWISE)


@pytest.mark.parametrize("path", OTHERWISE)
def test_every_field_has_a_say(path: str) -> None:
    spec = changed(path, OTHERWISE[path])
    for each in (FULL, spec):
        parse({"apiVersion": API_VERSION, "kind": "Addon", "metadata": {"name": "exporter"}, "spec": each})
    assert what_comes_of(spec) != what_comes_of(FULL)

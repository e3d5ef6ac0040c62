"""Node selectors of several volumes and a Pod as one, and what of a Pod its place depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.kube.objects import Object
from kaas.volumes.placement import PREFERRED, all_of, anywhere, beside, following, lets
from kaas.volumes.pods import REQUIRED, lean
from kaas.volumes.settings import GPU_LABEL
from tests.unit.volumes.builders import pod

Node = dict[str, str]
EXPRESSIONS = st.builds(
    lambda key, operator, values: {"key": key, "operator": operator, "values": values},
    st.sampled_from(["zone", "disk"]),
    st.sampled_from(["In", "NotIn"]),
    st.lists(st.sampled_from("abc"), min_size=1, max_size=2),
)
NAMES = st.builds(lambda name: {"key": "metadata.name", "operator": "In", "values": [name]}, st.sampled_from("xy"))
TERMS = st.fixed_dictionaries(
    {}, optional={"matchExpressions": st.lists(EXPRESSIONS, max_size=2), "matchFields": st.lists(NAMES, max_size=1)}
)
SELECTORS = st.builds(lambda terms: {"nodeSelectorTerms": terms}, st.lists(TERMS, min_size=1, max_size=3))
NODES = [{"zone": z, "disk": d, "metadata.name": n} for z in "abc" for d in "abc" for n in "xy"]


def selects(selector: Mapping[str, Any], node: Node) -> bool:
    """As Kubernetes has it: one term is enough, all of which has to be so; a term without anything selects nothing."""
    return any(_fits(term, node) for term in selector["nodeSelectorTerms"])


def _fits(term: Mapping[str, Any], node: Node) -> bool:
    rules = [*(term.get("matchExpressions") or ()), *(term.get("matchFields") or ())]
    return bool(rules) and all((node[r["key"]] in r["values"]) == (r["operator"] == "In") for r in rules)


@given(st.lists(SELECTORS, min_size=1, max_size=3))
def test_all_of_several_selectors_selects_what_each_does(selectors: Sequence[Mapping[str, Any]]) -> None:
    found = all_of(selectors)
    assert found is not None
    assert found["nodeSelectorTerms"], "there has to be one term"
    for node in NODES:
        assert selects(found, node) == all(selects(s, node) for s in selectors)


@given(SELECTORS)
def test_whether_a_pod_may_run_on_a_node(selector: Mapping[str, Any]) -> None:
    for node in NODES:
        name = node["metadata.name"]
        found = {"metadata": {"name": name, "labels": {k: v for k, v in node.items() if k != "metadata.name"}}}
        spec = {"affinity": {"nodeAffinity": {REQUIRED: selector}}}
        assert lets(spec, found) == selects(selector, node)
        assert lets({"nodeSelector": {"zone": node["zone"]}}, found)
        assert not lets({**spec, "nodeSelector": {"zone": "d"}}, found)


@pytest.mark.parametrize(
    ("operator", "values", "on", "off"),
    [
        ("In", ["5"], ["5"], ["6", None]),
        ("NotIn", ["5"], ["6", None], ["5"]),
        ("Exists", None, ["5", ""], [None]),
        ("DoesNotExist", None, [None], ["5", ""]),
        ("Gt", ["5"], ["6", "10"], ["5", "-6", "x", None]),
        ("Lt", ["5"], ["4", "-6"], ["5", "10", "x", None]),
    ],
)
def test_what_a_rule_of_an_affinity_means(
    operator: str, values: list[str] | None, on: list[str | None], off: list[str | None]
) -> None:
    rule = {"key": "count", "operator": operator, **({"values": values} if values else {})}
    spec = {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}}}}
    for value in [*on, *off]:
        node = {"metadata": {"name": "n", "labels": {} if value is None else {"count": value}}}
        assert lets(spec, node) == (value in on), value


def test_many_volumes_of_many_nodes_make_no_more_terms() -> None:
    """A driver says where a volume can be reached with a term for each node, perhaps."""

    def of(count: int) -> dict[str, Any]:
        names = [f"n{n}" for n in range(count)]
        return {"nodeSelectorTerms": [{"matchExpressions": [_in("node", name)]} for name in names]}

    found = all_of([of(100), of(101), of(102), of(102)])
    assert found is not None
    (term,) = found["nodeSelectorTerms"]
    assert [len(e["values"]) for e in term["matchExpressions"]] == [100, 101, 102]
    assert all_of([]) is None


def _in(key: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": "In", "values": list(values)}


@pytest.mark.parametrize(
    ("label", "has", "has_not"),
    [
        (GPU_LABEL, {"operator": "In", "values": ["true"]}, {"operator": "NotIn", "values": ["true"]}),
        ("accelerator", {"operator": "Exists"}, {"operator": "DoesNotExist"}),
    ],
)
def test_nodes_with_gpus_have_the_label_that_is_said(label: str, has: Object, has_not: Object) -> None:
    (term,) = following(GPUS, gpu_label=label).affinity["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]
    key = label.partition("=")[0]
    assert term == {"matchExpressions": [{"key": key, **has}]}
    (preferred,) = anywhere(gpu_label=label).affinity["nodeAffinity"][PREFERRED]
    assert preferred == {"weight": 100, "preference": {"matchExpressions": [{"key": key, **has_not}]}}


def test_where_nodes_with_gpus_have_no_label_none_is_asked_for() -> None:
    assert not following(GPUS, gpu_label="").affinity
    assert not anywhere(gpu_label="").affinity


GPUS = pod("app", "data", containers=[{"resources": {"limits": {"nvidia.com/gpu": 1}}}])


@pytest.mark.parametrize(
    ("spec", "asks"),
    [
        ({"containers": [{"name": "a", "image": "x", "resources": {"limits": {"nvidia.com/gpu": "2"}}}]}, True),
        ({"initContainers": [{"resources": {"limits": {"nvidia.com/mig-3g.20gb": 1}}}]}, True),
        ({"containers": [{"resources": {"limits": {"nvidia.com/gpu": "0"}}}]}, False),
        ({"containers": [{"resources": {"limits": {"cpu": "2"}, "requests": {"cpu": "1"}}}]}, False),
        ({"containers": [{"name": "a"}]}, False),
    ],
)
def test_what_is_kept_of_a_pod_says_whether_it_asks_for_gpus(spec: Object, asks: bool) -> None:
    once = lean(pod("app", "data", **spec))
    assert lean(once) == once
    assert bool(following(once).affinity) is asks
    assert following(once) == following(pod("app", "data", **spec))


def test_a_place_is_marked_by_what_pods_say_alone() -> None:
    """What else it is made of changes when the volume is there."""
    zone = {"nodeSelectorTerms": [{"matchExpressions": [_in("zone", "a")]}]}
    assert following(GPUS, [zone]).mark == following(GPUS, gpu_label="").mark
    assert anywhere().mark == following(pod("app", "data")).mark
    chosen = pod("app", "data", affinity={"nodeAffinity": {REQUIRED: zone}})
    tolerant = pod("app", "data", tolerations=[{"key": "x"}])
    others = [pod("app", "data"), pod("app", "data", nodeSelector={"zone": "a"}), chosen, tolerant, GPUS]
    assert len({following(other, gpu_label="").mark for other in others}) == len(others)


def test_a_place_is_the_same_whatever_order_pods_are_listed_in() -> None:
    one = pod("a", "data", nodeName="n1", tolerations=[{"key": "x"}, {"key": "y"}])
    other = pod("b", "data", nodeName="n2", tolerations=[{"key": "y"}, {"key": "node.kubernetes.io/not-ready"}])
    found = beside([one, other])
    assert found == beside([other, one])
    assert found.mark == beside([other, one]).mark != beside([one]).mark
    assert found.tolerations == ({"key": "x"}, {"key": "y"})
    terms = found.affinity["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]
    assert [len(t["matchFields"][0]["values"]) for t in terms] == [1, 1], "more than one is refused"

"""The checks that every Cluster gets, one by one, and the facts that they are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from math import inf
from typing import Any

import pytest

from kaas.api.constants import LABEL_POOL
from kaas.api.update_status import Baseline, PoolDevices, UnwellAddOn, UnwellWorkload
from kaas.api.verification import BuiltIn
from kaas.gpu.layouts import Layout
from kaas.kube.objects import Object
from kaas.kube.resources import CONTROL_PLANE_LABEL
from kaas.updates.verify import pods
from kaas.updates.verify.baseline import baseline_of
from kaas.updates.verify.checks import CHECKS, examined
from kaas.updates.verify.counters import Traffic
from kaas.updates.verify.facts import AddOnFacts, Facts, MachineFacts, NodeFacts
from kaas.updates.verify.measuring import Measured
from kaas.updates.verify.nodes import machines_of, node_facts

NOW = datetime(2027, 1, 5, 22, tzinfo=UTC)
VERSION = "v1.36.3"
EIGHT = {"nvidia.com/gpu": (8, 8)}
SLICES = {"nvidia.com/mig-1g.5gb": (56, 56)}
CPU = (MachineFacts("m", "cpu", 0, "n"),)
DGX = (MachineFacts("m", "dgx", 8, "n"),)
MASTER = (MachineFacts("m", "", 0, "n"),)


def node(ready: bool = True, version: str = VERSION, **more: Any) -> NodeFacts:
    return NodeFacts("n", ready, version, **more)


def measured(requests: float = 1000, errors: float = 0, slow: float = 0, *, complete: bool = True) -> Measured:
    return Measured(Traffic(requests, errors, {0.1: requests - slow, 8.0: requests, inf: requests}), 30, complete)


def facts(**changed: Any) -> Facts:
    given: dict[str, Any] = {
        "version": VERSION,
        "machines": CPU,
        "nodes": {"n": node()},
        "unwell": {},
        "add_ons": (),
        "measured": measured(),
        "before": None,
    }
    return Facts(**{**given, **changed})


def before(**said: Any) -> Baseline:
    return Baseline(taken=NOW, **said)


def test_all_is_well() -> None:
    assert [o.message for o in examined(facts(), {})] == [
        "1 nodes Ready at v1.36.3",
        "kube-system is well",
        "0 of 1000 requests failed in 30 s (not known before)",
        "99 % of requests took at most 99 ms (not known before)",
        "no add-ons of kaas",
    ]
    assert all(o.holds for o in examined(facts(), {}))
    assert list(CHECKS) == list(BuiltIn)


@pytest.mark.parametrize("check", BuiltIn)
def test_a_check_may_be_left_out_and_that_is_told(check: BuiltIn) -> None:
    sick = facts(
        nodes={}, unwell={"Pod/etcd": 1}, measured=measured(errors=500, slow=500), add_ons=(AddOnFacts("a", "b"),)
    )
    assert not any(o.holds for o in examined(sick, {}))
    (left,) = (o for o in examined(sick, {check: "known, ticket 12"}) if o.holds)
    assert left.message == f"{check} left out: known, ticket 12"


WELL_BEFORE = before(pools=(PoolDevices(name="dgx", devices=56, layout="all-1g.5gb"),))
MIXED = Layout("all-1g.5gb", "success", "mixed", "NVIDIA-A100-SXM4-40GB")
OURS = replace(MIXED, name="ours")
OURS_BEFORE = before(pools=(PoolDevices(name="dgx", devices=56, layout="ours"),))
PENDING = (MachineFacts("m", "dgx", 8, "n", VERSION, "all-1g.10gb", "A100-SXM4-40GB"),)


@pytest.mark.parametrize(
    ("machines", "nodes", "was", "words"),
    [
        ((), {}, None, ""),
        (CPU, {"n": node()}, None, ""),
        ((MachineFacts("m", "cpu", 0, None),), {"n": node()}, None, "m has no node yet"),
        (CPU, {}, None, "m has no node yet"),
        (CPU, {"n": node(ready=False)}, None, "m has node n, which is not Ready"),
        (CPU, {"n": node(version="v1.36.1")}, None, "m has node n at v1.36.1 instead of v1.36.3"),
        (CPU, {"n": node(devices={"nvidia.com/gpu": (8, 0)})}, None, ""),
        (DGX, {"n": node(devices=EIGHT)}, None, ""),
        (DGX, {"n": node()}, None, "offers 0 devices: its flavor has 8 GPUs"),
        (DGX, {"n": node(devices={"nvidia.com/gpu": (7, 7)})}, None, "offers 7 devices: its flavor has 8 GPUs"),
        (DGX, {"n": node(devices={"nvidia.com/gpu": (8, 6)})}, None, "offers 6 of 8 nvidia.com/gpu"),
        (DGX, {"n": node(devices=SLICES, layout=MIXED)}, WELL_BEFORE, ""),
        # a kubelet still counts the GPUs that were there before
        (DGX, {"n": node(devices={"nvidia.com/gpu": (8, 0), **SLICES}, layout=MIXED)}, WELL_BEFORE, ""),
        (DGX, {"n": node(devices=EIGHT, layout=MIXED)}, None, "offers 0 of 56 nvidia.com/mig-1g.5gb of layout all-1g"),
        (DGX, {"n": node(devices={"nvidia.com/mig-1g.5gb": (55, 55)}, layout=MIXED)}, None, "n, which offers 55 of 56"),
        (DGX, {"n": node(devices=EIGHT, layout=replace(MIXED, strategy="single"))}, None, "8 of 56 nvidia.com/gpu"),
        (DGX, {"n": node(devices=EIGHT, layout=replace(MIXED, name="all-disabled"))}, WELL_BEFORE, ""),
        (DGX, {"n": node(devices=EIGHT)}, WELL_BEFORE, ""),  # in another layout
        # of a layout of one's own it is known what there was before
        (DGX, {"n": node(devices=SLICES, layout=OURS)}, OURS_BEFORE, ""),
        (DGX, {"n": node(devices=EIGHT, layout=OURS)}, OURS_BEFORE, "offers 8 devices: there were 56 before"),
        (DGX, {"n": node(devices=SLICES, layout=replace(MIXED, state="pending"))}, None, "not laid out as all-1g"),
        (DGX, {"n": node(devices=EIGHT, layout=replace(MIXED, state="failed"))}, None, r"as all-1g.5gb \(failed\)"),
        (DGX, {"n": node(devices=EIGHT, layout=replace(MIXED, state=""))}, None, r"as all-1g.5gb \(not begun\)"),
        # before the node says anything of it, its pool does, and its Site knows the model
        (PENDING, {"n": node(devices=EIGHT)}, None, r"not laid out as all-1g.10gb \(not begun\)"),
        (PENDING, {"n": node(devices=EIGHT, layout=Layout("", "success", "single"))}, None, "8 of 32 nvidia.com/gpu"),
        (MASTER, {"n": node()}, None, ""),
        ((MachineFacts("m", "dgx", 8, "n", VERSION),), {"n": node(version="")}, None, ""),  # a simulated one
        (
            (MachineFacts("m", "cpu", 0, "n", "v1.36.1"),),
            {"n": node(version="")},
            None,
            "at v1.36.1 instead of v1.36.3",
        ),
        (CPU, {"n": node(version="")}, None, "at no version instead of"),
    ],
)
def test_nodes_ready(
    machines: tuple[MachineFacts, ...], nodes: Mapping[str, NodeFacts], was: Baseline | None, words: str
) -> None:
    found = CHECKS[BuiltIn.NODES_READY](facts(machines=machines, nodes=nodes, before=was))
    assert found.holds is not bool(words)
    assert words.replace("\\", "") in found.message


def test_a_message_names_the_first_few() -> None:
    many = tuple(MachineFacts(f"m{n}", "cpu", 0, None) for n in range(40))
    message = CHECKS[BuiltIn.NODES_READY](facts(machines=many)).message
    assert "m4 has no node yet and 35 more" in message
    assert "m5" not in message


@pytest.mark.parametrize(
    ("now", "was", "words"),
    [
        ({}, {}, ""),
        ({"Deployment/coredns": 1}, {"Deployment/coredns": 1}, ""),
        ({"Deployment/coredns": 1}, {"Deployment/coredns": 2}, ""),
        ({"Deployment/coredns": 2}, {"Deployment/coredns": 1}, "Deployment/coredns: 2 Pods do not work (1 before)"),
        ({"Pod/etcd": 1}, {"Deployment/coredns": 1}, "Pod/etcd: 1 Pods do not work (none before)"),
    ],
)
def test_system_pods(now: dict[str, int], was: dict[str, int], words: str) -> None:
    unwell = tuple(UnwellWorkload(name=n, pods=p) for n, p in was.items())
    found = CHECKS[BuiltIn.SYSTEM_PODS](facts(unwell=now, before=before(unwell=unwell)))
    assert found.holds is not bool(words)
    assert words in found.message
    if now:
        assert not CHECKS[BuiltIn.SYSTEM_PODS](facts(unwell=now)).holds, "nothing is known of before"


@pytest.mark.parametrize(
    ("found", "was", "holds"),
    [
        (None, None, False),
        (measured(complete=False), None, True),
        (measured(requests=0), None, True),
        (measured(errors=10), None, True),  # 1 %
        (measured(errors=11), None, False),
        (measured(requests=4, errors=2), None, True),  # too few to be a share
        (measured(requests=4, errors=3), None, False),
        (measured(errors=40), before(requests=100, errors=2), True),  # twice as many
        (measured(errors=41), before(requests=100, errors=2), False),
        (measured(errors=10), before(requests=100, errors=0), True),
        (measured(errors=11), before(requests=0, errors=0), False),
    ],
)
def test_api_server_errors(found: Measured | None, was: Baseline | None, holds: bool) -> None:
    assert CHECKS[BuiltIn.API_SERVER_ERRORS](facts(measured=found, before=was)).holds is holds


@pytest.mark.parametrize(
    ("found", "was", "holds"),
    [
        (None, None, False),
        (measured(complete=False), None, False),
        (measured(slow=10), None, True),
        (measured(slow=12), None, False),  # 99 % within 1.4 s
        (measured(requests=90, slow=50), None, True),  # too few to tell
        (measured(slow=12), before(latency_milliseconds=400), False),
        (measured(slow=12), before(latency_milliseconds=800), True),
        (measured(slow=500), before(latency_milliseconds=800), False),
    ],
)
def test_api_server_latency(found: Measured | None, was: Baseline | None, holds: bool) -> None:
    assert CHECKS[BuiltIn.API_SERVER_LATENCY](facts(measured=found, before=was)).holds is holds


def pod(name: str = "p", phase: str = "Running", owner: str = "", ready: bool = False, **meta: Any) -> Object:
    kind, _, of = owner.partition("/")
    owners = [{"kind": kind, "name": of, "controller": True}] if owner else []
    status = {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}]}
    return {"metadata": {"name": name, "ownerReferences": owners, **meta}, "spec": {"nodeName": "n"}, "status": status}


@pytest.mark.parametrize(
    ("found", "workload"),
    [
        (pod(ready=True), ""),
        (pod(phase="Succeeded"), ""),
        (pod(phase="Failed", owner="ReplicaSet/coredns-1"), ""),
        (pod(owner="Job/backup-1", phase="Pending"), ""),
        (pod(deletionTimestamp="2027-01-05T22:00:00Z"), ""),
        (pod(phase="Pending"), "Pod/p"),
        (pod(owner="DaemonSet/kube-proxy"), "DaemonSet/kube-proxy"),
        (pod(owner="ReplicaSet/coredns-5d78", labels={"pod-template-hash": "5d78"}), "Deployment/coredns"),
        (pod(owner="ReplicaSet/coredns"), "ReplicaSet/coredns"),
        (pod("kube-apiserver-one-cp-x7", owner="Node/one-cp-x7"), "Pod/kube-apiserver"),
        ({"metadata": {"name": "bare"}}, "Pod/bare"),
    ],
)
def test_which_pods_are_unwell_and_whose_they_are(found: Object, workload: str) -> None:
    assert pods.unwell([found]) == ({workload: 1} if workload else {})


def test_pods_count_by_workload_but_not_on_nodes_that_others_care_for() -> None:
    every = [pod("a", owner="DaemonSet/x"), pod("b", owner="DaemonSet/x"), pod("c", owner="DaemonSet/y")]
    assert pods.unwell(every) == {"DaemonSet/x": 2, "DaemonSet/y": 1}
    assert pods.unwell(every, {"n"}) == {}


@pytest.mark.parametrize("problem", ["", "1 of 2 Pods work"])
def test_add_ons(problem: str) -> None:
    found = CHECKS[BuiltIn.ADD_ONS](facts(add_ons=(AddOnFacts("Deployment s/x", problem),)))
    assert found.holds is not bool(problem)
    assert problem in found.message


ILL = (AddOnFacts("DaemonSet m/agent", "1 of 2 Pods work", "agent"), AddOnFacts("Deployment m/web", "", "web"))
AGENT_WAS_ILL = before(add_ons=(UnwellAddOn(name="DaemonSet m/agent"),))


@pytest.mark.parametrize(
    ("was", "brought", "holds"),
    [
        (AGENT_WAS_ILL, (), True),
        (AGENT_WAS_ILL, ("web",), True),
        (AGENT_WAS_ILL, ("agent",), False),
        (before(add_ons=(UnwellAddOn(name="Deployment m/web"),)), (), False),
        (before(), (), False),
        (None, (), False),
    ],
)
def test_add_ons_that_did_not_work_before_need_not_unless_the_update_has_brought_them(
    was: Baseline | None, brought: tuple[str, ...], holds: bool
) -> None:
    found = CHECKS[BuiltIn.ADD_ONS](facts(add_ons=ILL, before=was, brought=frozenset(brought)))
    assert found.holds is holds
    assert ("DaemonSet m/agent: 1 of 2 Pods work" in found.message) is not holds
    assert ("1 add-ons work; as before the update these do not work: DaemonSet m/agent" in found.message) is holds


def test_what_did_not_work_before_is_named_beside_what_does_not_work_since() -> None:
    more = (*ILL, AddOnFacts("Deployment m/new", "0 of 1 Pods work", "new"))
    found = CHECKS[BuiltIn.ADD_ONS](facts(add_ons=more, before=AGENT_WAS_ILL))
    assert not found.holds
    assert found.message.startswith("Deployment m/new: 0 of 1 Pods work; ")
    assert found.message.endswith("as before the update these do not work: DaemonSet m/agent")


def test_a_node() -> None:
    status = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {"kubeletVersion": VERSION},
        "capacity": {"cpu": "8", "nvidia.com/gpu": "0", "nvidia.com/mig-1g.5gb": "56", "habana.ai/gaudi": "2k"},
        "allocatable": {"nvidia.com/mig-1g.5gb": "55"},
    }
    raw = {"metadata": {"name": "n", "labels": {"nvidia.com/mig.config": "all-1g.5gb"}}, "status": status}
    mig = {"nvidia.com/mig-1g.5gb": (56, 55)}
    assert node_facts(raw) == node(devices=mig, layout=Layout("all-1g.5gb"))
    assert node_facts(raw, {"habana.ai/gaudi"}).devices == {**mig, "habana.ai/gaudi": (2000, 0)}
    assert node_facts({"metadata": {"name": "n"}}) == NodeFacts("n", ready=False)


def test_machines_of_a_step() -> None:
    def machine(name: str, **meta: Any) -> Object:
        return {"metadata": {"name": name, **meta}}

    every = [
        machine("cp", labels={CONTROL_PLANE_LABEL: ""}),
        machine("a", labels={LABEL_POOL: "a"}),
        machine("b", labels={LABEL_POOL: "b"}),
        machine("going", labels={LABEL_POOL: "a"}, deletionTimestamp="2027-01-05T22:00:00Z"),
        machine("stray"),
    ]
    names = {
        s: [m["metadata"]["name"] for m in machines_of(s, ["a"], every)] for s in ("ControlPlane", "Pool/a", "Pool/b")
    }
    assert names == {"ControlPlane": ["cp"], "Pool/a": ["a"], "Pool/b": ["b"]}
    assert [m["metadata"]["name"] for m in machines_of("Verification", ["a"], every)] == ["cp", "a"]


def test_a_baseline() -> None:
    machines = (*DGX, MachineFacts("m2", "dgx", 8, "n2"), MachineFacts("m3", "dgx", 8, "n3"), *CPU)
    nodes = {
        "n": node(devices=SLICES, layout=MIXED),
        "n2": NodeFacts("n2", True, VERSION, {"nvidia.com/gpu": (8, 8)}, MIXED),
        "n3": NodeFacts("n3", False, VERSION),
    }
    ill = {"unwell": {"Pod/a": 2}, "add_ons": ILL}
    found = baseline_of(facts(machines=machines, nodes=nodes, measured=measured(errors=5), **ill), NOW)
    assert found == before(
        requests=1000,
        errors=5,
        latency_milliseconds=99,
        unwell=(UnwellWorkload(name="Pod/a", pods=2),),
        add_ons=(UnwellAddOn(name="DaemonSet m/agent"),),
        pools=(PoolDevices(name="dgx", devices=8, layout="all-1g.5gb"),),
    )
    assert baseline_of(None, NOW) == before()
    assert baseline_of(facts(measured=None), NOW) == before()
    assert baseline_of(facts(measured=measured(requests=20)), NOW).latency_milliseconds is None
    many = baseline_of(facts(unwell={f"Pod/{'x' * 200}{n}": 1 for n in range(200)}), NOW)
    assert len(many.unwell) == 50
    many = baseline_of(facts(add_ons=tuple(AddOnFacts(f"Deployment m/{n}", "ill") for n in range(60))), NOW)
    assert len(many.add_ons) == 50


def test_a_simulated_api_server_has_no_metrics() -> None:
    found = examined(facts(measured=None, metered=False), {})
    assert all(o.holds for o in found)
    assert [o.message for o in found].count("the API server has no metrics") == 2

"""Every check: what it finds, what it leaves alone, and what it says when it could not look."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from kaas.api.preflight import Check
from kaas.api.site import Site
from kaas.updates.preflight.facts import Hook, Kubelet, PreflightFacts, Unknown
from kaas.updates.preflight.table import CHECKS
from tests.unit.updates.preflight.cases import (
    API,
    AUTHORITY,
    BUDGET,
    CLIENT,
    CLOUD,
    FLAVORS,
    HOOK,
    KUBELETS,
    MACHINES,
    POOLS,
    case,
    cluster,
    facts,
    master,
    worker,
)
from tests.unit.updates.subjects import NOW, Object, site

AWAY = Unknown("it hangs")
BY_NAME = {row.name: row.check for row in CHECKS}


@dataclass(frozen=True)
class Story:
    """says: words of what is found, one text a finding, those that only warn with a `?` before them."""

    check: Check
    about: str
    facts: PreflightFacts
    says: tuple[str, ...] = field(default=())


def story(check: Check, about: str, *says: str, **changed: Any) -> Story:
    return Story(check, about, facts(**changed), says)


def repairs(*pools: tuple[str, int], breakers: list[Object] | None = None, **more: Any) -> PreflightFacts:
    """A Cluster with so many repairs in flight in its pools."""
    of_pools = [{"name": name, "inFlight": n, "unhealthy": n} for name, n in pools]
    total = sum(n for _, n in pools)
    found = {"unhealthy": total, "inFlight": total, "quarantined": 0, "pools": of_pools, "breakers": breakers or []}
    return facts(case=case(cluster(status={"repair": found}, **more)))


BREAKER = {"scope": "pool/tenants/team/cpu", "reason": "TooManySick", "message": "3 of 4", "since": NOW.isoformat()}
SURGING = [{**POOLS[1], "update": {"strategy": "Surge"}}]
ALL_AT_ONCE = [{"name": "cpu", "flavor": "cpu-4", "replicas": 3, "update": {"strategy": "BlueGreen"}}]
ZONES = [{"name": "cpu", "flavor": "cpu-4", "replicas": 2, "zones": ["az-1", "az-2"]}]


LAID_OUT = {"nvidia.com/mig.config": "all-1g.5gb"}
SOAKS: Object = {"update": {"strategy": "BlueGreen", "soakSeconds": 86400}}
ENDLESS: Object = {"gpu": {"drainTimeoutSeconds": 0}}
PATIENT = [{"name": "cpu-2", "startupTimeoutSeconds": 14400}, *FLAVORS[1:]]


def left(
    minutes: float | None, *pools: str, of: list[Object] | None = None, where: Site | None = None
) -> PreflightFacts:
    seconds = None if minutes is None else minutes * 60
    return facts(case=case(cluster(pools=of), pools=pools, least_left=seconds, where=where))


STORIES = [
    # --- who answers
    story(Check.UNREACHABLE_CLUSTER, "away", "API server of Cluster tenants/team could not be asked: no route",
          cluster_away="no route"),
    story(Check.UNREACHABLE_CLOUD, "away", "cloud of Site north could not be asked: refused", cloud_away="refused"),
    story(Check.UNREACHABLE_CLOUD, "a provider without one", cloud=None),
    # --- versions
    story(Check.VERSION_SKEW, "one minor up", case=case(target="v1.37.0")),
    story(Check.VERSION_SKEW, "two minors up", "not to v1.38.0: go to 1.37 first", case=case(target="v1.38.0")),
    story(Check.VERSION_SKEW, "back", "cannot go back to v1.36.0", case=case(target="v1.36.0")),
    story(Check.VERSION_SKEW, "a kubelet four minors behind", "Node old runs v1.33.9: a kubelet may be 3",
          case=case(target="v1.37.0"), kubelets=(*KUBELETS, Kubelet("old", "v1.33.9"))),
    story(Check.VERSION_SKEW, "a kubelet three minors behind",
          case=case(target="v1.37.0"), kubelets=(*KUBELETS, Kubelet("old", "v1.34.0"))),
    story(Check.VERSION_SKEW, "a newer kubelet", "no kubelet may be newer", kubelets=(Kubelet("new", "v1.37.0"),)),
    story(Check.VERSION_SKEW, "no kubelet of ours", "?Node odd (devel)", kubelets=(Kubelet("odd", "devel"),)),
    story(Check.VERSION_SKEW, "not known", "?versions of the kubelets could not be looked at: it hangs", kubelets=AWAY),
    story(Check.VERSION_SKEW, "said once when it is away", kubelets=AWAY, cluster_away="no route"),
    story(Check.VERSION_SKEW, "an update that is not through",
          "of several versions (v1.36.0, v1.36.1)", machines=(master(0), master(1, version="v1.36.0"))),
    story(Check.VERSION_SKEW, "this update, under way",
          case=case(began=NOW), machines=(master(0), master(1, version="v1.36.2"))),
    # --- image
    story(Check.IMAGE_ACTIVE, "there"),
    story(Check.IMAGE_ACTIVE, "missing", "has no image 'gone'", image="gone"),
    story(Check.IMAGE_ACTIVE, "not active", "'old' in the cloud of Site north is 'deactivated'", image="old"),
    story(Check.IMAGE_ACTIVE, "nobody says which", "there is no image for v1.36.2: make a Release", image=None),
    story(Check.IMAGE_ACTIVE, "not known", "?image 'node-new' in the cloud of Site north could not",
          cloud=replace(CLOUD, images=AWAY)),
    story(Check.IMAGE_ACTIVE, "no cloud", cloud=None, image=None),
    # --- quota
    story(Check.QUOTA_FOR_SURGE, "enough for the larger of two that surge one after the other",
          cloud=replace(CLOUD, free={"instances": 1, "cores": 4, "ram_mb": 8192, "ports": 1})),
    story(Check.QUOTA_FOR_SURGE, "enough for the control plane only", "pool cpu needs one machine",
          cloud=replace(CLOUD, free={"cores": 3})),
    story(Check.QUOTA_FOR_SURGE, "none left", "the control plane needs one machine of flavor cpu-2",
          "pool cpu needs one machine of flavor cpu-4 more for a while, and too little is left (instances 0 of 1)",
          cloud=replace(CLOUD, free={"instances": 0})),
    story(Check.QUOTA_FOR_SURGE, "overdrawn", "(cores 0 of 2)", "(cores 0 of 4)",
          cloud=replace(CLOUD, free={"cores": -7})),
    story(Check.QUOTA_FOR_SURGE, "no limits", cloud=replace(CLOUD, free={})),
    story(Check.QUOTA_FOR_SURGE, "a GPU pool that surges", "pool gpu needs one machine of flavor dgx",
          case=case(cluster(pools=SURGING))),
    story(Check.QUOTA_FOR_SURGE, "all at once", "the control plane", "pool cpu needs 3 machines",
          case=case(cluster(pools=ALL_AT_ONCE)), cloud=replace(CLOUD, free={"instances": 2, "cores": 1})),
    story(Check.QUOTA_FOR_SURGE, "zones surge together", "pool cpu needs 2 machines",
          case=case(cluster(pools=ZONES)), cloud=replace(CLOUD, free={"instances": 1})),
    story(Check.QUOTA_FOR_SURGE, "a pool that is left alone", case=case(pools=("gpu",)),
          cloud=replace(CLOUD, free={"cores": 2})),
    story(Check.QUOTA_FOR_SURGE, "a flavor that is gone", "has no flavor 'cpu-2' any more", "no flavor 'cpu-4'",
          cloud=replace(CLOUD, flavors={})),
    story(Check.QUOTA_FOR_SURGE, "not known", "?quota of Site north could not", cloud=replace(CLOUD, free=AWAY)),
    story(Check.QUOTA_FOR_SURGE, "that of ports is not known", "?quota of ports of Site north could not",
          cloud=replace(CLOUD, network=AWAY)),
    # --- room
    story(Check.CAPACITY_FOR_SURGE, "there"),
    story(Check.CAPACITY_FOR_SURGE, "full", "spec.nodePools[cpu].flavor: no host on Site north has room",
          cloud=replace(CLOUD, rooms={("cpu-2", None): 1, ("cpu-4", None): 0})),
    story(Check.CAPACITY_FOR_SURGE, "a zone is full", "no host in zone az-2 has room",
          case=case(cluster(pools=ZONES)),
          cloud=replace(CLOUD, rooms={("cpu-2", None): 1, ("cpu-4", "az-1"): 1, ("cpu-4", "az-2"): 0})),
    story(Check.CAPACITY_FOR_SURGE, "fewer hosts than machines", "?pool cpu needs 3 servers",
          case=case(cluster(pools=ALL_AT_ONCE))),
    story(Check.CAPACITY_FOR_SURGE, "may not ask: said once", "?room for flavor cpu-2 on Site north could not be",
          cloud=replace(CLOUD, rooms={("cpu-2", None): AWAY, ("cpu-4", None): AWAY})),
    story(Check.CAPACITY_FOR_SURGE, "too many to ask", "?too many flavors and zones",
          cloud=replace(CLOUD, rooms={("cpu-2", None): 1})),
    # --- machines and etcd
    story(Check.MACHINES_HEALTHY, "well"),
    story(Check.MACHINES_HEALTHY, "a sick one", "pool cpu: 1 of 2 machines are not well: b (kubelet stopped)",
          machines=(worker("a"), worker("b", ready=False, trouble="kubelet stopped"))),
    story(Check.MACHINES_HEALTHY, "one that never joined", "the control plane: 1 of 1 machines are not well: m-0 "
          "(it has not joined)", machines=(master(0, node=None, ready=False),)),
    story(Check.MACHINES_HEALTHY, "one that is going", "a (it is being deleted)",
          machines=(worker("a", deleting=True),)),
    story(Check.MACHINES_HEALTHY, "not known", "?of 1 of 1 machines it is not known",
          machines=(worker("a", ready=None),)),
    story(Check.MACHINES_HEALTHY, "of a pool that is left alone", "?pool gpu: 1 of 1 machines are not well",
          case=case(pools=("cpu",)), machines=(worker("box", "gpu", ready=False),)),
    story(Check.MACHINES_HEALTHY, "many", "and 7 more",
          machines=tuple(worker(f"w{n}", ready=False) for n in range(10))),
    story(Check.ETCD_HEALTH, "well"),
    story(Check.ETCD_HEALTH, "one of three", "etcd: the member on m-1 is not healthy; with one fewer, 1 of 3 would "
          "work and 2 are needed", machines=(master(0), master(1, member=False), master(2))),
    story(Check.ETCD_HEALTH, "one of five", "etcd: the member on m-0 is not healthy: repair it first",
          machines=(master(0, member=False), *map(master, range(1, 5)))),
    story(Check.ETCD_HEALTH, "only one, well", machines=(master(0),)),
    story(Check.ETCD_HEALTH, "an alarm", "etcd is not healthy: NOSPACE", etcd=(False, "NOSPACE")),
    story(Check.ETCD_HEALTH, "a member nobody knows of", "?of the member on m-1 it is not known",
          machines=(master(0), master(1, member=None), master(2))),
    story(Check.ETCD_HEALTH, "nobody knows", "?of etcd it is not known whether it is healthy: no control plane",
          etcd=(None, "no control plane")),
    # --- repairs
    Story(Check.REPAIR_UNDER_WAY, "none", repairs(("cpu", 0))),
    Story(Check.REPAIR_UNDER_WAY, "two", repairs(("cpu", 1), ("", 1)), ("pool cpu: 1 nodes", "the control plane: 1 ")),
    Story(Check.BUDGET_LEFT, "all of it", repairs(("cpu", 0))),
    Story(Check.BUDGET_LEFT, "spent", repairs(("cpu", 1)),
          ("spec.nodePools[cpu].repair.limits.maxInFlight is 1, and 1 nodes are out already",)),
    Story(Check.BUDGET_LEFT, "of the Cluster", repairs(("old", 2), ("older", 1)),
          ("spec.repair.limits.maxInFlight is 3, and 3 nodes are out",)),
    Story(Check.BUDGET_LEFT, "none at all", repairs(pools=[{**POOLS[0], "repair": {"limits": {"maxInFlight": 0}}}]),
          ("maxInFlight is 0, and that allows none",)),
    Story(Check.BUDGET_LEFT, "a percentage is one node at least",
          repairs(pools=[{**POOLS[0], "repair": {"limits": {"maxInFlight": "1%"}}}])),
    Story(Check.BUDGET_LEFT, "a breaker", repairs(breakers=[BREAKER]),
          ("repairs of pool/tenants/team/cpu are held back (TooManySick: 3 of 4)",)),
    # --- within the Cluster
    story(Check.DISRUPTION_BUDGETS, "none"),
    story(Check.DISRUPTION_BUDGETS, "never met", "PodDisruptionBudget shop/web allows no Pod to go (minAvailable 2, 2 "
          "Pods, all well), and Node node-a is to go", budgets=(BUDGET,)),
    story(Check.DISRUPTION_BUDGETS, "on nodes that stay", case=case(pools=("gpu",)), budgets=(BUDGET,)),
    story(Check.DISRUPTION_BUDGETS, "where is not known", "on which nodes these are is not known",
          budgets=(replace(BUDGET, nodes=AWAY),)),
    story(Check.DISRUPTION_BUDGETS, "not known", "?PodDisruptionBudgets could not be looked at", budgets=AWAY),
    story(Check.REMOVED_APIS, "still there in the next", deprecated=(API,)),
    story(Check.REMOVED_APIS, "gone in the next", "cronjobs.batch v1beta1 is in use and is not there any more from "
          "Kubernetes 1.37 on: by helm (shop/nightly, last 2027-01-04 12:00 UTC)",
          case=case(target="v1.37.0"), deprecated=(replace(API, clients=(CLIENT,)),)),
    story(Check.REMOVED_APIS, "by who only reads", "the audit log names them",
          case=case(target="v1.37.0"), deprecated=(API,)),
    story(Check.REMOVED_APIS, "by whom is not known", "by whom could not be looked up (it hangs)",
          case=case(target="v1.38.0"), deprecated=(replace(API, clients=AWAY),)),
    story(Check.REMOVED_APIS, "not known", "?APIs that were asked for could not", deprecated=AWAY),
    story(Check.WEBHOOKS, "two answer", hooks=(HOOK,)),
    story(Check.WEBHOOKS, "none answers", "webhook guard.example.com of ValidatingWebhookConfiguration guard "
          "(failurePolicy Fail) is asked about nodes, and its Service guard/guard has no ready endpoint",
          hooks=(replace(HOOK, endpoints=0),)),
    story(Check.WEBHOOKS, "none answers, and it may not be asked", "?has no ready endpoint",
          hooks=(replace(HOOK, endpoints=0, conditional=True),)),
    story(Check.WEBHOOKS, "the only one", "?has 1 ready endpoints, and without it",
          hooks=(replace(HOOK, endpoints=1),)),
    story(Check.WEBHOOKS, "outside", "?answers outside the Cluster", hooks=(replace(HOOK, endpoints=None),)),
    story(Check.WEBHOOKS, "slow", "?with a time-out of 30 s", hooks=(replace(HOOK, seconds=30),)),
    story(Check.WEBHOOKS, "about Pods of users only", hooks=(replace(HOOK, endpoints=1, system=False),)),
    story(Check.WEBHOOKS, "whether it answers is not known", "?is not known: it hangs",
          hooks=(replace(HOOK, endpoints=AWAY),)),
    story(Check.WEBHOOKS, "not known", "?admission webhooks could not", hooks=AWAY),
    # --- what ends
    story(Check.CERTIFICATES, "long"),
    story(Check.CERTIFICATES, "ended", "have ended: Machine m-0 (2027-01-04)", machines=(master(0, certificates=NOW),)),
    story(Check.CERTIFICATES, "soon", "?of Machine m-0 end within 7 days",
          machines=(master(0, certificates=NOW + timedelta(days=3)),)),
    story(Check.CERTIFICATES, "nobody says when", machines=(master(0, certificates=None),)),
    story(Check.CERTIFICATES, "an authority that has ended", "authority kubernetes has ended on 2027-01-03",
          authorities=(replace(AUTHORITY, ends=NOW - timedelta(days=1)),)),
    story(Check.CERTIFICATES, "an authority in its last month", "authority kubernetes ends on 2027-01-24",
          authorities=(replace(AUTHORITY, ends=NOW + timedelta(days=20)),)),
    story(Check.CERTIFICATES, "an authority in its last year", "?authority kubernetes ends on",
          authorities=(replace(AUTHORITY, ends=NOW + timedelta(days=300)), AUTHORITY)),
    story(Check.CERTIFICATES, "not known", "?certificate authority could not", authorities=(AUTHORITY, AWAY)),
    Story(Check.ADD_ON_SUPPORT, "all support it", facts()),
    Story(Check.ADD_ON_SUPPORT, "two do not", facts(case=case(against=("agent supports 1.36", "driver supports 1.36"))),
          ("agent supports 1.36", "driver supports 1.36")),
    Story(Check.WINDOW_LONG_ENOUGH, "no window", left(None, "gpu")),
    Story(Check.WINDOW_LONG_ENOUGH, "long", left(300, "cpu", "gpu")),
    Story(Check.WINDOW_LONG_ENOUGH, "too short for a box", left(299, "cpu", "gpu"),
          ("pool gpu: one machine takes up to 300 min (its drain 120 min, its evictions after that 120 min, its return "
           "60 min), and the maintenance window has 299 min",)),
    Story(Check.WINDOW_LONG_ENOUGH, "that pool is left alone", left(299, "cpu")),
    Story(Check.WINDOW_LONG_ENOUGH, "too short for anything", left(39.5, "cpu"),
          ("the control plane: one machine takes up to 40 min (its drain 10 min, its return 30 min), and the",
           "pool cpu: one machine takes up to 40 min (its drain 10 min, its return 30 min), and the maintenance window "
           "has 40 min")),
    Story(Check.WINDOW_LONG_ENOUGH, "a layout of GPUs", left(329, "gpu", of=[{**POOLS[1], "labels": LAID_OUT}]),
          ("takes up to 330 min (its drain 120 min, its evictions after that 120 min, its return 60 min, the layout of "
           "its GPUs 30 min)",)),
    Story(Check.WINDOW_LONG_ENOUGH, "a soak", left(240, "cpu", of=[ALL_AT_ONCE[0] | SOAKS]),
          ("takes up to 1480 min (its drain 10 min, its return 30 min, the soak 1440 min), and",)),
    Story(Check.WINDOW_LONG_ENOUGH, "no time-out", left(60, "gpu", of=[POOLS[1] | ENDLESS])),
    Story(Check.WINDOW_LONG_ENOUGH, "the Site gives it more", left(239, where=site(flavors=PATIENT)),
          ("the control plane: one machine takes up to 250 min (its drain 10 min, its return 240 min)",)),
]  # fmt: skip


@pytest.mark.parametrize("told", STORIES, ids=lambda s: f"{s.check}: {s.about}")
def test_check(told: Story) -> None:
    found = list(BY_NAME[told.check](told.facts))
    said = [("?" if f.warns else "") + f.message for f in found]
    assert len(said) == len(told.says), said
    for words, one in zip(told.says, said, strict=True):
        assert one.startswith("?") == words.startswith("?"), said
        assert words.lstrip("?") in one


def test_every_check_has_a_row_and_stories() -> None:
    assert [row.name for row in CHECKS] == list(Check)
    assert {s.check for s in STORIES if s.says} == set(Check), "each can find something"
    quiet = {s.check for s in STORIES if not s.says}
    assert quiet >= set(Check) - {Check.UNREACHABLE_CLUSTER}, "each can be content"


def test_nothing_is_found_of_who_is_well() -> None:
    assert [f for row in CHECKS for f in row.check(facts())] == []


def test_the_nodes_that_go_are_those_of_the_pools_that_are_replaced() -> None:
    assert facts(case=case(pools=("gpu",))).nodes_to_go() == {"master-0", "master-1", "master-2", "node-box"}
    assert len(facts().nodes_to_go()) == len(MACHINES)


def test_a_control_plane_in_zones_surges_once() -> None:
    where = site(flavors=[{"name": "cpu-2"}], zones=[{"name": "az-1"}, {"name": "az-2", "controlPlane": False}])
    rooms: dict[tuple[str, str | None], int | Unknown] = {("cpu-2", "az-1"): 0}
    found = facts(case=case(where=where, pools=()), cloud=replace(CLOUD, free={"instances": 1}, rooms=rooms))
    assert list(BY_NAME[Check.QUOTA_FOR_SURGE](found)) == []
    (full,) = BY_NAME[Check.CAPACITY_FOR_SURGE](found)
    assert "no host in zone az-1" in full.message


def test_a_hook_names_all_that_it_is_asked_about() -> None:
    hook = Hook("c", "h", ("nodes", "pods"), "URL https://x", None)
    (found,) = BY_NAME[Check.WEBHOOKS](facts(hooks=(hook,)))
    assert "is asked about nodes, pods" in found.message

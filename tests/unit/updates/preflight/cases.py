"""A Cluster that is well before an update in all that the checks look at; builders change what a test is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from kaas.api.cluster import Cluster
from kaas.updates.facts import Aims, Change
from kaas.updates.preflight.facts import (
    Authority,
    Client,
    CloudView,
    DeprecatedApi,
    DisruptionBudget,
    Hook,
    Kubelet,
    MachineFacts,
    PreflightFacts,
)
from kaas.updates.run import Case
from tests.unit.updates.subjects import NOW, Object, raw_cluster, site, version

KEY = ("tenants", "team")
POOLS: list[Object] = [
    {"name": "cpu", "flavor": "cpu-4", "replicas": 2},
    {"name": "gpu", "flavor": "dgx", "replicas": 1, "gpu": {"drainTimeoutSeconds": 7200}},
]
FLAVORS = [{"name": "cpu-2"}, {"name": "cpu-4"}, {"name": "dgx", "gpu": {"model": "A100", "count": 8}}]


def cluster(*, pools: list[Object] | None = None, status: Object | None = None, **spec: Any) -> Cluster:
    raw = raw_cluster(status=status)
    raw["spec"] |= {"nodePools": POOLS if pools is None else pools, **spec}
    return Cluster.model_validate(raw)


def case(of: Cluster | None = None, target: str = "v1.36.2", running: str = "v1.36.1", **changed: Any) -> Case:
    aims = Aims(version(target), (Change.PATCH,), image="node-new")
    where = changed.pop("where", None) or site(flavors=FLAVORS)
    pools = changed.pop("pools", ("cpu", "gpu"))
    return Case(KEY, of or cluster(), where, aims, version(running), pools=pools, **changed)


def master(number: int, **changed: Any) -> MachineFacts:
    ends = NOW + timedelta(days=200)
    found = MachineFacts(f"m-{number}", "", "v1.36.1", f"master-{number}", member=True, certificates=ends)
    return replace(found, **changed)


def worker(name: str, pool: str = "cpu", **changed: Any) -> MachineFacts:
    return replace(MachineFacts(name, pool, "v1.36.1", f"node-{name}"), **changed)


MACHINES = (*map(master, range(3)), worker("a"), worker("b"), worker("box", "gpu"))
KUBELETS = tuple(Kubelet(m.node or "", m.version) for m in MACHINES)
CLOUD = CloudView(
    images={"node-new": "active", "old": "deactivated"},
    flavors={"cpu-2": (2, 4096), "cpu-4": (4, 8192), "dgx": (128, 1048576)},
    free={"instances": 5, "cores": 20, "ram_mb": 40960, "ports": 9},
    rooms={("cpu-2", None): 1, ("cpu-4", None): 2},
)
AUTHORITY = Authority("kubernetes", NOW + timedelta(days=3000))
BUDGET = DisruptionBudget("shop", "web", 2, "minAvailable 2", frozenset({"node-a"}))
API = DeprecatedApi("batch", "v1beta1", "cronjobs", 37)
CLIENT = Client("helm", NOW, "shop/nightly")
HOOK = Hook("ValidatingWebhookConfiguration guard", "guard.example.com", ("nodes",), "Service guard/guard", 2)


def facts(**changed: Any) -> PreflightFacts:
    """All is well, unless told otherwise."""
    well = PreflightFacts(
        case=case(),
        now=NOW,
        machines=MACHINES,
        etcd=(True, ""),
        image="node-new",
        cloud=CLOUD,
        kubelets=KUBELETS,
        budgets=(),
        deprecated=(),
        hooks=(),
        authorities=(AUTHORITY,),
    )
    return replace(well, **changed)

"""The deepest cause of what is not well: Cluster, then Machine, then the server, then what the cloud said. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kaas.clusters.snapshot import Live, Object
from kaas.kube.objects import condition, is_deleting

CHAIN = ("OpenStackServer", "OpenStackMachine", "Machine")  # the deepest first
# In the order in which a machine passes them: the first that does not hold is the one that it waits for.
ASPECTS = {
    "Machine": ("BootstrapConfigReady", "InfrastructureReady", "NodeHealthy", "NodeReady", "HealthCheckSucceeded"),
    "OpenStackMachine": ("InstanceReady",),
    "OpenStackServer": ("InstanceReady", "FloatingAddressFromPoolReady"),
}
# A machine that waits for what is above it says nothing of its own: the word of the Machine, or of the Cluster, counts.
UPWARD = frozenset({"WaitingForBootstrapData", "WaitingForClusterInfrastructure", "ClusterInfrastructureNotReady"})
MAX_LENGTH = 600
ERROR = "ERROR"  # Nova's status of a server that it could not build, or could not keep
NO_FAULTS: Mapping[str, str] = {}


@dataclass(frozen=True)
class Cause:
    """Why something is not well: which object says it, its reason, and its words."""

    kind: str
    name: str
    reason: str
    message: str

    def __str__(self) -> str:
        words = " ".join(self.message.split()) or self.reason
        return f"{self.kind} {self.name}: {words[:MAX_LENGTH]}"


def failed_servers(live: Live, of: Object | None = None) -> frozenset[str]:
    """Nova's ids of the servers that are in ERROR; `of`: of one Machine only."""
    found = [s for s in live.servers if of is None or _belongs(s, of)]
    statuses = [s.get("status") or {} for s in found]
    return frozenset(s["instanceID"] for s in statuses if s.get("instanceState") == ERROR and s.get("instanceID"))


def of_machine(machine: Object, live: Live, faults: Mapping[str, str] = NO_FAULTS) -> Cause | None:
    """Why a Machine is not well; None when it is, or when nothing below it says why.

    faults: what Nova says of servers in ERROR, by id. CAPO does not pass it on.
    """
    name = machine["metadata"]["name"]
    for server in sorted(failed_servers(live, machine) & faults.keys()):
        return Cause("OpenStackServer", name, ERROR, f"Nova: {faults[server]}")
    below = {o["kind"]: o for o in (*live.infrastructure_machines, *live.servers) if _belongs(o, machine)}
    for kind in CHAIN:
        found = machine if kind == "Machine" else below.get(kind)
        if found and (cause := _first(found, ASPECTS[kind])):
            return cause if kind == "Machine" else Cause(kind, name, cause.reason, cause.message)
    return None


def of_machines(machines: Iterable[Object], live: Live, faults: Mapping[str, str] = NO_FAULTS) -> Iterator[Cause]:
    """Causes of all machines that are not well, those on their way out aside."""
    for machine in machines:
        if not is_deleting(machine) and (cause := of_machine(machine, live, faults)):
            yield cause


def of_infrastructure(live: Live) -> Cause | None:
    """Why network, load balancer or endpoint are not there yet."""
    if live.infrastructure is None:
        return None
    return _failure(live.infrastructure) or _first(live.infrastructure, ("Ready",))


def of_cluster(live: Live, types: Iterable[str]) -> Cause | None:
    """The first of the Cluster API Cluster's conditions that does not hold."""
    return _first(live.cluster, types) if live.cluster else None


def _belongs(infrastructure: Object, machine: Object) -> bool:
    """Cluster API and CAPO name everything of a Machine after it."""
    same: bool = infrastructure["metadata"]["name"] == machine["metadata"]["name"]
    return same


def _failure(obj: Object) -> Cause | None:
    """`failureReason` and `failureMessage` of the older contract."""
    status: Mapping[str, str] = obj.get("status") or {}
    if not status.get("failureMessage"):
        return None
    return Cause(obj["kind"], obj["metadata"]["name"], status.get("failureReason") or "", status["failureMessage"])


def _first(obj: Object, types: Iterable[str]) -> Cause | None:
    if failed := _failure(obj):
        return failed
    for name in types:
        found = condition(obj, name)
        if found and _says_why(found):
            message = found.get("message") or found.get("reason") or name
            return Cause(obj["kind"], obj["metadata"]["name"], found.get("reason") or name, message)
    return None


def _says_why(found: Object) -> bool:
    return found["status"] != "True" and found.get("reason") not in UPWARD

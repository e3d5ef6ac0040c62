"""What is shown of one Cluster: facts picked from its snapshot, the same for people and for programs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from pydantic.alias_generators import to_camel

from kaas.api.constants import CONDITION_DRAIN, LABEL_POOL
from kaas.cli import update_view
from kaas.cli.update_view import UpdateView
from kaas.clusters import causes
from kaas.clusters.snapshot import Live, Object, Snapshot
from kaas.kube.objects import condition, is_deleting, is_true, labels
from kaas.kube.resources import CONTROL_PLANE_LABEL

CONTROL_PLANE = "control plane"
NOT_LOOKED_AT = "the controller has not looked at it yet (is `kaas controller` running?)"
STARTING = frozenset({"Pending", "Provisioning", "Provisioned"})
MOVING_PHASES = frozenset({"Pending", "Provisioning", "Updating"})


class Mark(StrEnum):
    """How something is."""

    WELL = "well"
    MOVING = "moving"
    SICK = "sick"
    GOING = "going"


@dataclass(frozen=True)
class ServerView:
    """A server of the cloud. `state` is the cloud's word for it."""

    id: str | None
    state: str | None


@dataclass(frozen=True)
class MachineView:
    """One Machine. `why` is the deepest cause of what is not well, `gpus` is their number."""

    name: str
    mark: Mark
    phase: str
    version: str | None
    zone: str | None
    node: str | None
    gpus: int
    server: ServerView | None
    why: str | None


@dataclass(frozen=True)
class GroupView:
    """The control plane, or one pool. `desired` is None for a pool that left the spec."""

    name: str
    mark: Mark
    ready: int
    desired: int | None
    flavor: str | None
    gpu: str | None
    machines: Sequence[MachineView]


@dataclass(frozen=True)
class ConditionView:
    """One condition of the Cluster."""

    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True)
class StepView:
    """One step that is still to be done."""

    id: str
    reason: str
    waits_for: str | None


@dataclass(frozen=True)
class ClusterView:
    """One Cluster. `current`: the status is about the generation that is there now."""

    namespace: str
    name: str
    phase: str
    mark: Mark
    current: bool
    version: str
    site: str
    endpoint: str | None
    kubeconfig_secret: str | None
    why: str | None
    infrastructure_why: str | None
    control_plane: GroupView
    pools: Sequence[GroupView]
    conditions: Sequence[ConditionView]
    plan: Sequence[StepView]
    update: UpdateView | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON in camelCase."""
        found: dict[str, Any] = asdict(self, dict_factory=_json)
        return found

    @property
    def groups(self) -> tuple[GroupView, ...]:
        """Control plane and pools."""
        return (self.control_plane, *self.pools)


def _json(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {to_camel(name): value.value if isinstance(value, Mark) else value for name, value in fields}


def view(snapshot: Snapshot) -> ClusterView:
    """What is shown of a Cluster."""
    cluster, status = snapshot.cluster, snapshot.cluster.status
    conditions = [ConditionView(c.type, c.status, c.reason, c.message) for c in (status.conditions if status else ())]
    ready = next((c for c in conditions if c.type == "Ready"), None)
    phase = (status.phase if status else None) or ("Deleting" if snapshot.deleting else "Pending")
    infrastructure = causes.of_infrastructure(snapshot.live)
    return ClusterView(
        namespace=cluster.metadata.namespace or "",
        name=cluster.metadata.name,
        phase=phase,
        mark=mark_of_phase(phase),
        current=bool(status and (status.observed_generation or 0) >= (cluster.metadata.generation or 0)),
        version=(status.version if status else None) or cluster.spec.version,
        site=cluster.spec.site,
        endpoint=f"https://{status.endpoint.host}:{status.endpoint.port}" if status and status.endpoint else None,
        kubeconfig_secret=status.kubeconfig_secret.name if status and status.kubeconfig_secret else None,
        why=_why(ready),
        infrastructure_why=str(infrastructure) if infrastructure else None,
        control_plane=_control_plane(snapshot),
        pools=tuple(_pools(snapshot)),
        conditions=conditions,
        plan=[StepView(s.id, s.reason, s.waits_for) for s in (status.plan if status else ())],
        update=update_view.of(status.update) if status and status.update else None,
    )


def mark_of_phase(phase: str) -> Mark:
    """How a Cluster in a phase is."""
    if phase == "Ready":
        return Mark.WELL
    if phase == "Deleting":
        return Mark.GOING
    return Mark.MOVING if phase in MOVING_PHASES else Mark.SICK


def _why(ready: ConditionView | None) -> str | None:
    if ready is None:
        return NOT_LOOKED_AT
    return None if ready.status == "True" else " ".join((ready.message or ready.reason).split())


# --- groups of machines -------------------------------------------------------------------------------------------


def _control_plane(snapshot: Snapshot) -> GroupView:
    spec, live = snapshot.cluster.spec.control_plane, snapshot.live
    masters = [m for m in live.machines if CONTROL_PLANE_LABEL in labels(m)]
    return _group(CONTROL_PLANE, spec.replicas, spec.flavor, masters, snapshot)


def _pools(snapshot: Snapshot) -> Iterator[GroupView]:
    workers = [m for m in snapshot.live.machines if CONTROL_PLANE_LABEL not in labels(m)]
    by_pool: dict[str, list[Object]] = {}
    for machine in workers:
        by_pool.setdefault(labels(machine).get(LABEL_POOL, "without pool"), []).append(machine)
    for pool in snapshot.cluster.spec.node_pools:
        yield _group(pool.name, pool.replicas, pool.flavor, by_pool.pop(pool.name, []), snapshot)
    for name, machines in sorted(by_pool.items()):
        yield _group(name, None, None, machines, snapshot)


def _group(
    name: str, desired: int | None, flavor: str | None, machines: Iterable[Object], snapshot: Snapshot
) -> GroupView:
    gpu = next((f.gpu for f in snapshot.site.spec.flavors if f.name == flavor), None) if snapshot.site else None
    views = [_machine(m, snapshot.live, gpu.count if gpu else 0) for m in machines]
    ready = sum(v.mark is Mark.WELL for v in views)
    return GroupView(
        name=name,
        mark=_group_mark(views, ready, desired),
        ready=ready,
        desired=desired,
        flavor=flavor,
        gpu=f"{gpu.count} x {gpu.model}" if gpu else None,
        machines=views,
    )


def _group_mark(machines: Sequence[MachineView], ready: int, desired: int | None) -> Mark:
    if desired is None:
        return Mark.GOING
    if any(m.mark is Mark.SICK for m in machines):
        return Mark.SICK
    return Mark.WELL if ready == desired == len(machines) else Mark.MOVING


# --- one machine --------------------------------------------------------------------------------------------------


def _machine(machine: Object, live: Live, gpus: int) -> MachineView:
    spec, status = machine.get("spec") or {}, machine.get("status") or {}
    phase = status.get("phase") or "Pending"
    mark = _machine_mark(machine, phase)
    cause = None if mark is Mark.WELL else causes.of_machine(machine, live)
    return MachineView(
        name=machine["metadata"]["name"],
        mark=mark,
        phase=phase,
        version=spec.get("version"),
        zone=spec.get("failureDomain") or status.get("failureDomain"),
        node=(status.get("nodeRef") or {}).get("name"),
        gpus=gpus,
        server=_server(machine, live),
        why=_machine_why(machine, cause, mark),
    )


def _machine_mark(machine: Object, phase: str) -> Mark:
    """Unknown is not unhealthy: only a Machine that came up, and is said not to be Ready, is sick."""
    if is_deleting(machine):
        return Mark.GOING
    if is_true(machine, "Ready"):
        return Mark.WELL
    said = condition(machine, "Ready")
    is_known = said is not None and said["status"] == "False"
    return Mark.SICK if is_known and phase not in STARTING else Mark.MOVING


def _machine_why(machine: Object, cause: causes.Cause | None, mark: Mark) -> str | None:
    """The deepest cause; of a machine that goes, what its deletion waits for."""
    if mark is Mark.GOING:
        drain = condition(machine, CONDITION_DRAIN) or {}
        said = drain if drain.get("status") == "False" else condition(machine, "Deleting") or {}
        return " ".join(str(said.get("message") or said.get("reason") or "").split()) or None
    if cause is None or cause.name == machine["metadata"]["name"]:
        return f"{cause.kind}: {' '.join(cause.message.split())}" if cause else None
    return str(cause)


def _server(machine: Object, live: Live) -> ServerView | None:
    """State and ID, as the deepest object that knows them says; None where there is no server that has a state."""
    name = machine["metadata"]["name"]
    found = [o for o in (*live.servers, *live.infrastructure_machines) if o["metadata"]["name"] == name]
    states = [(o.get("status") or {}).get("instanceState") for o in found]
    ids = [(o.get("status") or {}).get("instanceID") for o in found]
    ids.append((machine.get("spec") or {}).get("providerID", "").rpartition("/")[2])
    first_id, state = next(filter(None, ids), None), next(filter(None, states), None)
    return ServerView(first_id, state) if found and (first_id or state) else None

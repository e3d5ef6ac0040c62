"""From what the watches have seen to what the ledger of an update is moved on by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from kaas.api.addon_state import installed
from kaas.api.addon_status import InstalledAddOn
from kaas.api.cluster import Cluster, ControlPlaneStatus, NodePool, NodePoolStatus
from kaas.api.constants import CONDITION_DRAIN, CONTROL_PLANE_POOL, LABEL_POOL
from kaas.api.patience import drain, joins, startup
from kaas.api.pool_update import Strategy, soak_of
from kaas.api.site import Site
from kaas.api.update_status import Before
from kaas.api.versions import KubernetesVersion
from kaas.kube import resources
from kaas.kube.objects import Object, condition, is_deleting, is_true, labels
from kaas.kube.ports import Source
from kaas.kube.resources import CONTROL_PLANE_LABEL, TOPOLOGY_DEPLOYMENT_LABEL
from kaas.kube.times import at, stamp
from kaas.updates.addons import Known, no_way_back
from kaas.updates.drains.words import Reason
from kaas.updates.facts import AddOn, Aims
from kaas.updates.ledger.seen import AddOnPart, Brought, Part

_IN_ORDER: Final = ("BootstrapConfigReady", "InfrastructureReady", "NodeHealthy", "NodeReady")
"""Conditions of a Machine as it passes them: the first that does not hold is the one that it waits for."""
_UNLAID: Final = (Reason.LAYOUT_FAILED, Reason.LAYOUT_MISSING)
_LONGEST: Final = 600


@dataclass(frozen=True, slots=True)
class Sight:
    """What Cluster API has of one Cluster that is brought to something."""

    cluster: Cluster
    site: Site
    aims: Aims
    topology: Object | None = None
    control_plane: Object | None = None
    deployments: Mapping[str, Sequence[Object]] = field(default_factory=dict)
    machines: Mapping[str, Sequence[Object]] = field(default_factory=dict)


def look(source: Source, cluster: Cluster, site: Site, aims: Aims) -> Sight:
    """Read it from the index."""
    key = (cluster.metadata.namespace or "", cluster.metadata.name)
    planes = source.of_cluster(resources.KUBEADM_CONTROL_PLANE, *key)
    deployments = _by_pool(source.of_cluster(resources.MACHINE_DEPLOYMENT, *key))
    machines = _by_pool(source.of_cluster(resources.MACHINE, *key))
    topology = source.get(resources.CAPI_CLUSTER, *key)
    return Sight(cluster, site, aims, topology, planes[0] if planes else None, deployments, machines)


def control_plane(sight: Sight) -> Part:
    """The machines of the control plane."""
    status, parts = sight.cluster.status, [sight.control_plane] if sight.control_plane else []
    running = KubernetesVersion.known(status.version if status else None)
    asked = [KubernetesVersion.known((p.get("spec") or {}).get("version")) for p in parts]
    there = bool(sight.machines.get(CONTROL_PLANE_POOL)) and bool(asked)  # they tell themselves which of them are old
    runs = all(_runs(v, sight.aims) for v in asked) if there else _runs(running, sight.aims)
    handed = runs and _handed(sight, parts)
    counts = _counted(parts, status.control_plane if status else None)
    wanted = sight.cluster.spec.control_plane
    found = _part(sight, CONTROL_PLANE_POOL, wanted.replicas, counts, handed=handed)
    return replace(found, startup=timedelta(seconds=startup(sight.site, wanted.flavor)))


def pools(sight: Sight) -> dict[str, Part]:
    """The machines of the pools of the spec."""
    return {p.name: _pool(sight, p) for p in sight.cluster.spec.node_pools}


def brings(sight: Sight, before: Before | None) -> tuple[Brought, ...]:
    """What the update brings, and whether Cluster API has been handed it; empty where nobody knows what there was."""
    return tuple(_brings(sight, before)) if before is not None else ()


def _brings(sight: Sight, before: Before) -> Iterator[Brought]:
    aims, seen = sight.aims, sight.topology
    topology = _topology(seen or {})
    if before.version != str(aims.version):
        version = KubernetesVersion.known(topology.get("version"))
        yield Brought("Version", str(aims.version), before.version, seen is None or _runs(version, aims))
    if aims.image and before.image and aims.image != before.image and (seen is None or _knows_images(topology)):
        handed = seen is None or _image(seen, aims) == aims.image
        yield Brought("Image", aims.image, before.image, handed)
    if aims.class_revision and before.class_revision and aims.class_revision != before.class_revision:
        handed = seen is None or _revision(seen) == aims.class_revision
        yield Brought("ClassRevision", aims.class_revision, before.class_revision, handed)
    if aims.certificates is not None:
        after = ((topology.get("controlPlane") or {}).get("rollout") or {}).get("after")
        handed = seen is None or (after is not None and at(after) >= aims.certificates)
        yield Brought("Certificates", stamp(aims.certificates) or "", "", handed)


def add_ons(
    cluster: Cluster, addons: tuple[Known, ...], aims: Aims, unread: Collection[str] = ()
) -> tuple[AddOnPart, ...]:
    """The add-ons that the update brings to another version. addons: those that the Cluster is to have.

    unread: names of others that it may be to have.
    """
    said, wanted = installed(cluster), {*(known.name for known in addons), *unread}
    stays = {a.name: no_way_back(addons, a.name, a.old, aims.version, unread) for a in aims.add_ons}
    found = (_add_on(a, said.get(a.name), stays[a.name], wanted=a.name in wanted) for a in aims.add_ons)
    return tuple(
        replace(part, unread=True, message=stays[part.name]) if part.name in unread else part for part in found
    )


def _add_on(brought: AddOn, said: InstalledAddOn | None, stays: str, *, wanted: bool) -> AddOnPart:
    if said is None or not wanted:
        return AddOnPart(brought.name, brought.old, brought.new, through=not wanted, stays=stays)
    works = said.version == brought.new and said.state == "Ready"
    failing = said.since if said.state == "Failed" else None
    message = " ".join((said.message or said.state).split())[:_LONGEST]
    message = "" if works else message
    return AddOnPart(brought.name, brought.old, brought.new, works, failing, message, stays, moved=said.moved)


def pools_in_order(cluster: Cluster) -> tuple[str, ...]:
    """Names of the pools as they are updated: by their order, then as the spec has them."""
    return tuple(p.name for p in sorted(cluster.spec.node_pools, key=lambda p: p.update.order))


def unfinished(sight: Sight) -> tuple[str, ...]:
    """What is not yet as Cluster API was handed it before, in words: until all is it takes no other version."""
    version = KubernetesVersion.known(_topology(sight.topology or {}).get("version"))
    names = {CONTROL_PLANE_POOL: "the control plane"}
    names |= {p.name: f"pool {p.name}" for p in sight.cluster.spec.node_pools}
    return tuple(words for pool, words in names.items() if version and _is_behind(sight, pool, version))


def _is_behind(sight: Sight, pool: str, version: KubernetesVersion) -> bool:
    parts, machines = sight.deployments.get(pool, ()), sight.machines.get(pool, ())
    versions = [*map(_version_of, parts), *(KubernetesVersion.known(m["spec"].get("version")) for m in machines)]
    rolling = any(new < there for there, new, _ in (_counted([part], None) for part in parts))
    return rolling or any(v not in (None, version) for v in versions)


def _pool(sight: Sight, pool: NodePool) -> Part:
    status, parts = sight.cluster.status, sight.deployments.get(pool.name, ())
    told = next((p for p in (status.node_pools if status else ()) if p.name == pool.name), None)
    runs = _runs(KubernetesVersion.known(told.version if told else None), sight.aims)
    handed = runs and all(_runs(_version_of(d), sight.aims) for d in parts) and _handed(sight, parts, pool.name)
    found = _part(sight, pool.name, pool.replicas, _counted(parts, told), handed=handed)
    gpus = _has_gpus(sight.site, pool)
    seconds = drain(pool, gpus=gpus)
    return replace(
        found,
        startup=timedelta(seconds=joins(sight.site, pool.flavor)),
        drain=timedelta(seconds=seconds) if seconds else None,
        soak=timedelta(seconds=soak_of(pool.update)) if pool.update.strategy is Strategy.BLUE_GREEN else None,
        manual=pool.update.strategy is Strategy.MANUAL,
        reached=any(_runs(_version_of(d), sight.aims) for d in parts) if parts else runs,
        surplus=tuple(_surplus(sight, pool.name)),
    )


def _surplus(sight: Sight, pool: str) -> Iterator[tuple[str, int]]:
    """Machines of each MachineDeployment of a pool beyond those wanted, without those on their way out."""
    there = Counter(
        labels(m).get(TOPOLOGY_DEPLOYMENT_LABEL, "") for m in sight.machines.get(pool, ()) if not is_deleting(m)
    )
    for part in _of_pool(sight, pool):
        if (more := there[part["name"]] - (part.get("replicas") or 0)) > 0 and "replicas" in part:
            yield part["name"], more


def _runs(version: KubernetesVersion | None, aims: Aims) -> bool:
    return version is not None and version >= aims.version


def _version_of(deployment: Object) -> KubernetesVersion | None:
    template = (deployment.get("spec") or {}).get("template") or {}
    return KubernetesVersion.known((template.get("spec") or {}).get("version"))


# --- whether the counts are about what the update wants -----------------------------------------------------------


def _handed(sight: Sight, parts: Iterable[Object], pool: str = CONTROL_PLANE_POOL) -> bool:
    """Whether image and class revision have been handed to Cluster API, and on to what makes machines."""
    return _is_wanted(sight) and not _keeps_its_image(sight, pool) and all(_has_seen_itself(p) for p in parts)


def _keeps_its_image(sight: Sight, pool: str) -> bool:
    """Whether a pool is held at the image that it has until it is its turn."""
    overrides = ((p.get("variables") or {}).get("overrides") or () for p in _of_pool(sight, pool))
    return any(v["name"] == "images" for own in overrides for v in own)


def _of_pool(sight: Sight, pool: str) -> list[Object]:
    """The MachineDeployments of a pool in the topology."""
    parts = (_topology(sight.topology or {}).get("workers") or {}).get("machineDeployments") or ()
    return [p for p in parts if (p.get("metadata") or {}).get("labels", {}).get(LABEL_POOL) == pool]


def _is_wanted(sight: Sight) -> bool:
    aims, topology, status = sight.aims, sight.topology, sight.cluster.status
    if topology is not None:
        wanted = ((aims.image, _image(topology, aims)), (aims.class_revision, _revision(topology)))
        return all(want in (None, has) for want, has in wanted) and _is_passed_on(topology)
    told = ((aims.image, status.image), (aims.class_revision, status.class_revision)) if status else ()
    return all(want is None or has in (None, want) for want, has in told)


def _topology(cluster: Object) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (cluster.get("spec") or {}).get("topology") or {}
    return found


def _revision(cluster: Object) -> str | None:
    found: str | None = (_topology(cluster).get("classRef") or {}).get("name")
    return found


def _image(cluster: Object, aims: Aims) -> str | None:
    """What machines of the version are made from; any will do where the class knows no images, as in memory."""
    topology = _topology(cluster)
    if not _knows_images(topology):
        return aims.image
    images = next(v["value"] for v in topology["variables"] if v["name"] == "images")
    found: str | None = (images or {}).get(str(aims.version))
    return found


def _knows_images(topology: Mapping[str, Any]) -> bool:
    return any(v["name"] == "images" for v in topology.get("variables") or ())


def _is_passed_on(cluster: Object) -> bool:
    """Whether Cluster API's topology controller has seen the newest of what it was handed."""
    newest = cluster["metadata"].get("generation", 0)
    said = condition(cluster, "TopologyReconciled") or {}
    return bool(said.get("observedGeneration", newest) >= newest)


def _has_seen_itself(part: Object) -> bool:
    newest = part["metadata"].get("generation", 0)
    return bool((part.get("status") or {}).get("observedGeneration", newest) >= newest)


# --- counts -------------------------------------------------------------------------------------------------------


def _counted(parts: Sequence[Object], told: ControlPlaneStatus | NodePoolStatus | None) -> tuple[int, int, int]:
    """Machines that there are, that are new, and that work: as Cluster API says, else as the Cluster's status does."""
    if parts:
        names = ("replicas", "upToDateReplicas", "readyReplicas")
        machines, new, well = (sum((p.get("status") or {}).get(n) or 0 for p in parts) for n in names)
        return machines, new, well
    return (told.replicas, told.up_to_date, told.ready) if told else (0, 0, 0)


def _part(sight: Sight, name: str, desired: int, counts: tuple[int, int, int], *, handed: bool) -> Part:
    machines, new, well = counts
    found = sight.machines.get(name, ())
    old = [m for m in found if not _is_new(m, sight.aims, name)]
    new = min(new, max(len(found) - len(old), 0)) if found else new
    there = max(machines, len(found))
    joining = [t for m in found if not _has_joined(m) and (t := _time(m, "creationTimestamp"))]
    return Part(
        desired=desired,
        machines=there,
        new=new if handed else 0,
        ready=max(min(new, well - (there - new)), 0) if handed else 0,  # the old ones work, as long as they are there
        well=well,
        handed=handed,
        moved=max((t for m in found if (t := _time(m, "creationTimestamp"))), default=None),
        coming=min(joining, default=None),
        going=min((t for m in found if (t := _time(m, "deletionTimestamp"))), default=None),
        repairs=_repairs(sight.cluster, name),
        settle=_settle(sight.cluster),
        trouble=_trouble(sight, name),
        unlaid=next((_held_by(m) for m in found if _held_for(m) in _UNLAID), ""),
        unlaid_for_good=any(_held_for(m) == Reason.LAYOUT_FAILED for m in found),
    )


def _is_new(machine: Object, aims: Aims, pool: str) -> bool:
    """Whether a machine stays, as far as itself tells: of what image it is made its owner counts."""
    version = KubernetesVersion.known((machine.get("spec") or {}).get("version"))
    if is_deleting(machine) or not (version is None or _runs(version, aims)):
        return False
    made = _time(machine, "creationTimestamp")
    return pool != CONTROL_PLANE_POOL or aims.certificates is None or made is None or made >= aims.certificates


def _has_joined(machine: Object) -> bool:
    return is_deleting(machine) or bool((machine.get("status") or {}).get("nodeRef")) or is_true(machine, "Ready")


def _time(obj: Object, name: str) -> datetime | None:
    found = obj["metadata"].get(name)
    return at(found) if found else None


def _settle(cluster: Cluster) -> timedelta:
    """The longest that the checks after a step may take: Jobs begin when all else holds."""
    said = cluster.spec.updates.verification
    return timedelta(seconds=said.settle_seconds + max((c.timeout_seconds for c in said.checks), default=0))


def _repairs(cluster: Cluster, pool: str) -> int:
    repair = cluster.status.repair if cluster.status else None
    return sum(p.in_flight for p in repair.pools if p.name == pool) if repair else 0


def _by_pool(objects: Iterable[Object]) -> dict[str, list[Object]]:
    """Machines and MachineDeployments by pool; those of the control plane under its own name."""
    found: dict[str, list[Object]] = {}
    for obj in objects:
        pool = CONTROL_PLANE_POOL if CONTROL_PLANE_LABEL in labels(obj) else labels(obj).get(LABEL_POOL)
        if pool is not None:
            found.setdefault(pool, []).append(obj)
    return found


# --- what it takes, and what is wrong -----------------------------------------------------------------------------


def _has_gpus(site: Site, pool: NodePool) -> bool:
    return any(f.gpu is not None for f in site.spec.flavors if f.name == pool.flavor)


def _trouble(sight: Sight, pool: str) -> str:
    """What the conditions of the Cluster say, which quote the deepest cause; else a machine that comes, or goes."""
    status = sight.cluster.status
    kinds = ("ControlPlaneReady" if pool == CONTROL_PLANE_POOL else "WorkersReady",)
    said = (c.message for c in (status.conditions if status else ()) if c.type in kinds and c.status != "True")
    deeper = (words for m in sight.machines.get(pool, ()) if not _has_joined(m) for words in _lacks(m))
    held = (words for m in sight.machines.get(pool, ()) if (words := _held_by(m)))
    return " ".join(next((t for t in (*said, *deeper, *held) if t), "").split())[:_LONGEST]


def _held_by(machine: Object) -> str:
    """What a machine that is to go waits for before it is drained; empty when it does not."""
    found = (condition(machine, CONDITION_DRAIN) if is_deleting(machine) else None) or {}
    return f"Machine {machine['metadata']['name']}: {found['message']}" if found.get("status") == "False" else ""


def _held_for(machine: Object) -> str:
    """Reason why a machine that is to go is not drained yet; empty when it is."""
    found = (condition(machine, CONDITION_DRAIN) if is_deleting(machine) else None) or {}
    return str(found.get("reason")) if found.get("status") == "False" else ""


def _lacks(machine: Object) -> Iterator[str]:
    """What a machine waits for."""
    for name in _IN_ORDER:
        found = condition(machine, name)
        if found is not None and found["status"] != "True":
            yield f"Machine {machine['metadata']['name']}: {found.get('message') or found.get('reason') or name}"

"""How a Cluster stands: what was begun and announced before, and what keeps an update from being begun now. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kaas.api.cluster import Cluster
from kaas.api.constants import ANNOTATION_UPDATE_POOLS, ANNOTATION_UPDATES_PAUSED, CONTROL_PLANE_POOL
from kaas.api.pool_update import Strategy
from kaas.api.update_status import EXPIRED, THROUGH, VERSION_CHANGED, UpdateSummary
from kaas.api.versions import KubernetesVersion, minor_of
from kaas.kube.resources import PAUSED_ANNOTATION
from kaas.updates import addons
from kaas.updates.expiry import Announced
from kaas.updates.facts import Aims, Change, Held, Run
from kaas.updates.ledger.advance import BY_HAND
from kaas.updates.ledger.seen import ALL_POOLS
from kaas.updates.ledger.steps import pool_of, pools_behind
from kaas.updates.run import ADD_ONS, ANNOUNCED, CONTROL_PLANE, FINISHED

NOTHING: Final = UpdateSummary()
PAUSED: Final = "Paused"
"""Reason while a person wants nothing begun."""
NOT_READY: Final = "NotReady"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why no update is begun now: one CamelCase word, and words for a person."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Standing:
    """target: what it was brought to last, as long as nobody asks for something newer. began: when that began.

    reason: why that was. announced: what was said of the end of the version that runs. run: the update under way.
    """

    target: KubernetesVersion | None = None
    began: datetime | None = None
    reason: str | None = None
    announced: Announced | None = None
    obstacle: Obstacle | None = None
    run: Run | None = None


@dataclass(frozen=True, slots=True)
class Present:
    """What the machines are made of beside the version, and what they could be made of; None for what is not known.

    image_since: since when another image is waited for. newest_revision_since: since when there is that class revision.
    certificates_end: of the control plane, the first that ends. add_ons: name and version of those that it has.
    """

    image: str | None = None
    image_since: datetime | None = None
    class_revision: str | None = None
    newest_revision: str | None = None
    newest_revision_since: datetime | None = None
    certificates_end: datetime | None = None
    add_ons: tuple[tuple[str, str], ...] = ()


NOT_KNOWN: Final = Present()


def present_of(cluster: Cluster) -> Present:
    """From what the Cluster's status says."""
    status = cluster.status
    if status is None:
        return NOT_KNOWN
    newest, control_plane, said = status.newest_class_revision, status.control_plane, status.update or NOTHING
    return Present(
        status.image,
        said.since if said.change == "Image" else None,
        status.class_revision,
        newest.name if newest else None,
        newest.since if newest else None,
        control_plane.certificates_end if control_plane else None,
        tuple((a.name, a.version) for a in status.add_ons if a.version),
    )


def standing_of(cluster: Cluster) -> Standing:
    """From what the Cluster's status says."""
    said = (cluster.status.update if cluster.status else None) or NOTHING
    target = KubernetesVersion.parse(said.target) if said.target else None
    obstacle, told = obstacle_of(cluster), said.announced
    run = _run_of(cluster, said, target, obstacle)
    if target is not None and run is None and is_surpassed(target, cluster.spec.version):
        target = None
    announced = Announced(KubernetesVersion.parse(told.version), told.first, told.days_before) if told else None
    return Standing(target, said.began, said.reason, announced, obstacle, run)


def _run_of(
    cluster: Cluster, said: UpdateSummary, target: KubernetesVersion | None, obstacle: Obstacle | None
) -> Run | None:
    """The update whose ledger is not through; None when there is none."""
    if target is None or not said.steps or any(s.name == FINISHED and s.state in THROUGH for s in said.steps):
        return None
    changes = tuple(map(Change, said.changes)) or (Change(said.change or Change.PATCH),)
    brought = addons.read(said.add_ons)
    aims = Aims(target, changes, said.image, said.class_revision, said.certificates, brought)
    why = next((s.reason for s in said.steps if s.name == ANNOUNCED), None)
    stopped, hold = said.stopped.message if said.stopped else "", said.hold
    behind, waits = pools_behind(said.steps), by_hand(cluster) | {pool_of(s) for s in said.steps if s.reason == BY_HAND}
    held = Held(hold.until, hold.message, tuple(p for p in behind if p not in waits)) if hold else None
    add_ons_behind = brought and any(s.name == ADD_ONS and s.started is None for s in said.steps)
    paused = obstacle.message if obstacle is not None and obstacle.reason == PAUSED else ""
    by_person = (paused if behind or add_ons_behind else "") or _by_person(tuple(p for p in behind if p in waits))
    reached = any(s.name == CONTROL_PLANE and s.started is not None for s in said.steps)
    machines = [s for s in said.steps if s.name == CONTROL_PLANE or pool_of(s) is not None]
    return Run(
        *(aims, said.began, stopped, why == EXPIRED, said.forced_from, held, by_person),
        asked=why == VERSION_CHANGED,
        handed=reached and not said.is_taken_back("Version"),
        machines_left=any(s.state not in THROUGH for s in machines),
    )


def _by_person(manual: Sequence[str]) -> str:
    """Why an update under way does not come to its end before a person acts; "" if it does. manual: pools."""
    return f"pool {', '.join(manual)} has the strategy Manual, and nobody has said that it may begin" if manual else ""


def by_hand(cluster: Cluster) -> frozenset[str]:
    """Pools that begin with an update only when a person has said so, which nobody has."""
    manual = frozenset([p.name for p in cluster.spec.node_pools if p.update.strategy is Strategy.MANUAL])
    if not manual:
        return manual
    released = let_go(cluster)
    return frozenset() if ALL_POOLS in released else manual - released


def let_go(cluster: Cluster) -> frozenset[str]:
    """Pools that a person has said may begin, or `*`, whatever their strategy is."""
    said = cluster.metadata.annotations.get(ANNOTATION_UPDATE_POOLS, "")
    return frozenset(filter(None, map(str.strip, said.split(","))))


def running_of(cluster: Cluster) -> KubernetesVersion | None:
    """The oldest version of the control plane's machines; None when none runs, or not one that we know."""
    return KubernetesVersion.known(cluster.status.version if cluster.status else None)


def is_surpassed(target: KubernetesVersion, asked: str) -> bool:
    """Whether a person asks for something newer than what kaas brings a Cluster to."""
    if asked.startswith("v"):
        return KubernetesVersion.parse(asked) > target
    return minor_of(asked) > target.minor


def obstacle_of(cluster: Cluster) -> Obstacle | None:
    """What keeps an update from being begun: someone has it in hand, or it is not well."""
    annotations = cluster.metadata.annotations
    if PAUSED_ANNOTATION in annotations:
        return Obstacle(PAUSED, f"the annotation {PAUSED_ANNOTATION} pauses the Cluster; remove it")
    if ANNOTATION_UPDATES_PAUSED in annotations:
        why = annotations[ANNOTATION_UPDATES_PAUSED] or "no reason given"
        return Obstacle(PAUSED, f"updates are paused ({why}); remove the annotation {ANNOTATION_UPDATES_PAUSED}")
    status = cluster.status
    repairs = [p for p in status.repair.pools if p.in_flight] if status and status.repair else []
    if repairs:
        names = ", ".join(f"pool {p.name}" if p.name != CONTROL_PLANE_POOL else "the control plane" for p in repairs)
        return Obstacle("RepairInFlight", f"a repair is under way in {names}; it goes first")
    ready = next((c for c in status.conditions if c.type == "Ready"), None) if status else None
    if ready is None or ready.status != "True":
        words = f": {ready.message}" if ready and ready.message else ""
        return Obstacle(NOT_READY, f"the Cluster is not Ready{words}"[:1024])
    return None

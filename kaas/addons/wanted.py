"""Which version each add-on of a Cluster is to have now, and which add-ons it is to lose. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from kaas.api.addon import Addon
from kaas.api.addon_state import (
    add_ons_of,
    found_of,
    installed,
    newest,
    order_of,
    selects,
    supports,
    unusable,
    version_of,
    why_not,
)
from kaas.api.addon_status import AddOnChange, InstalledAddOn
from kaas.api.cluster import Cluster
from kaas.api.update_status import ADD_ONS_STEP, THROUGH, UpdateSummary
from kaas.api.versions import KubernetesVersion
from kaas.kube.resources import PAUSED_ANNOTATION

_BEGUN: Final = frozenset({"Running", "Done", "Failed"})
_PAUSED: Final = (
    f"the annotation {PAUSED_ANNOTATION} pauses the Cluster: nothing is put there, applied again or taken out before "
    "it is removed"
)
_KEEPS: Final = "what is in the Cluster is left as it is"


class Act(Enum):
    """What is to be done about an add-on."""

    PUT = "Put"
    """Its objects are to be those of a version."""
    KEEP = "Keep"
    """Nothing, for the reason given: what is there stays, and is not applied again."""
    WAIT = "Wait"
    """Nothing is there yet, and nothing can be put there, for the reason given."""
    REMOVE = "Remove"
    """Its objects are to be deleted."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done about one add-on of a Cluster.

    has: version that the Cluster has. version, digest, config_map: of what is to be there, with PUT; version also of
    what would be, with KEEP. words: why nothing is done. fails: whether that is a failure. holds: whether all that is
    said stays, too, with KEEP. blind: whether the Cluster cannot be asked.
    """

    name: str
    act: Act
    has: str | None = None
    version: str | None = None
    digest: str = ""
    config_map: str = ""
    words: str = ""
    fails: bool = False
    holds: bool = False
    blind: bool = False


def wishes(
    cluster: Cluster, addons: Collection[Addon], unread: Collection[str] = (), obstacle: str = ""
) -> tuple[Wish, ...]:
    """What is to be done about all add-ons of a Cluster, in this order; those that go come first.

    unread: names of Addons that are there and cannot be read: theirs stay. obstacle: why nothing can be put into the
    Cluster, empty when it can.
    """
    known = installed(cluster)
    selected = {a.metadata.name for a in addons if _is_there(a) and selects(a.spec.clusters, cluster)}
    gone = (entry for name, entry in known.items() if name not in {*selected, *unread})
    found = [Wish(entry.name, Act.REMOVE, entry.version, blind=bool(obstacle)) for entry in gone]
    found += (_unread(known[name]) for name in unread if name in known)
    for addon in _chosen(cluster, addons, known):
        found.append(_wish(cluster, addon, known.get(addon.metadata.name), obstacle))
    if PAUSED_ANNOTATION in cluster.metadata.annotations:
        return tuple(_held(wish, known.get(wish.name)) for wish in found)
    return tuple(found)


def _held(wish: Wish, entry: InstalledAddOn | None) -> Wish:
    """Nothing, while the Cluster is paused."""
    if entry is None:
        return Wish(wish.name, Act.WAIT, words=_PAUSED)
    wanted = entry.wanted or entry.version
    return Wish(wish.name, Act.KEEP, entry.version, wanted, words=_PAUSED, holds=True, blind=wish.blind)


def _is_there(addon: Addon) -> bool:
    return addon.metadata.deletion_timestamp is None


def _chosen(cluster: Cluster, addons: Collection[Addon], known: Collection[str]) -> Iterator[Addon]:
    """Those that the Cluster is to have; none that it has goes because there are too many others before it."""
    chosen = add_ons_of(cluster, addons)
    names = {a.metadata.name for a in chosen}
    others = (a for a in addons if a.metadata.name in known and a.metadata.name not in names)
    yield from chosen
    yield from add_ons_of(cluster, others)


def _unread(entry: InstalledAddOn) -> Wish:
    words = f"Addon {entry.name} cannot be read: correct it; {_KEEPS}"
    return Wish(entry.name, Act.KEEP, entry.version, entry.wanted or entry.version, words=words)


def _wish(cluster: Cluster, addon: Addon, entry: InstalledAddOn | None, obstacle: str) -> Wish:
    name, has = addon.metadata.name, entry.version if entry else None
    if obstacle:
        act = Act.WAIT if has is None else Act.KEEP
        return Wish(name, act, has, entry.wanted or has if entry else None, words=obstacle, blind=True)
    if has is None:
        return _first(cluster, addon)
    target = target_of(cluster.status.update if cluster.status else None, name, has)
    if words := _unusable(addon, target, entry):
        looked_at = version_of(addon, target) is None or found_of(addon, target) is not None
        return Wish(name, Act.KEEP, has, target, words=f"{words}; {_KEEPS}", fails=target != has and looked_at)
    return _put(addon, has, target)


def _put(addon: Addon, has: str | None, version: str) -> Wish:
    said, found = version_of(addon, version), found_of(addon, version)
    if said is None or found is None or found.digest is None:
        raise ValueError(f"version {version} of Addon {addon.metadata.name} cannot be used")
    return Wish(addon.metadata.name, Act.PUT, has, version, found.digest, said.manifests.config_map)


def _first(cluster: Cluster, addon: Addon) -> Wish:
    """What comes into a Cluster that has none of it."""
    name, running = addon.metadata.name, cluster.status.version if cluster.status else None
    known = KubernetesVersion.known(running)
    if known is None:
        words = "the Cluster has no control plane yet" if running is None else f"nobody knows Kubernetes {running}"
        return Wish(name, Act.WAIT, words=words)
    best = newest(addon, known.minor)
    return _put(addon, None, best.version) if best else Wish(name, Act.WAIT, words=_none(addon, known.minor))


def _none(addon: Addon, minor: int) -> str:
    """Why no version suits."""
    suiting = [v for v in addon.spec.versions if supports(v.kubernetes, minor)]
    if not suiting:
        return f"no version of {addon.metadata.name} supports Kubernetes 1.{minor}: add one that does to its Addon"
    best = max(suiting, key=lambda v: order_of(v.version))
    return why_not(addon, best.version)


def _unusable(addon: Addon, version: str, entry: InstalledAddOn | None) -> str:
    """Why a version cannot be put into the Cluster; empty when it can."""
    if version_of(addon, version) is None:
        return f"spec.versions of Addon {addon.metadata.name} does not have {version} any more: put it back"
    if words := unusable(addon, version):
        return words
    found = found_of(addon, version)
    if found and entry and entry.version == version and entry.digest not in (None, found.digest):
        return f"{version} has other data than when it was put into the Cluster: put the former back, or add a version"
    return ""


def target_of(update: UpdateSummary | None, name: str, has: str) -> str:
    """The version that an add-on is to have, of which a Cluster has one."""
    if update is None or all(step.state in THROUGH for step in update.steps):
        return has
    change = next((c for c in update.add_ons if c.name == name), None)
    if change is None:
        return has
    return change.to if _is_brought(update, change) else change.from_


def _is_brought(update: UpdateSummary, change: AddOnChange) -> bool:
    """Whether an update that is under way, or has stopped, has an add-on at the new version."""
    if update.stopped and any(r.what == "AddOn" and r.add_on == change.name for r in update.rolled_back):
        return False
    step = next((s for s in update.steps if s.name == ADD_ONS_STEP), None)
    return step is not None and (step.started is not None or step.state in _BEGUN)

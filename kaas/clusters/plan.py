"""What to do about one Cluster, and why. Pure: a snapshot in, a list of steps out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from kaas.api.cluster import Cluster
from kaas.api.constants import FINALIZER
from kaas.api.site import Site
from kaas.clusters import gates, render
from kaas.clusters.addresses import Surplus
from kaas.clusters.classes import ClassRevision
from kaas.clusters.gates import Gate
from kaas.clusters.holding import alone
from kaas.clusters.snapshot import Object, Snapshot
from kaas.clusters.target import ReleaseMissingError, Target, class_of, live_class_name, staying, target
from kaas.kube.difference import APPLIED_ANNOTATION, differs, with_applied_hash
from kaas.kube.objects import Ref, condition, is_deleting, ref_of


@dataclass(frozen=True)
class Step:
    """One thing to do, or to wait for.

    id: stable name of the step. reason: for a person, why it is there.
    apply, delete: objects to write, and to delete, in this order. keep: whether the Cluster keeps its finalizer.
    instead: what is applied when that is refused.
    release: a floating IP to give back; the status that named it is put right.
    gates: what it waits for; nothing of it or after it is done before none is left.
    """

    id: str
    reason: str
    apply: tuple[Object, ...] = ()
    delete: tuple[Ref, ...] = ()
    keep: bool | None = None
    instead: tuple[Object, ...] = ()
    release: Surplus | None = None
    gates: tuple[Gate, ...] = ()


def plan(snapshot: Snapshot) -> list[Step]:
    """The steps that bring a Cluster to what it says. Empty when there is nothing to do."""
    if snapshot.deleting:
        return list(_deletion(snapshot))
    return list(_towards(snapshot))


def wanted_of_cloud(snapshot: Snapshot) -> gates.Needs | None:
    """What the next change newly wants of the cloud; None when the cloud need not be asked."""
    site, revision = snapshot.site, snapshot.revision
    if snapshot.deleting or site is None or revision is None or site.spec.provider != "openstack":
        return None
    if snapshot.name_taken or tuple(gates.offered(snapshot.cluster, site, snapshot.live)):
        return None
    try:
        aim = target(snapshot, site, revision)
    except ReleaseMissingError:
        stays = staying(snapshot, site, revision)
        if stays is None:
            return None
        aim = stays
    desired = render.cluster(snapshot.cluster, site, aim, snapshot.live)
    return gates.needs(desired, snapshot.live) or None


# --- towards what the Cluster says --------------------------------------------------------------------------------


def _towards(snapshot: Snapshot) -> Iterator[Step]:
    site, revision = snapshot.site, snapshot.revision
    if site is None or revision is None:
        yield Step("site", "the Site says where the cluster goes", gates=(_no_site(snapshot.cluster),))
        return
    if snapshot.name_taken:
        yield Step("name", "nothing that others made is taken over", gates=(_name_taken(snapshot.cluster),))
        return
    if snapshot.surplus:
        yield _release(snapshot.surplus)
    missing = tuple(gates.offered(snapshot.cluster, site, snapshot.live))
    try:
        aim = target(snapshot, site, revision)
    except ReleaseMissingError as error:
        release = Step(
            "release", "a Release says which node image a version has", gates=(Gate("ReleaseNotFound", str(error)),)
        )
        stays = None if missing else staying(snapshot, site, revision)
        if stays is not None:  # whatever else is wanted, its certificates for one, does not wait for that
            desired = render.cluster(snapshot.cluster, site, stays, snapshot.live)
            yield from _apply(snapshot, site, revision, stays, desired)
        yield _offer(missing) if missing else release
        return
    desired = render.cluster(snapshot.cluster, site, aim, snapshot.live)
    if missing:
        yield from _hold(snapshot, desired)
        yield _offer(missing)
        return
    yield from _apply(snapshot, site, revision, aim, desired)


def _release(found: Surplus) -> Step:
    what = f"CAPO made a second floating IP, {found.goes.address}, and cannot go on: the API server has {found.stays}"
    return Step("floating-ip", what, release=found)


def _offer(missing: tuple[Gate, ...]) -> Step:
    return Step("offer", "flavors and zones must be offered by the Site", gates=missing)


def _apply(snapshot: Snapshot, site: Site, revision: ClassRevision, aim: Target, desired: Object) -> Iterator[Step]:
    repairs = tuple(gates.under_repair(snapshot.cluster, desired, snapshot.live))
    preflight = tuple(_preflight(snapshot, site, desired))
    if repairs or preflight:
        yield from _hold(snapshot, desired)
    yield from preflight
    if FINALIZER not in snapshot.cluster.metadata.finalizers:
        yield Step("finalizer", "nothing is made that could be left behind", keep=True)
    yield from _identity(snapshot, site)
    yield from _class(snapshot, revision, aim)
    if repairs:
        yield Step("repairs", "updates and repairs draw on one budget a pool", gates=repairs)
    changed = _changes(desired, snapshot.live.cluster)
    if snapshot.live.cluster is not None and is_deleting(snapshot.live.cluster):
        yield Step("made-again", "what others deleted is made again", gates=(_deleted_by_others(snapshot),))
    elif changed:
        what = "create the Cluster API Cluster" if snapshot.live.cluster is None else f"change {', '.join(changed[:5])}"
        yield Step("cluster", what, apply=(with_applied_hash(desired),), instead=_held_alone(snapshot, desired))


def _hold(snapshot: Snapshot, desired: Object) -> Iterator[Step]:
    """What is held is said although the rest has to wait: else Cluster API would replace one machine after another."""
    if held := _held_alone(snapshot, desired):
        yield Step("hold", "no further machine of these pools is begun", apply=held)


def _held_alone(snapshot: Snapshot, desired: Object) -> tuple[Object, ...]:
    live = snapshot.live.cluster
    held = alone(desired, live) if live is not None and not is_deleting(live) else None
    return (with_applied_hash(held),) if held is not None else ()


def _name_taken(cluster: Cluster) -> Gate:
    name = f"{cluster.metadata.namespace}/{cluster.metadata.name}"
    words = f"metadata.name: Cluster API has a Cluster {name} that kaas did not make; choose another name, or delete it"
    return Gate("NameTaken", words)


def _deleted_by_others(snapshot: Snapshot) -> Gate:
    meta = snapshot.cluster.metadata
    words = (
        f"someone deleted the Cluster API Cluster {meta.namespace}/{meta.name}: it is made again when all of it "
        f"is gone; to be rid of it, delete the Cluster; {deletion_progress(snapshot)}"
    )
    return Gate("DeletedByOthers", words)


def _no_site(cluster: Cluster) -> Gate:
    return Gate("SiteNotFound", f"spec.site: there is no Site {cluster.spec.site!r}; create it, or choose another one")


def _preflight(snapshot: Snapshot, site: Site, desired: Object) -> Iterator[Step]:
    wanted = gates.needs(desired, snapshot.live)
    if snapshot.cloud is None or not wanted:
        return
    found = tuple(gates.in_cloud(wanted, snapshot.cluster, site, snapshot.cloud))
    if found:
        yield Step("preflight", "the cloud must have what is wanted before anything is made", gates=found)


def _identity(snapshot: Snapshot, site: Site) -> Iterator[Step]:
    desired = render.identity(site)
    if desired and (changed := _changes(desired, snapshot.identity)):
        reason = f"CAPO reaches the cloud through the Site's identity ({', '.join(changed[:3])})"
        yield Step("identity", reason, apply=(with_applied_hash(desired),))


def _class(snapshot: Snapshot, revision: ClassRevision, aim: Target) -> Iterator[Step]:
    """Creates the newest revision for a Cluster that goes to it. One that exists is never touched."""
    live = snapshot.classes.get(aim.class_name)
    if live is None and aim.class_name == revision.name:
        yield Step("class", f"revision {revision.name} is missing", apply=revision.objects)
    if live is None or not _class_ready(live):
        gate = Gate("ClassNotReady", _class_words(aim.class_name, live))
        if live_class_name(snapshot.live.cluster) != aim.class_name:
            yield Step("class-ready", "variables are checked against the class", gates=(gate,))


def _class_words(name: str, live: Object | None) -> str:
    said = condition(live, "VariablesReady") if live else None
    words = " ".join(str((said or {}).get("message") or "").split())
    return f"Cluster API has not taken up ClusterClass {name} yet" + (f": {words}" if words else "")


def _class_ready(cluster_class: Object) -> bool:
    found = condition(cluster_class, "VariablesReady")
    return found is not None and found["status"] == "True"


def _changes(desired: Object, live: Object | None) -> list[str]:
    """Fields that would change, for a person: the hash of what was applied is named only where nothing else is."""
    if live is None:
        return ["create"]
    found = differs(with_applied_hash(desired), live)
    return [path for path in found if APPLIED_ANNOTATION not in path] or (["what is no longer wanted"] if found else [])


# --- deletion -----------------------------------------------------------------------------------------------------


def _deletion(snapshot: Snapshot) -> Iterator[Step]:
    if FINALIZER not in snapshot.cluster.metadata.finalizers:
        return
    live = snapshot.live
    if live.cluster is not None and not is_deleting(live.cluster):
        reason = "Cluster API deletes workers, then the control plane, then the infrastructure"
        yield Step("delete-cluster", reason, delete=(ref_of(live.cluster),))
    if live.cluster is not None or live.leftovers:
        gate = Gate("DeletionInProgress", deletion_progress(snapshot))
        yield Step("wait-for-deletion", "nothing is left behind", gates=(gate,))
    yield from _collect(snapshot)
    yield Step("release-cluster", "everything that the Cluster made is gone", keep=False)


def deletion_progress(snapshot: Snapshot) -> str:
    """What is still there, and what Cluster API says about it."""
    live = snapshot.live
    left = [f"{number} {kind}" for kind, number in sorted(Counter(o["kind"] for o in live.leftovers).items())]
    said = condition(live.cluster, "Deleting") if live.cluster else None
    words = " ".join(str(said.get("message", "")).split()) if said and said["status"] == "True" else ""
    return f"still there: {', '.join(left) or 'the Cluster API Cluster'}" + (f"; Cluster API: {words}" if words else "")


def _collect(snapshot: Snapshot) -> Iterator[Step]:
    """The last Cluster of a Site takes the Site's identity along; the last of a class revision takes that."""
    if snapshot.identity is not None and not snapshot.site_shared:
        yield Step("identity-gone", "no other Cluster uses it", delete=(ref_of(snapshot.identity),))
    name = class_of(snapshot.cluster, snapshot.live, snapshot.revision)
    if name and name in snapshot.classes and not snapshot.class_shared:
        yield Step("class-gone", "no other Cluster uses it", delete=(ref_of(snapshot.classes[name]),))

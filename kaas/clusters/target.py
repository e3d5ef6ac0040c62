"""Where a Cluster is going: which version with which images, on which class revision. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from kaas.api.cluster import Cluster
from kaas.api.release import Release
from kaas.api.release_state import none_for, order_of, suits, version_for
from kaas.api.site import Site
from kaas.api.update_status import AHEAD, EXPIRED
from kaas.api.updates import Channel, KubernetesUpdates
from kaas.api.versions import KubernetesVersion, matches, minor_of, newest
from kaas.clusters.classes import ClassRevision, variable_names
from kaas.clusters.following import certificates_to, class_to, image_to, is_under_way, updates_of
from kaas.clusters.snapshot import Live, Object, Snapshot
from kaas.kube.lean import ON_DELETE, strategy_of
from kaas.kube.objects import annotation, is_true
from kaas.kube.resources import DEFER_UPGRADE


class ReleaseMissingError(LookupError):
    """No Release has the version that is wanted. The message names those that there are."""


@dataclass(frozen=True)
class Target:
    """What a Cluster is rendered with.

    version: the full Kubernetes version, such as v1.36.3.
    images: node image of the target version and of every version that some machine still has.
    class_variables: variables that the Cluster's class revision takes.
    releases: whether pools that are held are let go first; until then the version stays.
    certificates: machines of the control plane that were made before this time (RFC 3339) are replaced.
    """

    version: str
    images: Mapping[str, str]
    class_name: str
    class_variables: frozenset[str] = field(default_factory=frozenset)
    releases: bool = False
    certificates: str | None = None


def target(snapshot: Snapshot, site: Site, revision: ClassRevision) -> Target:
    """Where the Cluster is going. Raises ReleaseMissingError.

    A Cluster keeps the class revision and the images that it has, and for `1.36` the version: moving on is an update,
    with a time of its own, which `status.update` tells.
    """
    current = snapshot.live.topology.get("version")
    version = choose_version(snapshot.cluster, snapshot.releases, current, snapshot.now, has_run=_has_run(snapshot))
    return _at(snapshot, site, revision, version)


def staying(snapshot: Snapshot, site: Site, revision: ClassRevision) -> Target | None:
    """What a Cluster that has run is rendered with while there is no Release of what is asked for: it stays there."""
    current: str | None = snapshot.live.topology.get("version")
    return _at(snapshot, site, revision, current) if current is not None and _has_run(snapshot) else None


def _at(snapshot: Snapshot, site: Site, revision: ClassRevision, version: str) -> Target:
    live = snapshot.live
    current = live.topology.get("version")
    releases = current not in (None, version) and _holds_pools(live)
    if current is not None and releases:  # while pools are held, Cluster API takes no other version
        version = current
    cluster = snapshot.cluster
    name = class_to(cluster, version, live_class_name(live.cluster), snapshot.classes, revision.name)
    cluster_class = snapshot.classes.get(name) or revision.cluster_class
    found = images(version, snapshot.releases, site, live, partial(_suits_as_image, cluster, snapshot.now))
    if image := image_to(cluster, version, live_images(live).get(version), _images(version, snapshot.releases, site)):
        found[version] = image
    return Target(version, found, name, variable_names(cluster_class), releases, certificates_to(cluster, live))


def _holds_pools(live: Live) -> bool:
    """Whether pools are kept from going on, as far as Cluster API knows by now."""
    parts = (live.topology.get("workers") or {}).get("machineDeployments") or ()
    deferred = any(annotation(p, DEFER_UPGRADE) is not None for p in parts)
    return deferred or any(strategy_of(d) == ON_DELETE for d in live.deployments)


def choose_version(
    cluster: Cluster,
    releases: Sequence[Release],
    current: str | None,
    now: datetime | None = None,
    *,
    has_run: bool = False,
) -> str:
    """The full version that a Cluster goes to: the first that its owner asks for, then what updates bring it to.

    For a new Cluster with `1.36` that is the newest of its channel. current: what the topology says. now: None to leave
    out of account at what times Releases are for whom. has_run: whether there has been a control plane: before that
    there is nothing to be careful with.
    """
    running = KubernetesVersion.known(current)
    if current is None or running is None:
        return _asked(cluster, releases, now)
    brought = KubernetesVersion.known(updates_of(cluster).target)
    if not (_fits(cluster, running) or _is_raised(cluster, running)):
        asked = _asked(cluster, releases, now)
        if KubernetesVersion.parse(asked) <= running or not has_run:
            return asked
        follows = brought is not None and (matches(cluster.spec.version, brought) or _is_brought_all_the_same(cluster))
    else:
        follows = brought is not None and _may_follow(cluster, running, brought)
    released = {r.spec.version for r in releases}
    return str(brought) if follows and str(brought) in released and _is_ahead(cluster, running, brought) else current


def awaited(snapshot: Snapshot) -> str | None:
    """The version that its owner asks for and that no update has brought the Cluster to yet. ReleaseMissingError."""
    cluster, releases, now = snapshot.cluster, snapshot.releases, snapshot.now
    current = snapshot.live.topology.get("version")
    running = KubernetesVersion.known(current)
    if running is None or _fits(cluster, running) or _is_raised(cluster, running):
        return None
    asked = _asked(cluster, releases, now)
    chosen = choose_version(cluster, releases, current, now, has_run=_has_run(snapshot))
    return asked if chosen == current != asked else None


def _has_run(snapshot: Snapshot) -> bool:
    """Whether there has been a control plane, also while none of it is seen."""
    status = snapshot.cluster.status
    told = status is not None and status.version is not None
    return told or is_true(snapshot.live.cluster or {}, "ControlPlaneInitialized")


def _is_brought_all_the_same(cluster: Cluster) -> bool:
    """Whether an update goes to its end before what its owner asks for now, or what runs has expired."""
    said = updates_of(cluster)
    return is_under_way(said) or said.reason == EXPIRED


def _is_ahead(cluster: Cluster, running: KubernetesVersion, brought: KubernetesVersion | None) -> bool:
    """Whether what updates say is a step forward, and handed over."""
    if brought is None or updates_of(cluster).is_taken_back("Version"):
        return False
    return running < brought and brought.minor <= running.minor + 1


def _asked(cluster: Cluster, releases: Sequence[Release], now: datetime | None) -> str:
    """The newest Release that the owner asks for."""
    wanted = cluster.spec.version
    if now is None:
        found = newest(wanted, (KubernetesVersion.parse(r.spec.version) for r in releases))
    else:
        found = version_for(wanted, releases, cluster.spec.updates.channel, now)
    if found is None:
        raise ReleaseMissingError(f"spec.version: {none_for(wanted, releases)}")
    return str(found)


def _suits_as_image(cluster: Cluster, now: datetime | None, release: Release) -> int:
    """How well the image of a Release suits a Cluster, which may have a channel of its own for images."""
    updates = cluster.spec.updates
    channel = updates.channel if updates.image_channel is Channel.NONE else updates.image_channel
    return suits(release, channel, now) if now is not None else 0


def _fits(cluster: Cluster, running: KubernetesVersion) -> bool:
    """Whether what runs is what the owner asks for."""
    wanted, follows = cluster.spec.version, cluster.spec.updates.kubernetes
    if follows is KubernetesUpdates.MINOR and not wanted.startswith("v"):
        return running.minor >= minor_of(wanted)
    return matches(wanted, running)


def _is_raised(cluster: Cluster, running: KubernetesVersion) -> bool:
    """Whether updates brought the Cluster past what its owner asks for: what runs is never made older."""
    wanted, said = cluster.spec.version, updates_of(cluster)
    if wanted.startswith("v"):
        newer = running > KubernetesVersion.parse(wanted)
        return newer and (said.target == str(running) or said.reason in (EXPIRED, AHEAD))
    return running.minor > minor_of(wanted) and (said.target is not None or said.reason is not None)


def _may_follow(cluster: Cluster, running: KubernetesVersion, brought: KubernetesVersion) -> bool:
    """Whether the owner allows what updates say, or has to suffer it since what runs has expired."""
    updates, said = cluster.spec.updates, updates_of(cluster)
    pinned = cluster.spec.version.startswith("v")
    if said.reason == EXPIRED or (is_under_way(said) and not pinned):
        return True
    if pinned or updates.channel is Channel.NONE:
        return False
    if brought.minor > running.minor:
        return updates.kubernetes is KubernetesUpdates.MINOR
    return updates.kubernetes is not KubernetesUpdates.NONE


def version_of(deployment: Object) -> str | None:
    """Kubernetes version that a MachineDeployment makes machines of."""
    found: str | None = deployment.get("spec", {}).get("template", {}).get("spec", {}).get("version")
    return found


def versions_in_use(live: Live) -> frozenset[str]:
    """Kubernetes versions that the control plane, a MachineDeployment or a Machine has or is going to."""
    of_pools = map(version_of, live.deployments)
    of_machines = (m.get("spec", {}).get("version") for m in live.machines)
    of_control_plane = (live.control_plane or {}).get("spec", {}).get("version")
    found = (live.topology.get("version"), of_control_plane, *of_pools, *of_machines)
    return frozenset(v for v in found if v)


def images(
    version: str, releases: Iterable[Release], site: Site, live: Live, suits: Callable[[Release], int] = lambda _: 0
) -> dict[str, str]:
    """Node image by version. An image that machines have already is kept: a newer one is an update of its own.

    suits: of two Releases for one version the one with more of this counts, of equals the newer.
    """
    pinned = live_images(live)
    in_order = sorted(releases, key=lambda r: (suits(r), order_of(r)))
    released = {r.spec.version: r.spec.image for r in in_order} | {i.version: i.name for i in site.spec.images}
    wanted = versions_in_use(live) | {version}
    chosen = {v: pinned.get(v) or released.get(v) for v in wanted}
    return {v: image for v, image in sorted(chosen.items()) if image}


def live_images(live: Live) -> Mapping[str, str]:
    """Node image by version, as the topology has it."""
    found: Mapping[str, str] = live.variables.get("images") or {}
    return found


def _images(version: str, releases: Iterable[Release], site: Site) -> frozenset[str]:
    """Images that there are of a version."""
    of_releases = (r.spec.image for r in releases if r.spec.version == version)
    return frozenset((*of_releases, *(i.name for i in site.spec.images if i.version == version)))


def class_of(cluster: Cluster, live: Live, newest: ClassRevision | None) -> str | None:
    """Class revision of a Cluster. One that never said so, since it did not get that far, may have made the newest."""
    said = cluster.status.class_revision if cluster.status else None
    return live_class_name(live.cluster) or said or (newest.name if newest else None)


def live_class_name(cluster: Object | None) -> str | None:
    """Class revision that a Cluster API Cluster is on."""
    name: str | None = (cluster or {}).get("spec", {}).get("topology", {}).get("classRef", {}).get("name")
    return name

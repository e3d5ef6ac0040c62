"""Where a Cluster is going: which version with which images, on which class revision. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kaas.api.cluster import Cluster
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.api.versions import InvalidVersion, KubernetesVersion, matches, newest
from kaas.clusters.classes import ClassRevision, variable_names
from kaas.clusters.snapshot import Live, Object, Snapshot


class ReleaseMissingError(LookupError):
    """No Release has the version that is wanted. The message names those that there are."""


@dataclass(frozen=True)
class Target:
    """What a Cluster is rendered with.

    version: the full Kubernetes version, such as v1.36.3.
    images: node image of the target version and of every version that some machine still has.
    class_variables: variables that the Cluster's class revision takes.
    """

    version: str
    images: Mapping[str, str]
    class_name: str
    class_variables: frozenset[str] = field(default_factory=frozenset)


def target(snapshot: Snapshot, site: Site, revision: ClassRevision) -> Target:
    """Where the Cluster is going. Raises ReleaseMissingError.

    A Cluster keeps the class revision that it has, and for `1.36` the version that it has: moving on is an update,
    with a time of its own.
    """
    live = snapshot.live
    version = choose_version(snapshot.cluster.spec.version, snapshot.releases, live.topology.get("version"))
    name = live.topology.get("classRef", {}).get("name") or revision.name
    cluster_class = snapshot.classes.get(name) or revision.cluster_class
    return Target(version, images(version, snapshot.releases, site, live), name, variable_names(cluster_class))


def choose_version(wanted: str, releases: Sequence[Release], current: str | None) -> str:
    """The full version for what a Cluster says: itself, or for `1.36` the current one, else the newest Release."""
    if current and _fits(wanted, current):
        return current
    released = sorted(KubernetesVersion.parse(r.spec.version) for r in releases)
    found = newest(wanted, released)
    if found is None:
        known = ", ".join(map(str, released)) or "none"
        raise ReleaseMissingError(
            f"spec.version: there is no Release for {wanted}; choose one of those that there are ({known}), "
            "or have the platform team add a Release"
        )
    return str(found)


def _fits(wanted: str, current: str) -> bool:
    try:
        return matches(wanted, KubernetesVersion.parse(current))
    except InvalidVersion:
        return False  # someone else wrote it: not a version that we run


def versions_in_use(live: Live) -> frozenset[str]:
    """Kubernetes versions that the control plane, a MachineDeployment or a Machine has or is going to."""
    of_pools = (d.get("spec", {}).get("template", {}).get("spec", {}).get("version") for d in live.deployments)
    of_machines = (m.get("spec", {}).get("version") for m in live.machines)
    of_control_plane = (live.control_plane or {}).get("spec", {}).get("version")
    found = (live.topology.get("version"), of_control_plane, *of_pools, *of_machines)
    return frozenset(v for v in found if v)


def images(version: str, releases: Iterable[Release], site: Site, live: Live) -> dict[str, str]:
    """Node image by version. An image that machines have already is kept: a newer one is an update of its own."""
    pinned: Mapping[str, str] = live.variables.get("images") or {}
    in_order = sorted(releases, key=lambda r: r.metadata.name)  # of two for one version the later name counts
    released = {r.spec.version: r.spec.image for r in in_order} | {i.version: i.name for i in site.spec.images}
    wanted = versions_in_use(live) | {version}
    chosen = {v: pinned.get(v) or released.get(v) for v in wanted}
    return {v: image for v, image in sorted(chosen.items()) if image}


def class_of(cluster: Cluster, live: Live, newest: ClassRevision | None) -> str | None:
    """Class revision of a Cluster. One that never said so, since it did not get that far, may have made the newest."""
    said = cluster.status.class_revision if cluster.status else None
    return live_class_name(live.cluster) or said or (newest.name if newest else None)


def live_class_name(cluster: Object | None) -> str | None:
    """Class revision that a Cluster API Cluster is on."""
    name: str | None = (cluster or {}).get("spec", {}).get("topology", {}).get("classRef", {}).get("name")
    return name

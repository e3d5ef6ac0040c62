"""From what the watches have seen to the snapshot of one Cluster."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from kaas.api.cluster import Cluster
from kaas.api.constants import LABEL_CLUSTER, LABEL_REVISION
from kaas.api.parsed import Parsed
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.clusters.classes import PROVIDER_LABEL, ClassRevision, class_revision
from kaas.clusters.render import identity_name
from kaas.clusters.snapshot import Live, Object, Snapshot
from kaas.clusters.target import class_of, live_class_name
from kaas.kube import resources
from kaas.kube.objects import labels
from kaas.kube.ports import Source
from kaas.kube.resources import Resource

Key = tuple[str, str]
"""Namespace and name of a Cluster."""


def observe(source: Source, key: Key, parsed: Parsed, now: datetime | None = None) -> Snapshot | None:
    """The snapshot of a Cluster at a time; None when there is no such Cluster (any more)."""
    namespace, name = key
    raw = source.get(resources.CLUSTER, namespace, name)
    if raw is None:
        parsed.forget("Cluster", namespace, name)
        return None
    cluster = parsed(Cluster.model_validate, raw)
    raw_site = source.get(resources.SITE, None, cluster.spec.site)
    site = parsed(Site.model_validate, raw_site) if raw_site else None
    name_taken = _is_foreign(source.get(resources.CAPI_CLUSTER, namespace, name))
    live = Live() if name_taken else _live(source, namespace, name)
    revision = class_revision(site.spec.provider) if site else None
    classes = {c["metadata"]["name"]: c for c in source.list(resources.CLUSTER_CLASS)}
    site_shared, class_shared = _sharing(source, cluster, class_of(cluster, live, revision))
    return Snapshot(
        cluster=cluster,
        site=site,
        releases=parsed.all_sound(Release, source.list(resources.RELEASE))[0],
        revision=revision,
        classes=classes,
        identity=source.get(resources.OPENSTACK_CLUSTER_IDENTITY, None, identity_name(cluster.spec.site)),
        live=live,
        site_shared=site_shared,
        class_shared=class_shared,
        unused_classes=_unused(source, cluster, classes.values(), revision, live),
        name_taken=name_taken,
        now=now,
    )


def _is_foreign(cluster: Object | None) -> bool:
    """Whether someone else made a Cluster API Cluster: it is neither changed nor deleted."""
    return cluster is not None and LABEL_CLUSTER not in labels(cluster)


def _live(source: Source, namespace: str, name: str) -> Live:
    def of(resource: Resource) -> Sequence[Object]:
        return source.of_cluster(resource, namespace, name)

    infrastructure = of(resources.OPENSTACK_CLUSTER)
    control_planes = of(resources.KUBEADM_CONTROL_PLANE)
    return Live(
        cluster=source.get(resources.CAPI_CLUSTER, namespace, name),
        control_plane=control_planes[0] if control_planes else None,
        deployments=of(resources.MACHINE_DEPLOYMENT),
        machines=of(resources.MACHINE),
        infrastructure=infrastructure[0] if infrastructure else None,
        infrastructure_machines=of(resources.OPENSTACK_MACHINE),
        servers=of(resources.OPENSTACK_SERVER),
    )


def _sharing(source: Source, cluster: Cluster, used: str | None) -> tuple[bool, bool]:
    """Whether other Clusters use the same Site, the same class revision: asked only when this one goes."""
    if cluster.metadata.deletion_timestamp is None:
        return False, False
    own = (cluster.metadata.namespace, cluster.metadata.name)
    others = [o for o in source.list(resources.CLUSTER) if _name(o) != own]
    classes = {live_class_name(c) for c in source.list(resources.CAPI_CLUSTER) if _name(c) != own}
    pinned = {(o.get("status") or {}).get("classRevision") for o in others}
    return any(o["spec"]["site"] == cluster.spec.site for o in others), used in classes | pinned


def _unused(
    source: Source, cluster: Cluster, classes: Iterable[Object], revision: ClassRevision | None, live: Live
) -> tuple[str, ...]:
    """Looked for only while there are revisions beside the newest and the Cluster's own."""
    own = live_class_name(live.cluster)
    if revision is None or own is None or cluster.metadata.deletion_timestamp is not None:
        return ()
    ours = [c for c in classes if labels(c).get(PROVIDER_LABEL) == revision.provider and LABEL_REVISION in labels(c)]
    old = {c["metadata"]["name"] for c in ours} - {own, revision.name}
    if not old:
        return ()
    statuses = [o.get("status") or {} for o in source.list(resources.CLUSTER)]
    used = {live_class_name(c) for c in source.list(resources.CAPI_CLUSTER)}
    used |= {s.get("classRevision") for s in statuses}
    used |= {(s.get("update") or {}).get("classRevision") for s in statuses}
    return tuple(sorted(old - used))


def _name(obj: Object) -> tuple[str | None, str]:
    return obj["metadata"].get("namespace"), obj["metadata"]["name"]

"""Which add-ons a Cluster has, and which version of them it is to have. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

from kaas.api.addon import MOST_ADDONS, Addon, AddonVersion, AddonVersionStatus, KubernetesRange
from kaas.api.addon_status import InstalledAddOn
from kaas.api.cluster import Cluster
from kaas.api.rollout import ClusterSelector
from kaas.api.versions import minor_of

_NUMBERS: Final = re.compile(r"[0-9]+")


def selects(selector: ClusterSelector, cluster: Cluster) -> bool:
    """Whether all that a selector says holds for a Cluster."""
    meta = cluster.metadata
    return selector.selects(meta.namespace or "", meta.name, cluster.spec.site, meta.labels)


def add_ons_of(cluster: Cluster, addons: Iterable[Addon]) -> tuple[Addon, ...]:
    """The add-ons that a Cluster is to have, in their order; not those that are being deleted."""
    found = (a for a in addons if a.metadata.deletion_timestamp is None and selects(a.spec.clusters, cluster))
    return tuple(sorted(found, key=lambda a: (a.spec.order, a.metadata.name))[:MOST_ADDONS])


@cache
def order_of(version: str) -> tuple[int, ...]:
    """Of two versions of an add-on the newer has more of this."""
    return tuple(map(int, _NUMBERS.findall(version)))


def supports(kubernetes: KubernetesRange, minor: int) -> bool:
    """Whether a minor of Kubernetes is one of those."""
    least, most = kubernetes.min_version, kubernetes.max_version
    return (least is None or minor_of(least) <= minor) and (most is None or minor <= minor_of(most))


def version_of(addon: Addon, version: str | None) -> AddonVersion | None:
    """What the spec says of a version; None when it does not have it."""
    return next((v for v in addon.spec.versions if v.version == version), None)


def found_of(addon: Addon, version: str) -> AddonVersionStatus | None:
    """What was found of a version; None while it was not looked at."""
    return next((v for v in addon.status.versions if v.version == version), None) if addon.status else None


def unusable(addon: Addon, version: str) -> str:
    """Why the objects of a version cannot be put into Clusters; "" when they were found and can be."""
    found = found_of(addon, version)
    if found is not None and found.digest is not None:
        return ""
    return f"{version} cannot be used: {found.message if found and found.message else 'it was not looked at yet'}"


def is_usable(addon: Addon, version: str) -> bool:
    """Whether the objects of a version were found and can be put into Clusters."""
    return not unusable(addon, version)


def why_not(addon: Addon, version: str) -> str:
    """Why no Cluster begins with a version, whatever it supports; "" when nothing is against it."""
    if words := unusable(addon, version):
        return words
    found, most = found_of(addon, version), addon.spec.max_failures
    stopped = (found.stopped if found else None) or 0
    if stopped <= most:
        return ""
    return f"updates to {version} have stopped in {stopped} Clusters, and spec.maxFailures of its Addon is {most}"


def newest(addon: Addon, minor: int) -> AddonVersion | None:
    """The newest version that supports a minor of Kubernetes and nothing is against; None when there is none."""
    there = (v for v in addon.spec.versions if supports(v.kubernetes, minor) and not why_not(addon, v.version))
    return max(there, key=lambda v: order_of(v.version), default=None)


def installed(cluster: Cluster) -> Mapping[str, InstalledAddOn]:
    """What is said of the add-ons that the Cluster has, by name."""
    return {a.name: a for a in cluster.status.add_ons} if cluster.status else {}

"""What is said of an Addon: which of its versions can be used, and how many Clusters have it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kaas.api.addon import Addon, AddonClusters, AddonStatus, AddonVersion, AddonVersionStatus
from kaas.api.addon_state import found_of, installed, newest, selects
from kaas.api.cluster import Cluster
from kaas.api.versions import KubernetesVersion
from kaas.kube.conditions import condition_of
from kaas.kube.objects import Object

USABLE: Final = "Usable"
"""Condition of an Addon that says whether all its versions can be used."""
MAX_MESSAGE: Final = 1024


@dataclass(frozen=True, slots=True)
class Content:
    """What is in the ConfigMap of a version. digest: empty when the version cannot be used, for that problem."""

    objects: int = 0
    digest: str = ""
    problem: str = ""


def found(
    addon: Addon, version: AddonVersion, content: Content, clusters: Iterable[Cluster], now: datetime
) -> AddonVersionStatus:
    """What is said of a version. clusters: all that there are, which may have another content of the same name."""
    problem = content.problem or _changed(addon.metadata.name, version, content.digest, clusters)
    if problem:
        return AddonVersionStatus(version=version.version, message=problem[:MAX_MESSAGE])
    before = found_of(addon, version.version)
    since = before.since if before and before.digest == content.digest and before.since else now
    return AddonVersionStatus(version=version.version, objects=content.objects, digest=content.digest, since=since)


def _changed(name: str, version: AddonVersion, digest: str, clusters: Iterable[Cluster]) -> str:
    """Why what is in a ConfigMap now is not what is called by this version; empty when it is."""
    entries = (installed(cluster).get(name) for cluster in clusters)
    others = sum(1 for e in entries if e and e.version == version.version and e.digest not in (None, digest))
    if not others:
        return ""
    words = f"ConfigMap {version.manifests.config_map} was made anew with other objects than {others} Clusters have"
    return f"{words} as {version.version}: make it as it was, and add another version for these, as 1.8.2-1"


def counts(addon: Addon, clusters: Iterable[Cluster]) -> AddonClusters:
    """How many Clusters have it. addon: with what is said of its versions now."""
    selected = current = failing = 0
    for cluster in clusters:
        entry = installed(cluster).get(addon.metadata.name)
        failing += entry is not None and entry.state == "Failed"
        if selects(addon.spec.clusters, cluster):
            selected += 1
            running = KubernetesVersion.known(cluster.status.version if cluster.status else None)
            best = newest(addon, running.minor) if running else None
            current += entry is not None and best is not None and entry.version == best.version
    return AddonClusters(selected=selected, current=current, failing=failing)


def status(
    addon: Addon, versions: Sequence[AddonVersionStatus], clusters: Collection[Cluster], before: Object, now: datetime
) -> Object:
    """The status to write. before: the status as it is."""
    counted = counts(addon.model_copy(update={"status": AddonStatus(versions=tuple(versions))}), clusters)
    wrong = [f"{v.version}: {v.message}" for v in versions if v.digest is None]
    words = "; ".join(wrong) or f"all {len(versions)} versions can be used"
    condition = condition_of(USABLE, not wrong, "VersionUnusable" if wrong else USABLE, words, before, now)
    seen = addon.metadata.generation
    return {
        "conditions": [condition],
        **({"observedGeneration": seen} if seen is not None else {}),
        "versions": [v.to_json() for v in versions],
        "clusters": counted.to_json(),
    }

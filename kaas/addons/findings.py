"""What is said of an Addon: which of its versions can be used, and how many Clusters have it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kaas.api.addon import Addon, AddonClusters, AddonStatus, AddonVersion, AddonVersionStatus
from kaas.api.addon_state import found_of, newest, selects
from kaas.api.addon_status import InstalledAddOn
from kaas.api.cluster import Cluster, ClusterStatus
from kaas.api.update_status import ADD_ONS_STEP, UpdateSummary
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


@dataclass(frozen=True, slots=True)
class Seen:
    """One Cluster as an Addon sees it. minor: of the Kubernetes that runs, None when that is not known.

    stopped: version that an update was bringing it to when it stopped; None when none has.
    """

    selected: bool
    minor: int | None
    entry: InstalledAddOn | None
    stopped: str | None = None


def seen(addon: Addon, cluster: Cluster) -> Seen | None:
    """What an Addon sees of a Cluster; None when it has nothing to do with it."""
    status, name = cluster.status or ClusterStatus(), addon.metadata.name
    entry = next((a for a in status.add_ons if a.name == name), None)
    selected = selects(addon.spec.clusters, cluster)
    running = KubernetesVersion.known(status.version)
    minor, stopped = running.minor if running else None, _stopped(status.update, name)
    return Seen(selected, minor, entry, stopped) if selected or entry else None


def _stopped(update: UpdateSummary | None, name: str) -> str | None:
    """The version to which an update was bringing an add-on when it stopped; None when it did not, or before that."""
    if update is None or update.stopped is None:
        return None
    begun = any(step.name == ADD_ONS_STEP and step.started is not None for step in update.steps)
    return next((c.to for c in update.add_ons if begun and c.name == name), None)


def found(
    addon: Addon, version: AddonVersion, content: Content, sights: Collection[Seen], now: datetime
) -> AddonVersionStatus:
    """What is said of a version. sights: of all Clusters, which may have another content of the same name."""
    problem = content.problem or _changed(version, content.digest, sights)
    if problem:
        return AddonVersionStatus(version=version.version, message=problem[:MAX_MESSAGE])
    before = found_of(addon, version.version)
    since = before.since if before and before.digest == content.digest and before.since else now
    stopped = sum(1 for sight in sights if sight.stopped == version.version) or None
    said = {"version": version.version, "objects": content.objects, "digest": content.digest}
    return AddonVersionStatus(**said, since=since, stopped=stopped)


def _changed(version: AddonVersion, digest: str, sights: Iterable[Seen]) -> str:
    """Why what is in a ConfigMap now is not what is called by this version; empty when it is."""
    entries = (sight.entry for sight in sights if sight.entry)
    others = sum(1 for e in entries if e.version == version.version and e.digest not in (None, digest))
    if not others:
        return ""
    words = f"ConfigMap {version.manifests.config_map} was made anew with other data than {others} Clusters have"
    return f"{words} as {version.version}: make it as it was, and add another version for these, as 1.8.2-1"


def counts(addon: Addon, sights: Collection[Seen]) -> AddonClusters:
    """How many Clusters have it. addon: with what is said of its versions now."""
    minors = {sight.minor for sight in sights if sight.minor is not None}
    newest_of = {minor: best.version for minor in minors if (best := newest(addon, minor)) is not None}
    return AddonClusters(
        selected=sum(sight.selected for sight in sights),
        current=sum(1 for sight in sights if _is_current(sight, newest_of)),
        failing=sum(1 for sight in sights if sight.entry and sight.entry.state == "Failed"),
    )


def _is_current(sight: Seen, newest_of: Mapping[int, str]) -> bool:
    best = newest_of.get(sight.minor) if sight.minor is not None else None
    return sight.selected and best is not None and sight.entry is not None and sight.entry.version == best


def status(
    addon: Addon, versions: Sequence[AddonVersionStatus], sights: Collection[Seen], before: Object, now: datetime
) -> Object:
    """The status to write. before: the status as it is."""
    counted = counts(addon.model_copy(update={"status": AddonStatus(versions=tuple(versions))}), sights)
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

"""Fleets whose Rollout carries node images and class revisions."""

from __future__ import annotations

from typing import Any

from kaas.api.release import Release
from kaas.api.site import Site
from kaas.api.updates import Updates
from kaas.api.versions import KubernetesVersion
from tests.unit.updates.rollouts.fleet import DAY, NEW, NOW, OLD, FakeCluster, Fleet, rollout, stage
from tests.unit.updates.subjects import raw_release, raw_site, release

NEWER, CLASS = f"ubuntu-{OLD}-2", "kaas-dev-2"
ALL = ["Kubernetes", "NodeImages", "ClassRevision"]


def image(name: str, of: KubernetesVersion = OLD, regular: str = "2026-12-10") -> Release:
    """A Release with an image of its own."""
    raw = raw_release(str(of), regular)
    return Release.model_validate({**raw, "metadata": {"name": name}, "spec": {**raw["spec"], "image": name}})


RELEASES = [release(str(OLD)), release(str(NEW)), image(NEWER)]


def south(name: str) -> Site:
    """A Site that names an image for what runs."""
    raw = raw_site(images=[{"version": str(OLD), "name": name}])
    return Site.model_validate({**raw, "metadata": {"name": "south"}})


def fleet(some: list[FakeCluster], at_once: int = 3, **spec: Any) -> Fleet:
    """Clusters of a kaas that has had a newer class revision for long, unless they say another one."""
    for cluster in some:
        if cluster.newest_revision == cluster.class_revision:
            cluster.newest_revision, cluster.newest_since = CLASS, NOW - 60 * DAY
    return Fleet(rollout(stage("prod", maxConcurrency=at_once), **spec), some, releases=RELEASES)


def wishes(**updates: Any) -> Updates:
    return Updates.model_validate(updates)


def has(found: Fleet, name: str) -> tuple[str, str | None, str]:
    """Version, image and class revision of a Cluster."""
    it = found.cluster(name)
    return str(it.running), it.image, it.class_revision


def left_out(found: Fleet, name: str) -> dict[str, str]:
    """What a member does not take, and why."""
    return {str(entry.kind): entry.reason for entry in found.member(name).left_out}

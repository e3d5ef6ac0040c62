"""Newer versions that a Cluster is not brought to, since its owner, its Site or a date keeps it from them. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from kaas.api.cluster import Cluster
from kaas.api.release_state import ReleaseState
from kaas.api.site import Site
from kaas.api.updates import Channel, KubernetesUpdates
from kaas.updates.facts import Choice
from kaas.updates.releases import Released, by_version
from kaas.updates.subject import Subject
from kaas.updates.targets import Refusal

_ALL_MINORS: Final = 2  # versions of the minor that runs and of the next one can be reached


def better(subject: Subject, now: datetime) -> Choice | None:
    """What the Cluster would be brought to if neither its owner nor its Site kept it from it; None for nothing."""
    running = subject.running
    if running is None:
        return None
    found = subject.catalogue.choose(_willing(subject.cluster, running.minor), running, _open(subject.site), now)
    return None if isinstance(found, Refusal) else found


def previews(subject: Subject, now: datetime) -> list[Released]:
    """Newer versions within reach that are previews, the newest first."""
    running = subject.running
    if running is None:
        return []
    known = by_version(subject.catalogue.releases).items()
    reach = [r for v, r in known if v > running and v.minor - running.minor < _ALL_MINORS]
    return [r for r in reach if r.state(now) is ReleaseState.PREVIEW]


def _willing(cluster: Cluster, minor: int) -> Cluster:
    """The same Cluster, taking what there is: in its own channel, or in Regular when it has chosen none."""
    spec = cluster.spec
    channel = Channel.REGULAR if spec.updates.channel is Channel.NONE else spec.updates.channel
    updates = spec.updates.model_copy(update={"channel": channel, "kubernetes": KubernetesUpdates.MINOR})
    return cluster.model_copy(update={"spec": spec.model_copy(update={"version": f"1.{minor}", "updates": updates})})


def _open(site: Site) -> Site:
    """The same Site without any limit."""
    spec = site.spec
    updates = spec.updates.model_copy(update={"max_version": None})
    flavors = tuple(f.model_copy(update={"max_version": None}) for f in spec.flavors)
    return site.model_copy(update={"spec": spec.model_copy(update={"updates": updates, "flavors": flavors})})

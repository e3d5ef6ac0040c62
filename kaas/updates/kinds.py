"""What else than the version of Kubernetes is due: node image, class revision, certificates. Pure.

Each has dates of its own. What is due at the same time as something larger comes with it: see `planner`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kaas.api.cluster import Cluster
from kaas.api.site import Site
from kaas.api.updates import CertificateUpdates, Channel
from kaas.api.versions import KubernetesVersion
from kaas.updates.catalogue import Catalogue
from kaas.updates.facts import Aims, Change, Choice
from kaas.updates.standing import Present

LARGEST_FIRST: Final = (Change.MINOR, Change.PATCH, Change.CLASS_REVISION, Change.IMAGE, Change.CERTIFICATES)
REVISION_AFTER: Final = {
    Channel.RAPID: timedelta(),
    Channel.REGULAR: timedelta(days=7),
    Channel.STABLE: timedelta(days=28),
}
"""How long a class revision is there before those of a channel are brought to it."""
RENEW_BEFORE: Final = timedelta(days=60)
"""So long before certificates end the machines that have them are to be replaced."""
RENEW_AT_LATEST: Final = timedelta(days=15)
"""So long before the end that waits for no window any more."""


@dataclass(frozen=True, slots=True)
class Due:
    """Something that is to be done as soon as the Cluster may be changed.

    version: what runs, and stays. latest: when it is done without a maintenance window; None for never.
    """

    version: KubernetesVersion
    change: Change
    since: datetime
    message: str
    image: str | None = None
    class_revision: str | None = None
    latest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """What is due, largest first. until: when more may become due by the clock alone; None when nothing does."""

    due: tuple[Due, ...] = ()
    until: datetime | None = None


NOTHING_PENDING: Final = Pending()


def pending(
    cluster: Cluster,
    running: KubernetesVersion | None,
    present: Present,
    catalogue: Catalogue,
    site: Site,
    now: datetime,
) -> Pending:
    """What is due beside the version."""
    if running is None:
        return NOTHING_PENDING
    found = (
        *_revision(cluster, running, present, now),
        *_image(cluster, running, present, catalogue, site, now),
        *_certificates(cluster, running, present, now),
    )
    due = tuple(d for d in found if isinstance(d, Due))
    later = [d for d in found if isinstance(d, datetime)]
    return Pending(due, min(later, default=None)) if found else NOTHING_PENDING


def _image(
    cluster: Cluster,
    running: KubernetesVersion,
    present: Present,
    catalogue: Catalogue,
    site: Site,
    now: datetime,
) -> Iterator[Due | datetime]:
    if present.image is None or cluster.spec.updates.image_channel is Channel.NONE:
        return
    newer, until = catalogue.newer_image(running, present.image, cluster, site, now)
    if newer is not None:
        since = newer.since or present.image_since or now
        yield Due(running, Change.IMAGE, since, newer.message, image=newer.image)
    if until is not None:
        yield until


def _revision(
    cluster: Cluster, running: KubernetesVersion, present: Present, now: datetime
) -> Iterator[Due | datetime]:
    channel, newest, since = cluster.spec.updates.class_channel, present.newest_revision, present.newest_revision_since
    if channel is Channel.NONE or newest is None or since is None or present.class_revision in (None, newest):
        return
    entered = since + REVISION_AFTER[channel]
    if entered > now:
        yield entered
        return
    words = f"the ClusterClass {newest} is there since {since:%Y-%m-%d}, {present.class_revision} is in use"
    yield Due(running, Change.CLASS_REVISION, entered, words, class_revision=newest)


def _certificates(
    cluster: Cluster, running: KubernetesVersion, present: Present, now: datetime
) -> Iterator[Due | datetime]:
    end = present.certificates_end
    if end is None or cluster.spec.updates.certificates is CertificateUpdates.NONE:
        return
    since = end - RENEW_BEFORE
    if since > now:
        yield since
        return
    words = f"certificates of the control plane end on {end:%Y-%m-%d}: its machines are replaced"
    yield Due(running, Change.CERTIFICATES, since, words, latest=end - RENEW_AT_LATEST)


def aims(version: KubernetesVersion, change: Change | None, due: tuple[Due, ...], image: str | None) -> Aims:
    """What one update brings, of a version that is new (`change`, with its image) or not, and of all that is due."""
    replaced = change is not None
    parts = tuple(d for d in due if not (replaced and d.change is Change.IMAGE))
    changes = {*((change,) if change else ()), *(d.change for d in parts)}
    return Aims(
        version,
        tuple(c for c in LARGEST_FIRST if c in changes),
        image if replaced else next((d.image for d in parts if d.image), None),
        next((d.class_revision for d in parts if d.class_revision), None),
        next((d.since for d in parts if d.change is Change.CERTIFICATES), None),
    )


def what(choice: Choice) -> str:
    """What a choice brings, in a few words: that which is largest."""
    found = choice.aims
    if choice.change in (Change.MINOR, Change.PATCH) or found is None:
        return str(choice.version)
    if choice.change is Change.CLASS_REVISION:
        return f"ClusterClass {found.class_revision}"
    return f"node image {found.image}" if choice.change is Change.IMAGE else "the renewal of certificates"

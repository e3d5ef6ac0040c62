"""What else than the version of Kubernetes is due: node image, class revision, certificates, add-ons. Pure.

Each has dates of its own. What is due at the same time as something larger comes with it: see `planner`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from kaas.api.cluster import Cluster
from kaas.api.site import Site
from kaas.api.updates import AddOnUpdates, CertificateUpdates, Channel
from kaas.api.versions import KubernetesVersion
from kaas.updates import addons
from kaas.updates.catalogue import Catalogue
from kaas.updates.facts import NOBODY, ROLLOUT_DONE, ROLLOUT_PENDING, AddOn, Aims, Change, Choice, Ruling, Turn
from kaas.updates.standing import Present

LARGEST_FIRST: Final = (
    Change.MINOR,
    Change.PATCH,
    Change.CLASS_REVISION,
    Change.IMAGE,
    Change.CERTIFICATES,
    Change.ADD_ONS,
)
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
    add_ons: tuple[AddOn, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that a Rollout decides about and does not let go yet.

    reason: one CamelCase word. message: for a person. until: when the Rollout may say another thing by the clock alone.
    due: what is to be done when its turn comes; None while the Rollout does not bring it.
    """

    change: Change
    reason: str
    message: str
    until: datetime | None = None
    due: Due | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """What is due, largest first. until: when more may become due by the clock alone; None when nothing does.

    waiting: what Rollouts do not let go yet, the largest first.
    """

    due: tuple[Due, ...] = ()
    until: datetime | None = None
    waiting: tuple[Waiting, ...] = ()


NOTHING_PENDING: Final = Pending()


class _Asked(NamedTuple):
    """What is asked about one Cluster that runs."""

    cluster: Cluster
    running: KubernetesVersion
    present: Present
    catalogue: Catalogue
    site: Site
    ruling: Ruling
    now: datetime


def pending(
    cluster: Cluster,
    running: KubernetesVersion | None,
    present: Present,
    catalogue: Catalogue,
    site: Site,
    now: datetime,
    ruling: Ruling = NOBODY,
) -> Pending:
    """What is due of machines beside the version. ruling: of Rollouts, each of which takes the place of a channel."""
    if running is None:
        return NOTHING_PENDING
    asked = _Asked(cluster, running, present, catalogue, site, ruling, now)
    found = (*_revision(asked), *_image(asked), *_certificates(cluster, running, present, now))
    if not found:
        return NOTHING_PENDING
    later = [d for d in found if isinstance(d, datetime)]
    until = min(later, default=None)
    if len(later) == len(found):
        return Pending(until=until)
    due = tuple(d for d in found if isinstance(d, Due))
    return Pending(due, until, tuple(w for w in found if isinstance(w, Waiting)))


def _image(asked: _Asked) -> Iterator[Due | Waiting | datetime]:
    present, turn = asked.present.image, asked.ruling.image
    channel = asked.cluster.spec.updates.image_channel
    if present is None or channel is Channel.NONE:
        return
    newer, until = asked.catalogue.newer_image(asked.running, present, asked.cluster, asked.site, asked.now)
    due = None
    if newer is not None:
        since = newer.since or asked.present.image_since or asked.now
        due = Due(asked.running, Change.IMAGE, since, newer.message, image=newer.image)
    if turn is not None:
        yield from _by_rollout(turn, _image_of(turn, present, asked), due)
    elif due is not None:
        yield due
    if until is not None:
        yield until


def _image_of(turn: Turn, present: str, asked: _Asked) -> Due | None:
    """The image of a Rollout, if it is one for what runs, and newer."""
    image, running, catalogue = turn.image, asked.running, asked.catalogue
    if image is None or not catalogue.takes_image(image, running, asked.site, asked.now):
        return None
    if not catalogue.is_newer_image(image, present, running, asked.site):
        return None
    words = f"Rollout {turn.rollout} brings node image {image} in its stage {turn.stage}, {present} is in use"
    return Due(running, Change.IMAGE, asked.present.image_since or asked.now, words, image=image)


def _revision(asked: _Asked) -> Iterator[Due | Waiting | datetime]:
    present, turn, channel = asked.present, asked.ruling.class_revision, asked.cluster.spec.updates.class_channel
    newest, since = present.newest_revision, present.newest_revision_since
    if channel is Channel.NONE or newest is None or since is None or present.class_revision in (None, newest):
        return
    entered = since + REVISION_AFTER[channel]
    if turn is None and entered > asked.now:
        yield entered
        return
    words = f"the ClusterClass {newest} is there since {since.date()}, {present.class_revision} is in use"
    due = Due(asked.running, Change.CLASS_REVISION, entered, words, class_revision=newest)
    if turn is not None:
        yield from _by_rollout(turn, _revision_of(turn, newest, since, asked), due if entered <= asked.now else None)
    else:
        yield due


def _revision_of(turn: Turn, newest: str, since: datetime, asked: _Asked) -> Due | None:
    """The class revision of a Rollout, if it is the newest that there is."""
    if turn.class_revision != newest:
        return None
    words = (
        f"Rollout {turn.rollout} brings the ClusterClass {newest} in its stage {turn.stage}, "
        f"{asked.present.class_revision} is in use"
    )
    return Due(asked.running, Change.CLASS_REVISION, since, words, class_revision=newest)


def _by_rollout(turn: Turn, brought: Due | None, own: Due | None) -> Iterator[Due | Waiting]:
    """What a Rollout decides: what it brings, when its turn has come. own: what would be due without it."""
    if brought is not None and turn.allowed:
        yield brought
    elif brought is not None:
        yield Waiting(brought.change, ROLLOUT_PENDING, turn.message, turn.until, brought)
    elif own is not None and turn.allowed:
        words = f"Rollout {turn.rollout} decides about it, and does not bring {name_of(own)} yet ({own.message})"
        yield Waiting(own.change, ROLLOUT_DONE, words, turn.until)
    elif own is not None:
        yield Waiting(own.change, ROLLOUT_PENDING, turn.message, turn.until)


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


def add_ons_due(
    cluster: Cluster, running: KubernetesVersion | None, present: Present, known: tuple[addons.Known, ...]
) -> Due | None:
    """All add-ons of which there is a newer version, together. known: those that the Cluster is to have, in order."""
    if running is None or cluster.spec.updates.add_ons is AddOnUpdates.NONE:
        return None
    return _all_due(running, known, present.add_ons)


@lru_cache(maxsize=addons.MOST_REMEMBERED)
def _all_due(running: KubernetesVersion, known: tuple[addons.Known, ...], present: addons.Present) -> Due | None:
    found = addons.newer(known, present, running.minor)
    if not found:
        return None
    each = (f"add-on {a.name} {a.new} is there since {since:%Y-%m-%d}, {a.old} is in use" for a, since in found)
    first, brought = min(since for _, since in found), tuple(a for a, _ in found)
    return Due(running, Change.ADD_ONS, first, ", ".join(each), add_ons=brought)


def aims(version: KubernetesVersion, change: Change | None, due: tuple[Due, ...], image: str | None) -> Aims:
    """What one update brings, of a version that is new (`change`, with its image) or not, and of all that is due.

    Add-ons come with it in versions that support it; others of theirs come after it.
    """
    replaced = change is not None
    brought = tuple(a for d in due for a in d.add_ons if a.most is None or version.minor <= a.most)
    parts = tuple(
        d
        for d in due
        if not (replaced and d.change is Change.IMAGE) and not (d.change is Change.ADD_ONS and not brought)
    )
    changes = {*((change,) if change else ()), *(d.change for d in parts)}
    return Aims(
        version,
        tuple(c for c in LARGEST_FIRST if c in changes),
        image if replaced else next((d.image for d in parts if d.image), None),
        next((d.class_revision for d in parts if d.class_revision), None),
        next((d.since for d in parts if d.change is Change.CERTIFICATES), None),
        brought,
    )


def what(choice: Choice) -> str:
    """What a choice brings, in a few words: that which is largest."""
    found = choice.aims
    if choice.change in (Change.MINOR, Change.PATCH) or found is None:
        return str(choice.version)
    if choice.change is Change.CERTIFICATES:
        return "the renewal of certificates"
    if choice.change is Change.ADD_ONS:
        return ", ".join(f"add-on {a.name} {a.new}" for a in found.add_ons)
    return _words(found.class_revision if choice.change is Change.CLASS_REVISION else None, found.image)


def name_of(due: Due) -> str:
    """What is due, in a few words; of node images and class revisions."""
    return _words(due.class_revision, due.image)


def _words(class_revision: str | None, image: str | None) -> str:
    return f"ClusterClass {class_revision}" if class_revision else f"node image {image}"

"""Everything that is known of one Cluster when it is decided what is to be done about its version. Plain data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol, Self

from kaas.api.addon import Addon
from kaas.api.addon_state import add_ons_of
from kaas.api.cluster import Cluster
from kaas.api.maintenance import Exclusion
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.api.updates import AddOnUpdates
from kaas.api.versions import KubernetesVersion
from kaas.updates.addons import Known, limits
from kaas.updates.catalogue import Catalogue, catalogue
from kaas.updates.facts import NOBODY, Change, Opening, Ruling
from kaas.updates.limits import Limit
from kaas.updates.standing import NOT_KNOWN, Present, Standing, present_of, standing_of
from kaas.updates.unread import UnreadRelease


class Openings(Protocol):
    """When a Cluster may be changed, as `windows.Calendar` says it."""

    def openings(self, change: Change, since: datetime, until: datetime) -> Iterator[Opening]:
        """Times in order, those that have begun before `since` with their real beginning."""

    def first(self, change: Change, since: datetime, least: timedelta) -> Opening | None:
        """The first with more than `least` left of it, at `since` or when it begins; None when none is near."""

    def excluded_by(self, change: Change, now: datetime) -> Exclusion | None:
        """The exclusion that keeps a change out now."""

    def taken_by(self, change: Change, since: datetime, until: datetime, least: timedelta) -> Exclusion | None:
        """The exclusion without which a change could be begun earlier than `until`, and not before `since`."""


@dataclass(frozen=True, slots=True)
class AddOns:
    """The Addons that there are. unread: names of those that cannot be read. made_of: what was given for it."""

    readable: tuple[Known, ...] = ()
    unread: tuple[str, ...] = ()
    made_of: tuple[Addon, ...] = ()

    @classmethod
    def of(cls, addons: Iterable[Addon], unread: Iterable[str] = (), before: AddOns | None = None) -> AddOns:
        """before: what there was, of which that which says the same is kept, and what was found out about it."""
        found, ill = tuple(addons), tuple(unread)
        if before is not None and ill == before.unread and _are(found, before.made_of):
            return before
        same = {known.name: known for known in (before.readable if before else ())}
        return cls(tuple(_known(addon, same.get(addon.metadata.name)) for addon in found), ill, found)


def _are(some: tuple[Addon, ...], others: tuple[Addon, ...]) -> bool:
    """Whether they are the same objects."""
    return len(some) == len(others) and all(a is b for a, b in zip(some, others, strict=True))


def _known(addon: Addon, before: Known | None) -> Known:
    """The one there was, when it says the same but for how many Clusters have it."""
    if before is None:
        return Known(addon)
    was, now = before.addon, addon
    versions = [a.status.versions if a.status else () for a in (was, now)]
    meta = [(a.metadata.uid, a.metadata.deletion_timestamp) for a in (was, now)]
    return before if was.spec == now.spec and versions[0] == versions[1] and meta[0] == meta[1] else Known(addon)


NOT_KNOWN_ADD_ONS: Final = AddOns()
"""For who may not read Addons."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Everything that is known of a Cluster.

    running: the oldest version of its control plane. ruling: what Rollouts say, of each kind of update.
    present: what its machines are made of, and which add-ons it has. unread: Releases that are there beside those of
    the catalogue and cannot be read. addons: those that it is to have, in their order. unread_addons: names of others
    that cannot be read.
    """

    cluster: Cluster
    running: KubernetesVersion | None
    catalogue: Catalogue
    site: Site
    calendar: Openings
    standing: Standing
    ruling: Ruling = NOBODY
    present: Present = NOT_KNOWN
    unread: tuple[UnreadRelease, ...] = ()
    addons: tuple[Known, ...] = ()
    unread_addons: tuple[str, ...] = ()

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Which minors add-ons support, beside Site and flavors."""
        if self.running is None or not (self.addons or self.unread_addons):
            return ()
        auto = self.cluster.spec.updates.add_ons is AddOnUpdates.AUTO
        return limits(self.addons, self.present.add_ons, self.running.minor, self.unread_addons, auto)

    @classmethod
    def of(
        cls,
        cluster: Cluster,
        running: KubernetesVersion | None,
        releases: Iterable[Release],
        site: Site,
        calendar: Openings,
        ruling: Ruling = NOBODY,
        unread: Iterable[UnreadRelease] = (),
    ) -> Self:
        """A Cluster as its status says that it stands."""
        standing, present, known = standing_of(cluster), present_of(cluster), catalogue(releases)
        return cls(cluster, running, known, site, calendar, standing, ruling, present, tuple(unread))

    def beside(self, addons: AddOns) -> Self:
        """The same where there are these add-ons, which may be meant for others."""
        if addons is NOT_KNOWN_ADD_ONS:
            return self
        if not (addons.readable or addons.unread):  # where there are none at all, the kind may be gone from the server
            return replace(self, unread_addons=tuple(name for name, _ in self.present.add_ons))
        known = {id(k.addon): k for k in addons.readable}
        chosen = add_ons_of(self.cluster, (k.addon for k in addons.readable))
        return replace(self, addons=tuple(known[id(a)] for a in chosen), unread_addons=addons.unread)

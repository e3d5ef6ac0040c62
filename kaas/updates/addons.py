"""Add-ons in updates: to which versions they are brought, and which minors those of a Cluster support. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from kaas.api.addon import Addon
from kaas.api.addon_state import found_of, is_usable, newest, order_of, supports, version_of, why_not
from kaas.api.addon_status import AddOnChange
from kaas.api.versions import KubernetesVersion, minor_of
from kaas.updates.facts import AddOn
from kaas.updates.limits import Limit

ADD_ON_LIMIT: Final = "AddOnLimit"
"""Reason when an add-on that the Cluster has does not support the next minor."""

MOST_REMEMBERED: Final = 2048
"""Clusters that have the same add-ons, and run the same minor: of a fleet most."""
Present = tuple[tuple[str, str], ...]
"""Names and versions of the add-ons that a Cluster has."""


@dataclass(frozen=True, eq=False, slots=True)
class Known:
    """One Addon, compared by being the same one: that is quick, and what is found out about it is remembered so."""

    addon: Addon

    @property
    def name(self) -> str:
        """Its name."""
        return self.addon.metadata.name


def newer(addons: tuple[Known, ...], present: Present, minor: int) -> tuple[tuple[AddOn, datetime], ...]:
    """Add-ons that there is a newer version of which supports a minor, in their order; and since when there is."""
    versions = dict(present)
    return tuple(found for known in addons if (found := _newer(known.addon, versions.get(known.name), minor)))


def _newer(addon: Addon, has: str | None, minor: int) -> tuple[AddOn, datetime] | None:
    best = newest(addon, minor)
    if has is None or best is None or order_of(best.version) <= order_of(has):
        return None
    found, most = found_of(addon, best.version), best.kubernetes.max_version
    if found is None or found.since is None:
        return None
    return AddOn(addon.metadata.name, has, best.version, minor_of(most) if most else None), found.since


def changes_of(addons: Iterable[AddOn]) -> tuple[AddOnChange, ...]:
    """As it stands in the status."""
    return tuple(AddOnChange(name=a.name, from_=a.old, to=a.new) for a in addons)


def read(changes: Iterable[AddOnChange]) -> tuple[AddOn, ...]:
    """From the status of an update that has begun."""
    return tuple(AddOn(c.name, c.from_, c.to) for c in changes)


@lru_cache(maxsize=MOST_REMEMBERED)
def limits(
    addons: tuple[Known, ...], present: Present, minor: int, unread: tuple[str, ...] = (), auto: bool = True
) -> tuple[Limit, ...]:
    """The newest minor that each add-on of a Cluster supports in the version that it has.

    minor: the one that runs, which the Cluster keeps when it cannot be known. unread: names of Addons not readable.
    auto: whether newer versions come by themselves.
    """
    versions = dict(present)
    words = "Addon {} is not there, or cannot be read, so nobody knows which minors it supports: put it right"
    unknown = (Limit(minor, words.format(name), ADD_ON_LIMIT, "") for name in unread if name in versions)
    known = (_limit(k.addon, versions[k.name], minor, auto) for k in addons if k.name in versions)
    return (*unknown, *filter(None, known))


def _limit(addon: Addon, has: str, minor: int, auto: bool) -> Limit | None:
    name, said = addon.metadata.name, version_of(addon, has)
    if said is None:
        words = f"add-on {name} has {has} in the Cluster, of which spec.versions of its Addon says nothing any more"
        return Limit(minor, f"{words}: put it back, or add a newer one", ADD_ON_LIMIT, "")
    most = said.kubernetes.max_version
    if most is None:
        return None
    words = f"add-on {name} {has} supports no newer minor than {most}"
    return Limit(minor_of(most), words + _way(addon, has, minor, auto), ADD_ON_LIMIT, "")


def _way(addon: Addon, has: str, minor: int, auto: bool) -> str:
    """What brings the Cluster to a version that supports the next minor too."""
    ahead = minor + 1
    better = [v for v in addon.spec.versions if order_of(v.version) > order_of(has) and supports(v.kubernetes, ahead)]
    both = [v.version for v in better if supports(v.kubernetes, minor)]
    usable = [version for version in both if not why_not(addon, version)]
    if usable and auto:
        return f"; {max(usable, key=order_of)} of it comes first"
    if usable:
        return f"; {max(usable, key=order_of)} would, but spec.updates.addOns is None: set it to Auto"
    if both:
        return f"; {why_not(addon, max(both, key=order_of))}"
    if better:
        return f": no version of it supports both 1.{minor} and 1.{ahead}, add one that does to its Addon"
    return ": add a version that does to its Addon"


def lifted_by(addons: tuple[Known, ...], present: Present, brought: Iterable[AddOn], to: int, minor: int) -> bool:
    """Whether newer versions of add-ons are what it takes to go to a minor that those that are there do not support."""
    after = dict(present) | {a.name: a.new for a in brought}
    before = min((limit.minor for limit in limits(addons, present, minor)), default=to)
    return before < to and all(limit.minor >= to for limit in limits(addons, tuple(after.items()), minor))


def gives_way(addons: Iterable[Known], brought: Iterable[AddOn], minor: int) -> bool:
    """Whether what an update brings is not to be had any more: withdrawn, or there is something newer."""
    known = {k.name: k.addon for k in addons}
    for each in brought:
        addon = known.get(each.name)
        if addon is None:
            continue
        best = newest(addon, minor)
        is_had = version_of(addon, each.new) is not None and is_usable(addon, each.new)
        if not is_had or (best is not None and order_of(best.version) > order_of(each.new)):
            return True
    return False


def unsupported(
    addons: tuple[Known, ...], present: Present, target: KubernetesVersion, running: KubernetesVersion
) -> Iterator[str]:
    """Why add-ons do not go with a version that the Cluster is to be brought to, in words."""
    if target.minor == running.minor:
        return
    for limit in limits(addons, present, running.minor):
        if limit.minor < target.minor:
            yield limit.message


def no_way_back(
    addons: Iterable[Known], name: str, old: str, running: KubernetesVersion, unread: Collection[str] = ()
) -> str:
    """Why an add-on cannot be brought back to a version; "" when it can."""
    if name in unread:
        return "its Addon cannot be read: correct it"
    addon = next((known.addon for known in addons if known.name == name), None)
    said = version_of(addon, old) if addon else None
    if addon is None or said is None:
        return f"{old} is not in its Addon any more"
    if not is_usable(addon, old):
        return f"{old} cannot be used any more"
    return "" if supports(said.kubernetes, running.minor) else f"{old} does not support 1.{running.minor}"

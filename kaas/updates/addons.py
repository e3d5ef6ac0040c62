"""Add-ons in updates: to which versions they are brought, and which minors those of a Cluster support. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from kaas.api.addon import Addon
from kaas.api.addon_state import found_of, is_usable, newest, order_of, supports, version_of
from kaas.api.addon_status import AddOnChange
from kaas.api.versions import KubernetesVersion, minor_of
from kaas.updates.facts import AddOn
from kaas.updates.limits import Limit

ADD_ON_LIMIT: Final = "AddOnLimit"
"""Reason when an add-on that the Cluster has does not support the next minor."""

Versions = Mapping[str, str]
"""Versions of the add-ons that a Cluster has, by name."""


def newer(addons: Iterable[Addon], present: Versions, running: KubernetesVersion) -> Iterator[tuple[AddOn, datetime]]:
    """Add-ons that there is a newer version of which supports what runs, in their order; and since when there is."""
    for addon in addons:
        name = addon.metadata.name
        has, best = present.get(name), newest(addon, running.minor)
        if has is None or best is None or order_of(best.version) <= order_of(has):
            continue
        found = found_of(addon, best.version)
        if found is not None and found.since is not None:
            yield _of(addon, has, best.version), found.since


def _of(addon: Addon, old: str, new: str) -> AddOn:
    said = version_of(addon, new)
    most = said.kubernetes.max_version if said else None
    return AddOn(addon.metadata.name, old, new, minor_of(most) if most else None)


def changes_of(addons: Iterable[AddOn]) -> tuple[AddOnChange, ...]:
    """As it stands in the status."""
    return tuple(AddOnChange(name=a.name, from_=a.old, to=a.new) for a in addons)


def read(changes: Iterable[AddOnChange]) -> tuple[AddOn, ...]:
    """From the status of an update that has begun."""
    return tuple(AddOn(c.name, c.from_, c.to) for c in changes)


def limits(
    addons: Iterable[Addon], present: Versions, running: KubernetesVersion | None, unread: Iterable[str] = ()
) -> Iterator[Limit]:
    """The newest minor that each add-on of a Cluster supports in the version that it has. unread: those not readable.

    Of what cannot be known the Cluster keeps its minor.
    """
    if running is None:
        return
    for name in unread:
        if name in present:
            words = f"Addon {name} cannot be read, so nobody knows which minors it supports: correct it"
            yield Limit(running.minor, words, ADD_ON_LIMIT)
    for addon in addons:
        name = addon.metadata.name
        has = present.get(name)
        if has is None:
            continue
        said = version_of(addon, has)
        if said is None:
            words = f"add-on {name} has {has} in the Cluster, of which spec.versions of its Addon says nothing any more"
            yield Limit(running.minor, f"{words}: put it back, or add a newer one", ADD_ON_LIMIT)
        elif said.kubernetes.max_version is not None:
            words = f"add-on {name} {has} supports no newer minor than {said.kubernetes.max_version}"
            yield Limit(minor_of(said.kubernetes.max_version), f"{words}{_way(addon, said.version)}", ADD_ON_LIMIT)


def _way(addon: Addon, has: str) -> str:
    """Whether a newer version supports more: that comes first, by an update of its own."""
    better = [v.version for v in addon.spec.versions if order_of(v.version) > order_of(has)]
    return "; a newer version of it comes first" if better else ": add a version that does to its Addon"


def unsupported(
    addons: Iterable[Addon], present: Versions, target: KubernetesVersion, running: KubernetesVersion
) -> Iterator[str]:
    """Why add-ons do not go with a version that the Cluster is to be brought to, in words."""
    if target.minor == running.minor:
        return
    for limit in limits(addons, present, running):
        if limit.minor < target.minor:
            yield limit.message


def no_way_back(addons: Iterable[Addon], name: str, old: str, running: KubernetesVersion) -> str:
    """Why an add-on cannot be brought back to a version; "" when it can."""
    addon = next((a for a in addons if a.metadata.name == name), None)
    said = version_of(addon, old) if addon else None
    if addon is None or said is None:
        return f"{old} is not in its Addon any more"
    if not is_usable(addon, old):
        return f"{old} cannot be used any more"
    return "" if supports(said.kubernetes, running.minor) else f"{old} does not support 1.{running.minor}"

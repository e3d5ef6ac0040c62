"""Up to which minor a Cluster may be brought by itself: what its Site, and the flavors that it has, support. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from kaas.api.cluster import Cluster
from kaas.api.site import Site
from kaas.api.versions import minor_of

SITE_LIMIT: Final = "SiteLimit"
"""Reason when the Site, or a flavor of it, does not support the next minor."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The newest minor that something supports. message: for a person, what supports no more, and where that is said.

    reason: one CamelCase word. way: what to do about it, in words that go on where the message ends.
    """

    minor: int
    message: str
    reason: str = SITE_LIMIT
    way: str = ", and raise it"


def limit_of(cluster: Cluster, site: Site, more: Iterable[Limit] = ()) -> Limit | None:
    """What allows least; None when nothing sets a limit. more: what others say, as add-ons."""
    said = [*_of_site(site), *_of_flavors(cluster, site), *more]
    return min(said, key=attrgetter("minor"), default=None)


def _of_site(site: Site) -> Iterable[Limit]:
    if most := site.spec.updates.max_version:
        words = f"Site {site.metadata.name} supports no newer minor than {most}: see its spec.updates.maxVersion"
        yield Limit(minor_of(most), words)


def _of_flavors(cluster: Cluster, site: Site) -> Iterable[Limit]:
    """A driver in the image of its machines knows Kubernetes up to some minor."""
    limited = {f.name: f.max_version for f in site.spec.flavors if f.max_version}
    if not limited:
        return
    used = [("the control plane", cluster.spec.control_plane.flavor)]
    used += [(f"pool {pool.name}", pool.flavor) for pool in cluster.spec.node_pools]
    for name, flavor in used:
        if most := limited.get(flavor):
            words = f"flavor {flavor} of {name} supports no newer minor than {most}: see spec.flavors of Site "
            yield Limit(minor_of(most), words + site.metadata.name)

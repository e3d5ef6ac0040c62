"""What the checks before an update depend on, as people and repairs say it: a change has them made at once. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from kaas.api.cluster import Cluster, ClusterSpec
from kaas.api.constants import GROUP
from kaas.api.site import Site, SiteSpec


@dataclass(frozen=True)
class Inputs:
    """What the management cluster has of it. annotations: those of kaas. repairs: what is in flight and held back."""

    spec: ClusterSpec
    annotations: tuple[tuple[str, str], ...]
    site: SiteSpec
    repairs: tuple[tuple[str, int], ...]
    breakers: tuple[str, ...]

    @classmethod
    def of(cls, cluster: Cluster, site: Site) -> Self:
        """As it stands now."""
        annotations = (pair for pair in cluster.metadata.annotations.items() if pair[0].startswith(f"{GROUP}/"))
        repair = cluster.status.repair if cluster.status else None
        in_flight = ((p.name, p.in_flight) for p in repair.pools) if repair else ()
        breakers = (b.scope for b in repair.breakers) if repair else ()
        return cls(
            cluster.spec, tuple(sorted(annotations)), site.spec, tuple(sorted(in_flight)), tuple(sorted(breakers))
        )

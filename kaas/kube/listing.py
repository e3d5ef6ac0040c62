"""Our Clusters among what was observed, by what they depend on. Pure."""

from __future__ import annotations

from kaas.kube import resources
from kaas.kube.objects import name_of
from kaas.kube.ports import Source


def clusters_of_site(source: Source, site: str) -> list[tuple[str, str]]:
    """Namespaces and names of the Clusters on a Site."""
    return [name_of(c) for c in source.list(resources.CLUSTER) if c["spec"]["site"] == site]

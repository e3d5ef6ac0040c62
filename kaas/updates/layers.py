"""What Cluster, Namespace and Site say of maintenance, and what is wrong with it. Pure."""

from __future__ import annotations

from typing import Final

from kaas.api.cluster import Cluster
from kaas.api.maintenance import Maintenance
from kaas.api.site import Site
from kaas.kube.objects import Object
from kaas.updates.namespaces import MaintenanceInvalid, of_namespace
from kaas.updates.windows import Calendar, too_short

_MOST: Final = 3  # of what is wrong, this much is said at once


def calendar(cluster: Cluster, namespace: Object | None, site: Site) -> tuple[Calendar, str]:
    """When a Cluster may be changed, and what is wrong with what was said of it: empty when nothing is."""
    problem, between = "", Maintenance()
    try:
        between = (of_namespace(namespace) if namespace else None) or between
    except MaintenanceInvalid as wrong:
        problem = "; ".join(str(wrong).splitlines()[:_MOST])
    layers = (cluster.spec.maintenance, between, site.spec.maintenance)
    found = Calendar(layers, cluster.metadata.uid or "", readable=not problem)
    return found, problem or "; ".join(found.faults[:_MOST]) or too_short(cluster, site, found)

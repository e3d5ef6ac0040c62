"""What Cluster, Namespace and Site say of maintenance, and what is wrong with it. Pure."""

from __future__ import annotations

from typing import Any, Final

import yaml
from pydantic import ValidationError

from kaas.api import crd
from kaas.api.cluster import Cluster
from kaas.api.constants import ANNOTATION_MAINTENANCE
from kaas.api.maintenance import Maintenance
from kaas.api.rules import violations
from kaas.api.site import Site
from kaas.kube.objects import Object, annotation
from kaas.updates.windows import Calendar, too_short

NOTHING: Final = Maintenance()
_MOST: Final = 3  # of what is wrong, this much is said at once


class MaintenanceInvalid(ValueError):
    """What a Namespace says of maintenance cannot be read. The message names it, and the way out."""


def of_namespace(namespace: Object | None) -> Maintenance:
    """What the annotation of a Namespace says. Raises MaintenanceInvalid."""
    said = annotation(namespace, ANNOTATION_MAINTENANCE) if namespace else None
    if not said or namespace is None:
        return NOTHING
    where = f"Namespace {namespace['metadata']['name']}, annotation {ANNOTATION_MAINTENANCE}"
    try:
        return _parsed(said)
    except ValidationError as wrong:
        faults = [f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in wrong.errors()]
        raise MaintenanceInvalid(f"{where}: {'; '.join(faults[:_MOST])}") from wrong
    except (yaml.YAMLError, ValueError) as wrong:
        raise MaintenanceInvalid(f"{where}: {' '.join(str(wrong).split())}") from wrong


def _parsed(text: str) -> Maintenance:
    plain = yaml.safe_load(text)
    if not isinstance(plain, dict):
        raise ValueError("it must be YAML with windows and exclusions, as spec.maintenance of a Cluster")
    found = Maintenance.model_validate(plain)
    broken = [f"{v.path}: {v.message}" for v in violations(found.to_json(), _schema())]
    if broken:
        raise ValueError("; ".join(broken[:_MOST]))
    return found


def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = crd.schema(Cluster)["properties"]["spec"]["properties"]["maintenance"]
    return schema


def calendar(cluster: Cluster, namespace: Object | None, site: Site) -> tuple[Calendar, str]:
    """When a Cluster may be changed, and what is wrong with what was said of it: empty when nothing is."""
    problem, between = "", NOTHING
    try:
        between = of_namespace(namespace)
    except MaintenanceInvalid as wrong:
        problem = str(wrong)
    layers = (cluster.spec.maintenance, between, site.spec.maintenance)
    found = Calendar(layers, cluster.metadata.uid or "")
    return found, problem or "; ".join(found.faults[:_MOST]) or too_short(cluster, site, found)

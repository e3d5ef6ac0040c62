"""What the annotation of a Namespace says of the maintenance of its Clusters. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from kaas.api.cluster import Cluster
from kaas.api.constants import ANNOTATION_MAINTENANCE
from kaas.api.crd import schema
from kaas.api.load import ManifestError, checked, documents
from kaas.api.maintenance import Maintenance
from kaas.api.rules import Schema
from kaas.kube.objects import Object, annotation

_EXAMPLE: Final = (
    'windows: [{recurrence: FREQ=WEEKLY;BYDAY=TU, start: "22:00", durationMinutes: 240, timeZone: Asia/Tokyo}]'
)


class MaintenanceInvalid(ValueError):
    """What a Namespace says of maintenance cannot be used. One line a fault: object, field and the way out."""


def of_namespace(namespace: Object) -> Maintenance | None:
    """What a Namespace says of maintenance; None when it says nothing. Raises MaintenanceInvalid."""
    text = annotation(namespace, ANNOTATION_MAINTENANCE)
    if not text:
        return None
    what = f"Namespace {namespace['metadata']['name']!r}: annotation {ANNOTATION_MAINTENANCE}"
    try:
        return _read(text, what)
    except ManifestError as error:
        raise MaintenanceInvalid(str(error)) from error


@lru_cache(maxsize=256)
def _read(text: str, what: str) -> Maintenance:
    rules: Schema = schema(Cluster)["properties"]["spec"]["properties"]["maintenance"]
    return checked(Maintenance, _document(text, what), rules, what)


def _document(text: str, what: str) -> dict[str, object]:
    found = [document for _, document in documents(text, what)]
    if not found:
        return {}
    if len(found) > 1 or not isinstance(found[0], dict):
        raise ManifestError([f"{what}: it must be YAML with windows and exclusions, as {_EXAMPLE}"])
    return found[0]

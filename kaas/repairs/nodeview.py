"""What is kept of a Node. Pure; strings that many Nodes share are kept once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from sys import intern
from types import MappingProxyType
from typing import Any

from kaas.api.constants import ANNOTATION_REPAIR
from kaas.gpu.layouts import layout_of
from kaas.kube.objects import Object, annotation, is_deleting, labels, metadata
from kaas.repairs.facts import NodeCondition, NodeView

# Extended resources of devices: nvidia.com/gpu, nvidia.com/mig-1g.5gb, amd.com/gpu, gpu.intel.com/i915.
_GPU = re.compile(r"(^|[^a-z])(gpu|mig)", re.IGNORECASE)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING: Mapping[str, int] = MappingProxyType({})
_WHOLE = re.compile(r"([0-9]+)(k?)")  # the API server writes thousands of devices as 2k


def node_view(node: Object) -> NodeView:
    """The view of a Node. What is missing is empty; a condition without a time counts since the Node was made."""
    status: dict[str, Any] = node.get("status") or {}
    info: dict[str, Any] = status.get("nodeInfo") or {}
    return NodeView(
        name=metadata(node)["name"],
        boot_id=str(info.get("bootID") or ""),
        version=_shared(info.get("kubeletVersion")),
        conditions=_conditions(status, metadata(node).get("creationTimestamp")),
        capacity=_devices(status.get("capacity")),
        allocatable=_devices(status.get("allocatable")),
        layout=layout_of(labels(node)),
        unschedulable=bool((node.get("spec") or {}).get("unschedulable")),
        deleting=is_deleting(node),
        request=annotation(node, ANNOTATION_REPAIR),
    )


def _conditions(status: dict[str, Any], made: object) -> tuple[NodeCondition, ...]:
    return tuple(
        NodeCondition(
            type=_shared(entry.get("type")),
            status=_shared(entry.get("status")),
            reason=_shared(entry.get("reason")),
            message=_shared(entry.get("message")),
            since=_moment(entry.get("lastTransitionTime")) or _moment(made) or _NEVER,
        )
        for entry in status.get("conditions") or ()
    )


def _devices(resources: Mapping[str, Any] | None) -> Mapping[str, int]:
    """Number of devices by extended resource; those in an unknown notation are left out."""
    found = {_shared(k): _number(v) for k, v in (resources or {}).items() if "/" in k and _GPU.search(k)}
    known = {k: v for k, v in found.items() if v is not None}
    return known or _NOTHING


def _number(quantity: object) -> int | None:
    match = _WHOLE.fullmatch(str(quantity))
    return int(match[1]) * (1000 if match[2] else 1) if match else None


def _moment(stamp: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(stamp))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _shared(text: object) -> str:
    return intern(str(text)) if text else ""

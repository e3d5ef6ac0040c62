"""How the API server knows that a Pod was answered: it asks a second time when a call was lost, and only then.

A mutating webhook is asked once, and a request dies with the replica that had taken it. So the configuration names the
webhook twice. The second entry is for Pods whose mark is not that of the containers that they have: those that nobody
has answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaas.credentials.pods.containers import Op
from kaas.credentials.pods.mutation import LISTS
from kaas.credentials.pods.wanted import MIRROR_ANNOTATION
from kaas.credentials.terms import SEEN_ANNOTATION

_PATH = f"/metadata/annotations/{SEEN_ANNOTATION.replace('/', '~1')}"  # RFC 6901


def mark(pod: Mapping[str, Any], patch: list[Op]) -> list[Op]:
    """What `patch` lacks to say that these containers were seen; nothing when the Pod says so already.

    The mark is a number that CEL can count too: see `unseen` in deploy/credentials/webhooks.yaml.
    """
    spec, meta = pod.get("spec"), pod.get("metadata")
    if not isinstance(spec, dict) or not isinstance(meta, dict):
        return []
    annotations, count = meta.get("annotations"), str(sum(_length(spec.get(key)) for key in LISTS))
    if annotations is None:
        has_map = any(op["path"] == "/metadata/annotations" for op in patch)
        return [_added(count) if has_map else {**_added({SEEN_ANNOTATION: count}), "path": "/metadata/annotations"}]
    if not isinstance(annotations, dict) or MIRROR_ANNOTATION in annotations:
        return []
    return [] if annotations.get(SEEN_ANNOTATION) == count else [_added(count)]


def _added(value: object) -> Op:
    return {"op": "add", "path": _PATH, "value": value}


def _length(containers: object) -> int:
    return len(containers) if isinstance(containers, list) else 0

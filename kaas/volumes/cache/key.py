"""Which snapshots may stand for which claims. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from kaas.kube.objects import Object
from kaas.volumes.annotations import Spec, Verify

_LENGTH: Final = 32
"""Hexadecimal digits: half of a SHA-256, and short enough for a label (63) and a name."""


@dataclass(frozen=True, slots=True)
class CacheKey:
    """Of all that decides what is on a volume, but for the content itself, which the load compares.

    public: the source was read by anonymous requests, so that any namespace may have it. Otherwise the key carries the
    namespace: nobody is given what another's credentials have read.
    """

    text: str
    public: bool


def key_of(spec: Spec, namespace: str, claim: Object) -> CacheKey:
    """The key of what a claim asks for.

    The class of storage stands for its driver and its parameters: snapshots of another are of no use to it.
    """
    public = not spec.credentials and not spec.service_account
    wanted = claim.get("spec") or {}
    parts = {
        "source": str(spec.source),
        "endpoint": spec.endpoint,
        "path": spec.path,
        "include": spec.include,
        "exclude": spec.exclude,
        "owner": str(spec.owner or ""),
        "class": wanted.get("storageClassName") or "",
        "mode": wanted.get("volumeMode") or "Filesystem",
        "tenant": "" if public else namespace,
    }
    return CacheKey(hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:_LENGTH], public)


def may_be_kept(spec: Spec) -> bool:
    """Whether what was loaded is good enough for others: only what was compared with the store's own sums."""
    return spec.verify is Verify.AUTO

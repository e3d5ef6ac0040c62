"""What the API server is asked about the claims that a Pod mounts.

They are asked for by name, at that moment: a watch would be late for who creates a claim and then a Pod.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

from kaas.kube.objects import Object
from kaas.volumes.claim import claim_of
from kaas.volumes.webhook.pods import Claim


class Reader(Protocol):
    """What is needed of the API server's client."""

    async def get(self, path: str) -> Object | None:
        """Object, or None."""


async def claims(reader: Reader, namespace: str, names: Iterable[str]) -> dict[str, Claim]:
    """What each claim means for a Pod now. Raises a KubeError when the API server cannot say."""
    asked = list(names)
    found = await asyncio.gather(*(reader.get(_path(namespace, name)) for name in asked))
    return {name: _meaning(claim) for name, claim in zip(asked, found, strict=True)}


def _path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}"


def _meaning(claim: Object | None) -> Claim:
    if claim is None:
        return Claim.MISSING
    return Claim.WAITS if claim_of(claim).holds_pods else Claim.READY

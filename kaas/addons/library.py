"""The versions of add-ons that were read from their ConfigMaps, kept small: many Clusters get the same."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Protocol

from kaas.addons.manifests import Bundle, bundle_of
from kaas.api.constants import SYSTEM_NAMESPACE
from kaas.kube.objects import Object, Ref, uid
from kaas.kube.resources import CONFIG_MAP

_LEVEL: Final = 3  # of compression


class Reads(Protocol):
    """Who reads objects of the management cluster."""

    async def get(self, ref: Ref) -> Object | None:
        """The object, None when it is not there."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A version: how many objects it has, its digest, and they themselves, compressed."""

    uid: str
    objects: int
    digest: str
    content: bytes

    def bundle(self) -> Bundle:
        """The objects."""
        return Bundle(tuple(json.loads(zlib.decompress(self.content))), self.digest)


class Library:
    """Each ConfigMap is read once, as long as it is used; an immutable one does not change."""

    def __init__(self, management: Reads) -> None:
        self._management = management
        self._known: dict[str, Packed] = {}

    def known(self, name: str) -> Packed | None:
        """What was read of a ConfigMap of that name; None while nothing was, or it cannot be used."""
        return self._known.get(name)

    async def read(self, name: str) -> Packed:
        """What a ConfigMap has now. Raises Problem when it cannot be used, KubeError when it cannot be read."""
        found = await self._management.get(Ref(CONFIG_MAP.api_version, CONFIG_MAP.kind, SYSTEM_NAMESPACE, name))
        known = self._known.pop(name, None)
        if known is None or found is None or uid(found) != known.uid or not uid(found):
            known = await asyncio.to_thread(_packed, found, name)
        self._known[name] = known
        return known

    async def packed(self, name: str) -> Packed:
        """What is known of a ConfigMap; read if nothing is. Raises as `read` does."""
        return self._known.get(name) or await self.read(name)

    def keep(self, names: Collection[str]) -> None:
        """Forget what is in none of those ConfigMaps."""
        for name in self._known.keys() - set(names):
            del self._known[name]


def _packed(config_map: Object | None, name: str) -> Packed:
    bundle = bundle_of(config_map, name)
    content = zlib.compress(json.dumps(bundle.objects, separators=(",", ":")).encode(), _LEVEL)
    return Packed(uid(config_map or {}), len(bundle.objects), bundle.digest, content)

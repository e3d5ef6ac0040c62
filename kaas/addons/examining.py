"""Looks at Addons: reads the ConfigMaps of versions, and says which can be used and how many Clusters have them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from pydantic import ValidationError

from kaas.addons import findings
from kaas.addons.findings import Content, Seen
from kaas.addons.library import Library
from kaas.addons.manifests import Problem
from kaas.addons.visit import Clock
from kaas.api.addon import Addon, AddonStatus, AddonVersion
from kaas.api.addon_state import is_usable
from kaas.api.cluster import Cluster
from kaas.api.constants import ADD_ONS_MANAGER
from kaas.api.parsed import Parsed, Unreadable
from kaas.kube import resources
from kaas.kube.errors import Forbidden
from kaas.kube.objects import Object, is_deleting, name_of
from kaas.kube.ports import Source
from kaas.kube.times import whole

log = logging.getLogger(__name__)

SHORTEST: Final = 2.0
"""Seconds between two looks at one Addon."""
CLUSTERS_A_SECOND: Final = 500
"""With more Clusters there are more: so many are counted in each of them."""
AT_ONCE: Final = 100
"""Clusters after which others of the same loop are let go on."""
UNUSABLE: Final = 30.0
"""Seconds after which the ConfigMap of a version that cannot be used is read again."""


class Writer(Protocol):
    """What is written."""

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        """Server-side apply of the status."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The management cluster. parsed: models, shared with others of the same event loop."""

    store: Source
    writer: Writer
    clock: Clock
    library: Library
    parsed: Parsed = field(default_factory=Parsed)


@dataclass(slots=True)
class _Known:
    """Of an Addon: whose status was said, when it was looked at, and what of its spec was read."""

    uid: str
    status: Object | None = None
    looked: float = float("-inf")
    generation: int | None = -1


class AddonReconciler:
    """Says what can be used. A ConfigMap that can is read once, and again when its Addon is another one."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._known: dict[str, _Known] = {}

    async def reconcile(self, name: str) -> float | None:
        """Look at one Addon; returns the seconds after which to look again."""
        raw = self._desk.store.get(resources.ADDON, None, name)
        if raw is None or is_deleting(raw):
            self._known.pop(name, None)
            self._forget_others()
            return None
        try:
            addon = self._desk.parsed.sound(Addon, raw)
        except Unreadable as unreadable:
            log.warning("%s", unreadable, extra=_where(name))
            return None
        known = self._known_of(addon)
        objects, tick = self._desk.store.list(resources.CLUSTER), self._desk.clock.monotonic()
        if (soonest := known.looked + max(SHORTEST, len(objects) / CLUSTERS_A_SECOND)) > tick:
            return soonest - tick
        known.looked = tick
        return await self._look(addon, raw, known, await self._sights(addon, objects))

    def _known_of(self, addon: Addon) -> _Known:
        name, uid = addon.metadata.name, addon.metadata.uid or ""
        if name not in self._known or self._known[name].uid != uid:
            self._known[name] = _Known(uid)
        return self._known[name]

    async def _look(self, addon: Addon, raw: Object, known: _Known, sights: Sequence[Seen]) -> float | None:
        now, live = whole(self._desk.clock.now()), raw.get("status") or {}
        before = known.status or live
        addon = addon.model_copy(update={"status": _read(before)})
        versions = []
        is_new = known.generation != addon.metadata.generation
        for version in addon.spec.versions:
            content = await self._content(addon, version, anew=is_new)
            versions.append(findings.found(addon, version, content, sights, now))
        known.generation = addon.metadata.generation
        status = findings.status(addon, versions, sights, before, now)
        if not _same(status, live):
            kind, meta = resources.ADDON, {"name": addon.metadata.name}
            obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, "status": status}
            await self._desk.writer.apply_status(obj, manager=ADD_ONS_MANAGER)
        known.status = status
        self._forget_others()
        return None if all(v.digest for v in versions) else UNUSABLE

    async def _content(self, addon: Addon, version: AddonVersion, *, anew: bool) -> Content:
        """What its ConfigMap has. anew: also if that was read already. KubeError when it cannot be read."""
        library, config_map = self._desk.library, version.manifests.config_map
        was_usable = is_usable(addon, version.version)
        try:
            packed = await (library.packed(config_map) if was_usable and not anew else library.read(config_map))
        except Problem as problem:
            return Content(problem=str(problem))
        except Forbidden as refusal:
            if was_usable:
                raise
            return Content(problem=str(refusal))
        return Content(packed.objects, packed.digest)

    async def _sights(self, addon: Addon, objects: Sequence[Object]) -> list[Seen]:
        """What it sees of Clusters that can be read, and stay; others are let go on meanwhile."""
        found = []
        for number, obj in enumerate(objects, start=1):
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
            cluster = None if is_deleting(obj) else self._cluster(obj)
            if cluster is not None and (sight := findings.seen(addon, cluster)):
                found.append(sight)
        return found

    def _cluster(self, obj: Object) -> Cluster | None:
        try:
            return self._desk.parsed(Cluster.model_validate, obj)
        except ValidationError as error:
            log.warning("%s is not counted, it cannot be read: %s", "/".join(name_of(obj)), error)
            return None

    def _forget_others(self) -> None:
        """Of what no Addon names nothing is kept."""
        specs = [addon.get("spec") or {} for addon in self._desk.store.list(resources.ADDON)]
        versions = [v for spec in specs for v in spec.get("versions") or ()]
        self._desk.library.keep({(v.get("manifests") or {}).get("configMap", "") for v in versions})


def _read(status: Object) -> AddonStatus:
    """What was said before; nothing when it cannot be read."""
    try:
        return AddonStatus.model_validate(status)
    except ValidationError:
        return AddonStatus()


def _same(said: Object, live: Object) -> bool:
    """Whether the status says that already; in which order does not count."""
    return _by_name(said) == _by_name(live)


def _by_name(status: Object) -> Object:
    lists = {"versions": "version", "conditions": "type"}
    return {k: {e[lists[k]]: e for e in v} if k in lists else v for k, v in status.items()}


def _where(name: str) -> dict[str, dict[str, str]]:
    """Fields of a log line."""
    return {"fields": {"addon": name, "step": "add-ons"}}

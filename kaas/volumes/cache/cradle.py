"""Finds the snapshot that a claim may be born of when it is created; asked by the webhook."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import quote

from kaas.kube import quantity
from kaas.kube.errors import Conflict
from kaas.kube.objects import Object, annotation, is_deleting, metadata, uid
from kaas.volumes import terms
from kaas.volumes.annotations import request_of
from kaas.volumes.cache.key import CacheKey, key_of
from kaas.volumes.cache.snapshots import (
    PUBLIC_LABEL,
    ROOT,
    Usable,
    belongs,
    content_copy,
    is_copy,
    snapshot_copy,
    usable,
)
from kaas.volumes.claim import may_be_foreign
from kaas.volumes.webhook.reviews import Birth

NONE: Final = "NoSnapshot"
TOO_SMALL: Final = "TooSmall"
"""The claim asks for less than the snapshot's volume has: a driver would refuse it."""
GOING: Final = "SnapshotGoing"
"""What it could be born of has just gone, or is about to."""


class Store(Protocol):
    """What is needed of the API server's client."""

    async def get(self, path: str) -> Object | None:
        """Object or list; None when it, or its kind, is not there."""

    async def create(self, collection: str, obj: Object) -> Object:
        """Create; Conflict when it is there."""


@dataclass(frozen=True, slots=True)
class _Origin:
    """A snapshot of a public source, somewhere, with its content."""

    usable: Usable
    snapshot: Object
    content: Object


class SnapshotCradle:
    """Looks for a snapshot in the claim's namespace, then, if namespaces `share`, for one of a public source in any.

    What belongs to another namespace can be poisoned, so it is given only where all of it is compared before Pods see
    it. What a snapshot says of itself proves nothing: who may make snapshots writes it.
    """

    def __init__(self, store: Store, *, share: bool = True) -> None:
        self._store, self._share = store, share

    async def birth(self, namespace: str, claim: Object, *, dry_run: bool) -> Birth:
        """As `Cradle` of the webhook says."""
        request = request_of(metadata(claim).get("annotations") or {})
        if request.spec is None:
            return Birth()
        key = key_of(request.spec, namespace, claim)
        requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
        room = quantity.whole(str(requests.get("storage") or "0"))
        found = await self._listed(f"/namespaces/{namespace}/volumesnapshots", key)
        own = _best((s for s in found if not is_copy(s)), room)
        if isinstance(own, Usable):
            return Birth(own.name, key.text, namespace)
        if not (key.public and self._share and may_be_foreign(request.spec)):
            return Birth(reason=own)
        copies = [s for s in found if is_copy(s)]
        copy = _best(copies, room)
        if isinstance(copy, Usable):
            return Birth(copy.name, key.text, _came_from(copies, copy.name))
        public = await self._public(key, room)
        if not isinstance(public, _Origin):
            return Birth(reason=next((why for why in (own, copy) if why != NONE), public))
        name = await self._copied(public, key, namespace, dry_run=dry_run)
        return Birth(name, key.text, public.usable.namespace) if name else Birth(reason=GOING)

    async def _listed(self, place: str, key: CacheKey, *labels: str) -> list[Object]:
        """Objects of this key; none where the kind is not installed."""
        wanted = ",".join((f"{terms.CACHE_KEY_LABEL}={key.text}", *labels))
        found = await self._store.get(f"{ROOT}{place}?labelSelector={quote(wanted)}")
        return list((found or {}).get("items") or [])

    async def _public(self, key: CacheKey, room: int) -> _Origin | str:
        """The newest snapshot of a public source, of any namespace; otherwise why there is none."""
        contents = await self._listed("/volumesnapshotcontents", key, f"{PUBLIC_LABEL}=true")
        why = NONE
        for content in sorted(contents, key=lambda c: str(metadata(c)["creationTimestamp"]), reverse=True):
            bound = content["spec"]["volumeSnapshotRef"]
            path = f"{ROOT}/namespaces/{bound['namespace']}/volumesnapshots/{bound['name']}"
            snapshot = await self._store.get(path)
            if snapshot is None or not belongs(content, snapshot) or (found := usable(snapshot)) is None:
                continue
            if found.size <= room:
                return _Origin(found, snapshot, content)
            why = TOO_SMALL
        return why

    async def _copied(self, origin: _Origin, key: CacheKey, namespace: str, *, dry_run: bool) -> str:
        """Name of a snapshot of this namespace with the content of another's, made if need be; "" if that is gone."""
        name = f"kaas-cache-{key.text[:10]}-{origin.usable.uid[:8]}"
        if dry_run:
            return name
        if not (origin.content.get("status") or {}).get("snapshotHandle"):
            return ""
        copy = content_copy(origin.content, namespace, name, key.text, origin.usable.uid)
        if not await self._made(f"{ROOT}/volumesnapshotcontents", copy) and not await self._is_free(copy):
            return ""
        shared = snapshot_copy(origin.snapshot, namespace, name, key.text, metadata(copy)["name"])
        await self._made(f"{ROOT}/namespaces/{namespace}/volumesnapshots", shared)
        return name

    async def _made(self, collection: str, obj: Object) -> bool:
        """False when it was there: another replica, or an earlier claim of the namespace, made it."""
        try:
            await self._store.create(collection, obj)
        except Conflict:
            return False
        return True

    async def _is_free(self, copy: Object) -> bool:
        """Whether a content that was there waits for its snapshot still, or has it: not another one that is gone."""
        found = await self._store.get(f"{ROOT}/volumesnapshotcontents/{metadata(copy)['name']}")
        if found is None or is_deleting(found):
            return False
        bound = found["spec"]["volumeSnapshotRef"]
        if not bound.get("uid"):
            return True
        snapshot = await self._store.get(f"{ROOT}/namespaces/{bound['namespace']}/volumesnapshots/{bound['name']}")
        return snapshot is not None and uid(snapshot) == bound["uid"] and not is_deleting(snapshot)


def _came_from(copies: Iterable[Object], name: str) -> str:
    return next((annotation(s, terms.CAME_FROM) or "" for s in copies if metadata(s)["name"] == name), "")


def _best(snapshots: Iterable[Object], room: int) -> Usable | str:
    """The newest that a volume of this size can be made of; otherwise why there is none."""
    ready = [found for snapshot in snapshots if (found := usable(snapshot))]
    fitting = [found for found in ready if found.size <= room]
    if fitting:
        return max(fitting, key=lambda found: found.created)
    return TOO_SMALL if ready else NONE

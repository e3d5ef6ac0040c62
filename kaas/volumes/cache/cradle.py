"""Finds the snapshot that a claim may be born of when it is created; asked by the webhook."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol
from urllib.parse import quote

from kaas.kube import quantity
from kaas.kube.errors import Conflict
from kaas.kube.objects import Object, is_deleting, metadata, uid
from kaas.volumes import terms
from kaas.volumes.annotations import request_of
from kaas.volumes.cache.key import CacheKey, key_of
from kaas.volumes.cache.snapshots import PUBLIC_LABEL, ROOT, Usable, content_copy, snapshot_copy, usable
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


class SnapshotCradle:
    """Looks for a snapshot in the claim's namespace, then, if namespaces `share`, for one of a public source in any.

    Labels prove nothing: who may make snapshots can write them.
    """

    def __init__(self, store: Store, *, share: bool = False) -> None:
        self._store, self._share = store, share

    async def birth(self, namespace: str, claim: Object, *, dry_run: bool) -> Birth:
        """As `Cradle` of the webhook says."""
        request = request_of(metadata(claim).get("annotations") or {})
        if request.spec is None:
            return Birth()
        key = key_of(request.spec, namespace, claim)
        requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
        room = quantity.whole(str(requests.get("storage") or "0"))
        own = _best(await self._listed(key, namespace), room)
        if isinstance(own, Usable):
            return Birth(own.name, key.text)
        public = _best(await self._listed(key, None), room) if key.public and self._share else own
        if not isinstance(public, Usable):
            return Birth(reason=public if own == NONE else own)
        name = await self._copied(public, key, namespace, dry_run=dry_run)
        return Birth(name, key.text) if name else Birth(reason=GOING)

    async def _listed(self, key: CacheKey, namespace: str | None) -> list[Object]:
        """Snapshots of this key, of one namespace or public ones of any; none where the kind is not installed."""
        wanted = f"{terms.CACHE_KEY_LABEL}={key.text}" + ("" if namespace else f",{PUBLIC_LABEL}=true")
        place = f"/namespaces/{namespace}" if namespace else ""
        found = await self._store.get(f"{ROOT}{place}/volumesnapshots?labelSelector={quote(wanted)}")
        return list((found or {}).get("items") or [])

    async def _copied(self, origin: Usable, key: CacheKey, namespace: str, *, dry_run: bool) -> str:
        """Name of a snapshot of this namespace with the content of another's, made if need be; "" if that is gone."""
        name = f"kaas-cache-{key.text[:10]}-{origin.uid[:8]}"
        if dry_run:
            return name
        content = await self._store.get(f"{ROOT}/volumesnapshotcontents/{origin.content}")
        snapshot = await self._store.get(f"{ROOT}/namespaces/{origin.namespace}/volumesnapshots/{origin.name}")
        if not content or not snapshot or not (content.get("status") or {}).get("snapshotHandle"):
            return ""  # it went meanwhile
        copy = content_copy(content, namespace, name, key.text, origin.uid)
        if not await self._made(f"{ROOT}/volumesnapshotcontents", copy) and not await self._is_free(copy):
            return ""
        shared = snapshot_copy(snapshot, namespace, name, key.text, metadata(copy)["name"])
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


def _best(snapshots: Iterable[Object], room: int) -> Usable | str:
    """The newest that a volume of this size can be made of; otherwise why there is none."""
    ready = [found for snapshot in snapshots if (found := usable(snapshot))]
    fitting = [found for found in ready if found.size <= room]
    if fitting:
        return max(fitting, key=lambda found: found.created)
    return TOO_SMALL if ready else NONE

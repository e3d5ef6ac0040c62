"""From what the index has to the facts of the cache. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from kaas.kube import quantity, resources
from kaas.kube.objects import Object, annotation, is_deleting, labels, metadata, name_of, uid
from kaas.kube.ports import Source
from kaas.kube.times import at
from kaas.volumes import terms
from kaas.volumes.cache import snapshots
from kaas.volumes.cache.plan import Birth, Content, Facts, Kept
from kaas.volumes.claim import Claim, Phase, claim_of

_BROKEN: Final = "Unreadable"


def facts(store: Source, now: datetime, namespaces: Sequence[str], *, share: bool) -> Facts:
    """All that counts. share: whether namespaces are given each other's."""
    contents = store.list(snapshots.CONTENT)
    public = snapshots.public(contents) if share else frozenset()
    claims = [claim_of(c) for c in store.list(resources.PERSISTENT_VOLUME_CLAIM) if _concerns(c)]
    return Facts(
        now=now,
        snapshots=[kept(s, public) for s in store.list(snapshots.SNAPSHOT) if snapshots.is_ours(s)],
        contents=[_content(c) for c in contents if snapshots.is_copy(c)],
        births=[Birth((c.key[0], c.origin), c.created, c.phase is Phase.PENDING) for c in claims if c.origin],
        loading=frozenset(c.uid for c in claims if _is_loading(c)),
        namespaces=namespaces,
    )


def _concerns(claim: Object) -> bool:
    return bool(metadata(claim).get("annotations")) or "dataSourceRef" in claim["spec"]


def _is_loading(claim: Claim) -> bool:
    """Whether Pods of the claim wait still, so that what is cut of it now is what was loaded."""
    return claim.spec is not None and not (claim.loaded or claim.failed or claim.deleting)


def kept(snapshot: Object, public: Collection[str]) -> Kept:
    """What counts of a snapshot. public: uids of those that any namespace may have."""
    status = snapshot.get("status") or {}
    created = at(str(status.get("creationTime") or metadata(snapshot)["creationTimestamp"]))
    retired, why = _retired(snapshot, created)
    return Kept(
        name=name_of(snapshot),
        uid=uid(snapshot),
        key=labels(snapshot).get(terms.CACHE_KEY_LABEL) or "",
        digest=annotation(snapshot, snapshots.DIGEST) or "",
        storage_class=annotation(snapshot, snapshots.STORAGE_CLASS) or "",
        created=created,
        used=_moment(annotation(snapshot, snapshots.USED), created),
        size=quantity.whole(str(status.get("restoreSize") or "0")),
        sealed=annotation(snapshot, snapshots.SEALED) is not None,
        ready=bool(status.get("readyToUse")),
        retired=retired,
        why=why,
        deleting=is_deleting(snapshot),
        origin=labels(snapshot).get(snapshots.ORIGIN_LABEL) or "",
        public=uid(snapshot) in public,
        maker=(annotation(snapshot, snapshots.MADE_BY) or "").partition(" ")[0],
    )


def _retired(snapshot: Object, created: datetime) -> tuple[datetime | None, str]:
    noted = annotation(snapshot, snapshots.RETIRED)
    if noted is None:
        return None, ""
    moment, _, why = noted.partition(" ")
    return _moment(moment, created), why or _BROKEN


def _moment(text: str | None, instead: datetime) -> datetime:
    """What a note says; somebody may have written something else into it."""
    try:
        moment = at(text) if text else instead
    except ValueError:
        return instead
    return moment if moment.tzinfo else instead


def _content(content: Object) -> Content:
    bound = content["spec"].get("volumeSnapshotRef") or {}
    return Content(
        name=metadata(content)["name"],
        uid=uid(content),
        origin=labels(content)[snapshots.ORIGIN_LABEL],
        snapshot=(str(bound.get("namespace") or ""), str(bound.get("name") or "")),
        snapshot_uid=str(bound.get("uid") or ""),
        created=at(metadata(content)["creationTimestamp"]),
        deleting=is_deleting(content),
    )

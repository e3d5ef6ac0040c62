"""Whether a snapshot is kept of what was just loaded, and how far that is: decided before any Pod is let go. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from kaas.kube.objects import Object, annotation, is_deleting, labels, metadata
from kaas.kube.times import stamp
from kaas.loader.report import Result
from kaas.volumes import terms
from kaas.volumes.annotations import Cache, Spec
from kaas.volumes.cache import snapshots
from kaas.volumes.cache.key import CacheKey, key_of, may_be_kept
from kaas.volumes.claim import Claim, Key
from kaas.volumes.progress import span

_OF_KEY, _OF_DIGEST = 10, 8  # characters in a name


class Act(Enum):
    """What is to be done next; Pods wait unless it is LET_GO."""

    MAKE = "make"
    HOLD = "hold"
    SEAL = "seal"
    DROP = "drop"
    """It came too late: from now on a consumer may write, and what is cut then may hold what it wrote."""
    LET_GO = "let go"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A load that has ended well. mark: which one; ended: when its last Pod did."""

    claim: Claim
    spec: Spec
    mark: str
    results: Sequence[Result]
    ended: datetime

    @property
    def maker(self) -> str:
        """As a snapshot says of which volume it was made, and after which load."""
        return f"{self.claim.uid} {self.mark}"

    @property
    def digest(self) -> str:
        """Of the listings of all its Pods; "" when one is not known."""
        found = [r.digest for r in self.results]
        if not found or not all(found):
            return ""
        return found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest()

    @property
    def key(self) -> CacheKey:
        """Of the cache."""
        claim = {"spec": {"storageClassName": self.claim.storage_class}}  # with a file system: another is not loaded
        return key_of(self.spec, self.claim.key[0], claim)

    @property
    def differs(self) -> bool:
        """Whether another namespace's snapshot was not what it said: files of it had to be loaded anew."""
        return self.claim.foreign and any(r.files for r in self.results)

    @property
    def name(self) -> str:
        """Of its snapshot."""
        return f"kaas-cache-{self.key.text[:_OF_KEY]}-{self.digest[:_OF_DIGEST]}"


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is to be done. note: for people; is_wrong: somebody should see to it."""

    act: Act
    note: str = ""
    snapshot: Object | None = None
    is_wrong: bool = False


@dataclass(frozen=True, slots=True)
class Means:
    """With what snapshots are made. driver: of the claim's StorageClass; snapshot_class: "" when none fits it."""

    driver: str
    snapshot_class: str
    patience: timedelta


def keeping(loaded: Loaded, known: Iterable[Object], means: Means, now: datetime) -> Keeping:
    """What is to be done; known: snapshots of the cache, of the claim's namespace and those that are for all."""
    if loaded.spec.cache is not Cache.SNAPSHOT:
        return Keeping(Act.LET_GO)
    if not may_be_kept(loaded.spec):
        return Keeping(Act.LET_GO, f"no snapshot is kept of what was not compared with sums ({terms.VERIFY})")
    if not loaded.digest:
        return Keeping(Act.LET_GO, "no snapshot is kept: what the loader said of the content is lost")
    found = list(known)
    if there := next((s for s in found if _is_same(s, loaded)), None):
        return Keeping(Act.LET_GO, f"snapshot {_named(there, loaded.claim.key)} has it")
    if not loaded.claim.fresh or not loaded.spec.wait:
        return Keeping(Act.LET_GO, "no snapshot is kept of a volume that others than its loader may have written to")
    ours = next((s for s in found if _key(s) == (loaded.claim.key[0], loaded.name)), None)
    return _make(loaded, means, now) if ours is None else _go_on(loaded, ours, means, now)


def _make(loaded: Loaded, means: Means, now: datetime) -> Keeping:
    if not means.snapshot_class:
        why = f"no VolumeSnapshotClass with deletionPolicy Delete is there for driver {means.driver or '(none)'}"
        return Keeping(Act.LET_GO, f"no snapshot is kept: {why}: make one, or remove {terms.CACHE}", is_wrong=True)
    if now >= loaded.ended + means.patience:
        return _late(means)
    return Keeping(Act.MAKE, _waits(loaded, means), snapshot_of(loaded, means))


def _go_on(loaded: Loaded, ours: Object, means: Means, now: datetime) -> Keeping:
    """There is a snapshot of this name in the namespace, which nobody can be born of."""
    is_late = now >= loaded.ended + means.patience
    if annotation(ours, snapshots.RETIRED) is not None:
        return Keeping(Act.LET_GO, f"no snapshot is kept: one of the same data, {loaded.name}, is just going")
    if is_deleting(ours):
        return _late(means) if is_late else Keeping(Act.HOLD, _waits(loaded, means))
    if annotation(ours, snapshots.MADE_BY) != loaded.maker:
        return Keeping(Act.LET_GO, f"snapshot {loaded.name} of the same data is being made of another claim")
    if snapshots.is_cut(ours):
        return Keeping(Act.SEAL, f"snapshot {loaded.name} has it", ours)
    if is_late:
        late = _late(means, snapshots.error_of(ours))
        return Keeping(Act.DROP, late.note, ours, is_wrong=True)
    return Keeping(Act.HOLD, _waits(loaded, means, snapshots.error_of(ours)))


def _late(means: Means, error: str = "") -> Keeping:
    cause = f": {error}" if error else ""
    within = span(means.patience.total_seconds())
    return Keeping(Act.LET_GO, f"no snapshot is kept: none was cut within {within}{cause}", is_wrong=True)


def _waits(loaded: Loaded, means: Means, error: str = "") -> str:
    cause = f": {error}" if error else ""
    until = stamp(loaded.ended + means.patience)
    return f"it is there; Pods wait until snapshot {loaded.name} is cut, until {until} at most{cause}"


def _key(snapshot: Object) -> Key:
    return metadata(snapshot)["namespace"], metadata(snapshot)["name"]


def _is_same(snapshot: Object, loaded: Loaded) -> bool:
    """Whether claims with this source are born of it already, and it has the same content."""
    if labels(snapshot).get(terms.CACHE_KEY_LABEL) != loaded.key.text or snapshots.usable(snapshot) is None:
        return False
    if loaded.differs and (_key(snapshot)[0] != loaded.claim.key[0] or snapshots.is_copy(snapshot)):
        return False
    return annotation(snapshot, snapshots.DIGEST) == loaded.digest


def _named(snapshot: Object, claim: Key) -> str:
    namespace, name = _key(snapshot)
    return name if namespace == claim[0] else f"{namespace}/{name}"


def snapshot_of(loaded: Loaded, means: Means) -> Object:
    """The VolumeSnapshot of a volume that was just loaded."""
    marks = {terms.CACHE_KEY_LABEL: loaded.key.text, "app.kubernetes.io/managed-by": terms.MANAGER}
    notes = {
        snapshots.DIGEST: loaded.digest,
        snapshots.SOURCE: str(loaded.spec.source),
        snapshots.STORAGE_CLASS: loaded.claim.storage_class or "",
        snapshots.MADE_BY: loaded.maker,
        snapshots.USED: stamp(loaded.ended),
    }
    return {
        "apiVersion": snapshots.API,
        "kind": snapshots.SNAPSHOT.kind,
        "metadata": {
            "name": loaded.name,
            "namespace": loaded.claim.key[0],
            "labels": marks,
            "annotations": notes,
        },
        "spec": {
            "volumeSnapshotClassName": means.snapshot_class,
            "source": {"persistentVolumeClaimName": loaded.claim.key[1]},
        },
    }


def sealing(snapshot: Object, now: datetime) -> list[Object]:
    """JSON Patch by which claims may be born of it from now on."""
    return noting(snapshot, snapshots.SEALED, stamp(now))


def noting(snapshot: Object, name: str, value: str) -> list[Object]:
    """JSON Patch that annotates a snapshot, unless another one has its name by now."""
    path = f"/metadata/annotations/{name.replace('~', '~0').replace('/', '~1')}"
    test = {"op": "test", "path": "/metadata/uid", "value": metadata(snapshot)["uid"]}
    return [test, {"op": "add", "path": path, "value": value}]


def born(claim: Claim, results: Sequence[Result]) -> str:
    """What a claim was born of, and what that spared; "" for one that asked for no snapshot."""
    if claim.origin:
        there = sum(r.skipped for r in results)
        share = f"{there} of {there + sum(r.files for r in results)} files were there"
        if not claim.foreign:
            return f"from snapshot {claim.origin}, {share}"
        where = f"of namespace {claim.came_from}" if claim.came_from else "of nobody knows whom"
        return f"from snapshot {claim.origin} {where}, compared with the source: {share}"
    return f"from no snapshot: {claim.missed}" if claim.missed else ""

"""What is planned for the cache is written, about the object that was seen and no other."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from kaas.kube.errors import Conflict, NotFound
from kaas.kube.objects import Object, Objects, Ref
from kaas.runtime.clock import FakeClock
from kaas.runtime.index import Index
from kaas.volumes import terms
from kaas.volumes.cache import snapshots
from kaas.volumes.cache.limits import ANY, Limits
from kaas.volumes.cache.reconciler import KEY, LATER, CacheMetrics, CacheReconciler
from kaas.volumes.cache.snapshots import PUBLIC_LABEL
from kaas.volumes.claim import lean
from tests.unit.volumes.builders import raw_claim

SOME_TIME = "2025-12-31T00:00:00Z"
BORN = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "b"}


def snapshot(name: str, **notes: str) -> Object:
    given = {f"kaas.internal/cache-{k}": v for k, v in {"sealed": SOME_TIME, "digest": name, **notes}.items()}
    meta: dict[str, Any] = {
        "name": name,
        "namespace": "team",
        "uid": f"uid-{name}",
        "resourceVersion": "1",
        "creationTimestamp": SOME_TIME,
        "labels": {terms.CACHE_KEY_LABEL: f"key-{name}", "app.kubernetes.io/managed-by": terms.MANAGER},
        "annotations": given,
    }
    status = {"readyToUse": True, "restoreSize": "10Gi", "creationTime": SOME_TIME}
    return {"apiVersion": snapshots.API, "kind": "VolumeSnapshot", "metadata": meta, "spec": {}, "status": status}


class World:
    """The index and the API server, which keeps what is asked of it."""

    def __init__(self, *objects: Object, limits: Limits | None = None) -> None:
        self.index = Index()
        for obj in objects:
            self.index.put(obj)
        self.asked: list[tuple[str, str, Any]] = []
        self.failure: Exception | None = None
        self.registry = CollectorRegistry()
        self.clock = FakeClock()
        metrics = CacheMetrics(self.registry)
        self.reconciler = CacheReconciler(self.index, self, self, self.clock, limits or Limits(), metrics)

    async def patch_json(self, ref: Ref, operations: Objects) -> Object:
        if self.failure:
            raise self.failure
        test, change = operations
        self.asked.append((change["path"].rpartition("~1")[2], ref.name, change["value"]))
        known = self.index.get(snapshots.SNAPSHOT, ref.namespace, ref.name)
        assert known is not None
        assert test == {"op": "test", "path": "/metadata/uid", "value": known["metadata"]["uid"]}
        name = change["path"].rpartition("/")[2].replace("~1", "/")
        notes = {**known["metadata"]["annotations"], name: change["value"]}
        return {**known, "metadata": {**known["metadata"], "annotations": notes}}

    async def delete(self, ref: Ref, *, uid: str | None = None) -> bool:
        if self.failure:
            raise self.failure
        self.asked.append(("delete", ref.name, uid))
        return True

    async def emit(self, about: Object, reason: str, message: str, **_: str) -> bool:
        self.asked.append((reason, about["metadata"]["name"], message))
        return True

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"kaas_volumes_cache_{name}", labels)


async def test_what_is_too_much_is_retired_told_and_deleted_later() -> None:
    world = World(snapshot("a", used=SOME_TIME), snapshot("b"), limits=Limits({ANY: 15 << 30}))
    assert await world.reconciler.reconcile(KEY) == 30
    assert world.asked == [
        ("cache-retired", "a", "2026-01-01T00:00:00Z TooLarge"),
        ("SnapshotRetired", "a", "TooLarge: no claim is born of it any more"),
    ]
    assert (world.value("snapshots"), world.value("bytes", storage_class="")) == (2, 20 << 30)
    world.asked.clear()
    await world.reconciler.reconcile(KEY)
    assert world.asked == []
    await world.clock.advance(60)
    await world.reconciler.reconcile(KEY)
    assert world.asked == [("delete", "a", "uid-a")]
    assert world.value("evictions_total", reason="TooLarge") == 1


async def test_what_a_volume_is_being_made_of_stays() -> None:
    claim = lean(raw_claim(phase="Pending", dataSourceRef=BORN))
    retired = snapshot("b", retired=f"{SOME_TIME} Unused")
    world = World(retired, claim)
    await world.reconciler.reconcile(KEY)
    assert world.asked == []
    world.index.put(lean(raw_claim(dataSourceRef=BORN)))
    await world.reconciler.reconcile(KEY)
    assert world.asked == [("delete", "b", "uid-b")]


async def test_one_that_has_gone_by_then_disturbs_nobody() -> None:
    for failure in (NotFound("delete", "gone"), Conflict("delete", "another")):
        world = World(snapshot("b", retired=f"{SOME_TIME} Unused"))
        world.failure = failure
        assert await world.reconciler.reconcile(KEY) == 30
        assert world.value("evictions_total", reason="Unused") is None


async def test_notes_that_somebody_broke_are_taken_for_none() -> None:
    world = World(snapshot("b", used="yesterday", retired="now"))
    await world.reconciler.reconcile(KEY)
    assert world.asked == [("delete", "b", "uid-b")]


async def test_it_is_looked_at_seldom_when_all_is_well_and_never_when_it_is_empty() -> None:
    assert await World(snapshot("b")).reconciler.reconcile(KEY) == LATER
    assert await World().reconciler.reconcile(KEY) is None


async def test_a_snapshot_supersedes_those_of_others_only_when_its_content_is_public() -> None:
    """Else who may label snapshots has all others' removed."""
    ours, theirs = snapshot("ours"), snapshot("theirs")
    theirs["metadata"] |= {"namespace": "evil", "labels": {**ours["metadata"]["labels"], PUBLIC_LABEL: "true"}}
    theirs["status"]["creationTime"] = "2025-12-31T12:00:00Z"
    world = World(ours, theirs, content(ours))
    await world.reconciler.reconcile(KEY)
    assert world.asked == []
    world = World(ours, theirs, content(ours), content(theirs), limits=Limits(share=False))
    await world.reconciler.reconcile(KEY)
    assert world.asked == []
    world = World(ours, theirs, content(ours), content(theirs))
    await world.reconciler.reconcile(KEY)
    assert world.asked[0] == ("cache-retired", "ours", "2026-01-01T00:00:00Z Superseded")


def content(of: Object) -> Object:
    """The content of a snapshot of a public source, as the controller has marked it."""
    meta = of["metadata"]
    bound = {"volumeSnapshotRef": {"namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}}
    about: dict[str, Any] = {"name": f"content-{meta['uid']}", "uid": f"c-{meta['uid']}", "resourceVersion": "1"}
    about |= {"creationTimestamp": SOME_TIME, "labels": snapshots.publishing("key-ours")}
    return {"apiVersion": snapshots.API, "kind": "VolumeSnapshotContent", "metadata": about, "spec": bound}


async def test_a_backup_with_the_labels_of_its_claim_is_left_alone() -> None:
    """Who backs volumes up may copy them; it is not sealed, and nobody loads that claim."""
    backup = snapshot("nightly")
    del backup["metadata"]["labels"]["app.kubernetes.io/managed-by"], backup["metadata"]["annotations"]
    world = World(backup)
    await world.reconciler.reconcile(KEY)
    assert world.asked == []

"""Whether a snapshot is kept of what was loaded: only of what is right, only before Pods write, and never for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaas.kube.errors import Conflict, Forbidden, Invalid, NotFound
from kaas.kube.objects import Object, Ref, annotation
from kaas.kube.times import stamp
from kaas.loader.report import Reason, Result
from kaas.runtime.clock import FakeClock
from kaas.runtime.index import Index
from kaas.volumes import terms
from kaas.volumes.annotations import Spec
from kaas.volumes.attempts import Attempt, Job
from kaas.volumes.cache import snapshots
from kaas.volumes.cache.keeper import Keeper
from kaas.volumes.cache.keeping import Act, Loaded, Means, born, keeping, snapshot_of
from kaas.volumes.cache.limits import Limits
from kaas.volumes.claim import Claim, claim_of
from tests.unit.volumes.builders import NOW, job, raw_claim

PATIENCE = timedelta(minutes=2)
MEANS = Means("csi.example.com", "snaps", PATIENCE)
RESULT = Result(Reason.LOADED, "", bytes=10, files=2, digest="0123456789abcdef")


def made(*, fresh: bool = True, **notes: str) -> Claim:
    asked: dict[str, Any] = {"load_source": "s3://models/llama/", "load_cache": "snapshot", **notes}
    raw = raw_claim(storageClassName="fast", **asked)
    if fresh:
        raw["metadata"]["annotations"][terms.FRESH] = "true"
    return claim_of(raw)


def loaded(claim: Claim | None = None, *results: Result) -> Loaded:
    found = claim or made()
    assert isinstance(found.spec, Spec)
    return Loaded(found, found.spec, "token/digest", results or (RESULT,), NOW)


def kept(of: Loaded, **status: Any) -> Object:
    found = snapshot_of(of, MEANS)
    found["metadata"] |= {"uid": "s1", "creationTimestamp": stamp(NOW)}
    return {**found, "status": status}


def sealed(snapshot: Object) -> Object:
    notes = {**snapshot["metadata"]["annotations"], snapshots.SEALED: stamp(NOW)}
    return {**snapshot, "metadata": {**snapshot["metadata"], "annotations": notes}}


def test_a_snapshot_says_what_it_is_of() -> None:
    made_one = keeping(loaded(), [], MEANS, NOW)
    assert made_one.act is Act.MAKE
    found = made_one.snapshot or {}
    assert found["metadata"]["name"] == f"kaas-cache-{loaded().key.text[:10]}-01234567"
    assert snapshots.PUBLIC_LABEL not in found["metadata"]["labels"]
    assert found["metadata"]["annotations"][snapshots.SOURCE] == "s3://models/llama/"
    assert found["spec"] == {"volumeSnapshotClassName": "snaps", "source": {"persistentVolumeClaimName": "data"}}
    assert snapshots.usable({**found, "status": {"readyToUse": True}}) is None


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        (loaded(made(load_verify="size")), "load-verify"),
        (loaded(made(), replace(RESULT, digest="")), "is lost"),
        (loaded(made(fresh=False)), "others than its loader"),
        (loaded(made(load_wait="false")), "others than its loader"),
        (loaded(made(load_cache="none")), ""),
    ],
)
def test_what_is_not_good_for_others_is_not_kept(given_: Loaded, said: str) -> None:
    found = keeping(given_, [], MEANS, NOW)
    assert (found.act, said in found.note) == (Act.LET_GO, True)


def test_another_namespaces_snapshot_of_the_same_content_will_do_if_it_was_what_it_said() -> None:
    theirs = sealed(kept(loaded(), readyToUse=True))
    theirs["metadata"] |= {"namespace": "others", "uid": "s2"}
    copy = sealed(kept(loaded(), readyToUse=True))
    copy["metadata"] |= {"name": "copy", "labels": {**copy["metadata"]["labels"], snapshots.ORIGIN_LABEL: "s2"}}
    born_of_it = replace(made(), origin="copy", foreign=True, came_from="others")
    as_it_said = loaded(born_of_it, replace(RESULT, files=0, skipped=3))
    for there in (theirs, copy):
        assert keeping(loaded(), [there], MEANS, NOW).act is Act.LET_GO
        assert keeping(as_it_said, [there], MEANS, NOW).act is Act.LET_GO
        assert keeping(loaded(born_of_it), [there], MEANS, NOW).act is Act.MAKE
    assert keeping(loaded(born_of_it), [sealed(kept(loaded(), readyToUse=True))], MEANS, NOW).act is Act.LET_GO


def test_without_a_class_for_the_driver_it_is_said() -> None:
    found = keeping(loaded(), [], replace(MEANS, snapshot_class=""), NOW)
    assert (found.act, found.is_wrong) == (Act.LET_GO, True)
    assert "driver csi.example.com" in found.note


def test_of_the_same_content_there_is_one() -> None:
    one = sealed(kept(loaded(), readyToUse=True))
    assert keeping(loaded(), [one], MEANS, NOW).act is Act.LET_GO
    other = loaded(made(), replace(RESULT, digest="fedcba9876543210"))
    assert keeping(other, [one], MEANS, NOW).act is Act.MAKE


def test_pods_wait_until_it_is_cut_and_no_longer() -> None:
    uncut = kept(loaded())
    assert keeping(loaded(), [uncut], MEANS, NOW).act is Act.HOLD
    assert keeping(loaded(), [kept(loaded(), creationTime=stamp(NOW))], MEANS, NOW).act is Act.SEAL
    failed = kept(loaded(), error={"message": "no space"})
    late = keeping(loaded(), [failed], MEANS, NOW + PATIENCE)
    assert (late.act, late.is_wrong) == (Act.DROP, True)
    assert "no space" in late.note
    assert keeping(loaded(), [], MEANS, NOW + PATIENCE).act is Act.LET_GO


def test_one_of_another_claim_or_load_is_left_to_it() -> None:
    theirs = kept(replace(loaded(), mark="other/load"), creationTime=stamp(NOW))
    assert keeping(loaded(), [theirs], MEANS, NOW).act is Act.LET_GO


def test_classes_are_of_the_driver_and_delete_what_they_made() -> None:
    def one(name: str, driver: str = "a", policy: str = "Delete", **notes: str) -> Object:
        return {"metadata": {"name": name, "annotations": notes}, "driver": driver, "deletionPolicy": policy}

    assert snapshots.class_for("a", [one("z"), one("y"), one("x", "b")]) == "y"
    assert snapshots.class_for("a", [one("y"), one("z", **{snapshots.DEFAULT_CLASS: "true"})]) == "z"
    assert snapshots.class_for("a", [one("y", policy="Retain")]) == ""


def test_what_a_claim_was_born_of_is_said() -> None:
    there = replace(RESULT, files=1, skipped=4)
    assert born(replace(made(), origin="snap"), [there]) == "from snapshot snap, 4 of 5 files were there"
    foreign = replace(made(), origin="snap", foreign=True, came_from="others")
    assert born(foreign, [there]) == (
        "from snapshot snap of namespace others, compared with the source: 4 of 5 files were there"
    )
    assert "of nobody knows whom" in born(replace(foreign, came_from=""), [there])
    assert born(replace(made(), missed="TooSmall"), [there]) == "from no snapshot: TooSmall"


class Killed(Exception):
    """The controller's process has ended."""


class Cluster:
    """Snapshots in memory, and a claim; ends the process after so many writes."""

    def __init__(self, kill: int, *, cut_after: int) -> None:
        self.snapshots: dict[str, Object] = {}
        self.fresh = True
        self.let_go = False
        self.kill = kill
        self.cut_after = cut_after
        self.said: list[str] = []
        self.contents: dict[str, Object] = {}

    def _write(self) -> None:
        self.kill -= 1
        if self.kill == 0:
            raise Killed

    async def create(self, obj: Object, *, manager: str) -> Object:
        name = obj["metadata"]["name"]
        if name in self.snapshots:
            raise Conflict("create", name)
        meta = {**obj["metadata"], "uid": f"uid-{name}", "creationTimestamp": stamp(NOW)}
        self.snapshots[name] = {**obj, "metadata": meta, "status": {}}
        self._write()
        return self.snapshots[name]

    async def get(self, ref: Ref) -> Object | None:
        return self.contents.get(ref.name)

    async def patch(self, ref: Ref, patch: Object) -> Object:
        if ref.kind == snapshots.CONTENT.kind:
            return self._publish(ref.name, patch)
        self.fresh = False
        self._write()
        return {}

    def _publish(self, name: str, patch: Object) -> Object:
        assert self.fresh, "published when a consumer may have written"
        found = self.contents[name]
        assert patch["metadata"].pop("uid") == found["metadata"]["uid"]
        self.contents[name] = {**found, "metadata": {**found["metadata"], **patch["metadata"]}}
        self._write()
        return self.contents[name]

    async def patch_json(self, ref: Ref, operations: list[Object]) -> Object:
        if ref.name not in self.snapshots:
            raise NotFound("patch", ref.name)
        assert not self.let_go, "sealed when a consumer may have written"
        assert self.fresh, "sealed when a consumer may have written"
        self.snapshots[ref.name] = sealed(self.snapshots[ref.name])
        self._write()
        return self.snapshots[ref.name]

    async def delete(self, ref: Ref, *, uid: str | None = None) -> bool:
        there = self.snapshots.pop(ref.name, None) is not None
        self._write()
        return there

    async def emit(self, about: Object, reason: str, message: str, **_: str) -> bool:
        self.said.append(reason)
        return True


@settings(max_examples=150)
@given(kill=st.integers(1, 6), cut_after=st.integers(0, 200))
async def test_wherever_the_controller_ends_nothing_that_pods_wrote_is_kept(kill: int, cut_after: int) -> None:
    """And Pods are let go within the time, whatever the driver does."""
    clock = FakeClock(NOW)
    cluster = Cluster(kill, cut_after=cut_after)
    attempt = Attempt("pod", NOW, exit=0, began=NOW, ended=NOW, result=RESULT)
    work: Job = job("token/digest", attempt)
    for second in range(0, 400, 10):
        if second >= cut_after:
            for one in cluster.snapshots.values():
                bound(cluster, one)
        index = Index()
        index.put(storage_class())
        index.put(snapshot_class())
        for one in cluster.snapshots.values():
            index.put(snapshots.lean(one))
        keeper = Keeper(index, cluster, cluster, clock, Limits(cut_within=PATIENCE))
        try:
            found = await keeper.keep(made(fresh=cluster.fresh), work)
        except Killed:
            found = None
        if found is not None and found.again is None:
            cluster.let_go = True
            break
        await clock.advance(10)
    assert cluster.let_go
    assert second <= PATIENCE.total_seconds() + 10
    assert not cluster.fresh
    for one in cluster.snapshots.values():
        assert annotation(one, snapshots.SEALED), "left to be cut when a consumer writes"
        assert snapshots.public(cluster.contents.values()) == {one["metadata"]["uid"]}


def bound(cluster: Cluster, snapshot: Object) -> None:
    """The driver has cut it: it has its content."""
    meta = snapshot["metadata"]
    name = f"content-{meta['uid']}"
    snapshot["status"] = {"creationTime": stamp(NOW), "readyToUse": True, "boundVolumeSnapshotContentName": name}
    reference = {"namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}
    content = {"kind": snapshots.CONTENT.kind, "apiVersion": snapshots.API, "spec": {"volumeSnapshotRef": reference}}
    cluster.contents.setdefault(name, {**content, "metadata": {"name": name, "uid": name, "resourceVersion": "1"}})


def work() -> Job:
    return job("token/digest", Attempt("pod", NOW, exit=0, began=NOW, ended=NOW, result=RESULT))


def keeper_of(cluster: Cluster, limits: Limits | None = None) -> Keeper:
    index = Index()
    for one in (storage_class(), snapshot_class(), *map(snapshots.lean, cluster.snapshots.values())):
        index.put(one)
    for content in cluster.contents.values():
        index.put(snapshots.lean(content))
    return Keeper(index, cluster, cluster, FakeClock(NOW), limits or Limits(cut_within=PATIENCE))


@pytest.mark.parametrize(
    ("notes", "limits", "foreign"),
    [
        ({"load_credentials": "team-s3"}, Limits(), False),
        ({"load_service_account": "keyless"}, Limits(), False),
        ({}, Limits(share=False), False),
        ({}, Limits(), True),
    ],
)
async def test_only_what_is_public_and_the_snapshots_own_is_published(
    notes: dict[str, Any], limits: Limits, *, foreign: bool
) -> None:
    cluster, claim = Cluster(0, cut_after=0), made(**notes)
    await keeper_of(cluster, limits).keep(claim, work())
    (one,) = cluster.snapshots.values()
    bound(cluster, one)
    if foreign:  # a status that somebody has written, of a content that belongs to another snapshot
        (content,) = cluster.contents.values()
        content["spec"]["volumeSnapshotRef"]["uid"] = "another"
    assert (await keeper_of(cluster, limits).keep(claim, work())).again is None
    (one,) = cluster.snapshots.values()
    assert annotation(one, snapshots.SEALED)
    assert not snapshots.public(cluster.contents.values())


async def test_whose_snapshots_are_not_public_says_nothing_of_ours() -> None:
    """Else who forges one keeps all other namespaces from keeping theirs."""
    cluster = Cluster(0, cut_after=0)
    theirs = sealed(kept(loaded(), readyToUse=True))
    theirs["metadata"] |= {"namespace": "others", "uid": "s2", "resourceVersion": "1"}
    cluster.snapshots["theirs"] = theirs
    assert (await keeper_of(cluster).keep(made(), work())).again is not None
    assert len(cluster.snapshots) == 2
    bound(cluster, theirs)
    content = cluster.contents["content-s2"]
    content["metadata"]["labels"] = snapshots.publishing(loaded().key.text)
    del cluster.snapshots[loaded().name]
    assert (await keeper_of(cluster).keep(made(), work())).again is None
    assert (await keeper_of(cluster, Limits(share=False)).keep(made(), work())).again is not None


def storage_class() -> Object:
    meta = {"name": "fast", "resourceVersion": "1"}
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": meta, "provisioner": "csi"}


def snapshot_class() -> Object:
    meta = {"name": "snaps", "resourceVersion": "1"}
    kind = {"apiVersion": snapshots.API, "kind": "VolumeSnapshotClass"}
    return {**kind, "metadata": meta, "driver": "csi", "deletionPolicy": "Delete"}


@pytest.mark.parametrize("refusal", [Forbidden, Invalid])
async def test_one_that_is_refused_holds_up_pods_for_its_time_only(refusal: type[Exception]) -> None:
    class Refusing(Cluster):
        async def create(self, obj: Object, *, manager: str) -> Object:
            raise refusal("create", "exceeded quota")

    clock, cluster, index = FakeClock(NOW), Refusing(0, cut_after=0), Index()
    index.put(storage_class())
    index.put(snapshot_class())
    keeper = Keeper(index, cluster, cluster, clock, Limits(cut_within=PATIENCE))
    work = job("token/digest", Attempt("pod", NOW, exit=0, began=NOW, ended=NOW, result=RESULT))
    held = await keeper.keep(made(), work)
    assert held.again is not None
    assert "exceeded quota" in held.notes[0]
    await clock.advance(PATIENCE.total_seconds())
    assert (await keeper.keep(made(), work)).again is None
    assert cluster.said == ["SnapshotNotKept"]

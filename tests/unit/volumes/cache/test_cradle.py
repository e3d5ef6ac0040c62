"""What a claim is born of: its own namespace's snapshots, those of public sources, and nobody else's."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kaas.kube.errors import Conflict
from kaas.kube.objects import Object
from kaas.volumes import terms
from kaas.volumes.annotations import request_of
from kaas.volumes.cache.cradle import GOING, NONE, TOO_SMALL, SnapshotCradle
from kaas.volumes.cache.key import key_of, may_be_kept
from kaas.volumes.cache.snapshots import PUBLIC_LABEL, RETIRED, ROOT, SEALED, is_copy, publishing

PUBLIC = {terms.SOURCE: "s3://open/a/", terms.CACHE: "snapshot"}
PRIVATE = {**PUBLIC, terms.CREDENTIALS: "team-s3"}


class Store:
    """VolumeSnapshots and their contents, by path."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}

    async def get(self, path: str) -> Object | None:
        url = urlsplit(path)
        if not url.query:
            return self.objects.get(path)
        wanted = dict(pair.split("=") for pair in parse_qs(url.query)["labelSelector"][0].split(","))
        found = [o for p, o in self.objects.items() if p.startswith(f"{url.path}/")]
        return {"items": [o for o in found if wanted.items() <= o["metadata"].get("labels", {}).items()]}

    async def create(self, collection: str, obj: Object) -> Object:
        path = f"{collection}/{obj['metadata']['name']}"
        if path in self.objects:
            raise Conflict(f"create {path}", "it is there")
        self.objects[path] = obj
        return obj

    def snapshot(self, namespace: str, name: str, annotations: dict[str, str], **status: Any) -> None:
        spec = request_of(annotations).spec
        assert spec
        key = key_of(spec, namespace, claim(annotations))
        ready = {"readyToUse": True, "restoreSize": "1Gi", "boundVolumeSnapshotContentName": f"content-{name}"}
        ready |= {"creationTime": "2026-01-01T00:00:00Z", **status}
        self.objects[f"{ROOT}/namespaces/{namespace}/volumesnapshots/{name}"] = {
            "kind": "VolumeSnapshot",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": f"uid-{name}",
                "labels": {terms.CACHE_KEY_LABEL: key.text},
                "annotations": {SEALED: "2026-01-01T00:00:01Z"},
            },
            "status": ready,
        }
        bound = {"namespace": namespace, "name": name, "uid": f"uid-{name}"}
        labels = publishing(key.text) if key.public else {}
        spec_ = {"driver": "csi", "volumeSnapshotClassName": "fast", "volumeSnapshotRef": bound}
        self.objects[f"{ROOT}/volumesnapshotcontents/content-{name}"] = {
            "kind": "VolumeSnapshotContent",
            "metadata": {"name": f"content-{name}", "labels": labels, "creationTimestamp": ready["creationTime"]},
            "spec": {**spec_, "sourceVolumeMode": "Filesystem"},
            "status": {"snapshotHandle": f"handle-{name}"},
        }

    def of(self, namespace: str, name: str) -> Object:
        return self.objects[f"{ROOT}/namespaces/{namespace}/volumesnapshots/{name}"]

    def content(self, name: str) -> Object:
        return self.objects[f"{ROOT}/volumesnapshotcontents/content-{name}"]


def claim(annotations: dict[str, str], storage: str = "2Gi", storage_class: str = "fast") -> Object:
    spec = {"storageClassName": storage_class, "resources": {"requests": {"storage": storage}}}
    return {"metadata": {"name": "data", "annotations": annotations}, "spec": spec}


@pytest.fixture
def store() -> Store:
    return Store()


async def test_the_newest_snapshot_of_its_namespace_is_taken(store: Store) -> None:
    store.snapshot("team", "old", PRIVATE, creationTime="2025-01-01T00:00:00Z")
    store.snapshot("team", "new", PRIVATE)
    birth = await SnapshotCradle(store).birth("team", claim(PRIVATE), dry_run=False)
    assert (birth.snapshot, birth.came_from) == ("new", "team")
    assert birth.key


async def test_what_others_credentials_have_read_is_given_to_nobody_else(store: Store) -> None:
    store.snapshot("others", "theirs", PRIVATE)
    birth = await SnapshotCradle(store).birth("team", claim(PRIVATE), dry_run=False)
    assert (birth.snapshot, birth.reason) == ("", NONE)


async def test_what_anybody_may_read_is_shared_by_a_copy(store: Store) -> None:
    store.snapshot("others", "theirs", PUBLIC)
    birth = await SnapshotCradle(store).birth("team", claim(PUBLIC), dry_run=False)
    copy = store.objects[f"{ROOT}/namespaces/team/volumesnapshots/{birth.snapshot}"]
    content = store.objects[f"{ROOT}/volumesnapshotcontents/{copy['spec']['source']['volumeSnapshotContentName']}"]
    assert content["spec"]["source"] == {"snapshotHandle": "handle-theirs"}
    assert content["spec"]["deletionPolicy"] == "Retain"
    assert content["spec"]["volumeSnapshotRef"]["namespace"] == "team"
    assert is_copy(copy)
    assert is_copy(content)
    assert PUBLIC_LABEL not in content["metadata"]["labels"]
    assert birth.came_from == "others"


async def test_what_a_snapshot_says_of_itself_makes_it_nobody_elses(store: Store) -> None:
    """Who may make snapshots can label and seal them, and some may write their status: of a content nobody may."""
    store.snapshot("victim", "private", PRIVATE)
    store.snapshot("evil", "theirs", PUBLIC)
    forged = store.of("evil", "theirs")
    forged["metadata"]["labels"][PUBLIC_LABEL] = "true"
    forged["status"]["boundVolumeSnapshotContentName"] = "content-private"
    del store.objects[f"{ROOT}/volumesnapshotcontents/content-theirs"]
    count = len(store.objects)
    for namespace in ("team", "evil-too"):
        birth = await SnapshotCradle(store).birth(namespace, claim(PUBLIC), dry_run=False)
        assert (birth.snapshot, birth.reason, len(store.objects)) == ("", NONE, count)
    store.snapshot("evil", "theirs", PUBLIC)
    store.of("evil", "theirs")["metadata"]["uid"] = "made anew"
    assert (await SnapshotCradle(store).birth("team", claim(PUBLIC), dry_run=False)).reason == NONE


async def test_where_nothing_is_shared_not_even_copies_are_taken_that_are_there(store: Store) -> None:
    store.snapshot("others", "theirs", PUBLIC)
    copied = await SnapshotCradle(store).birth("team", claim(PUBLIC), dry_run=False)
    assert copied.snapshot
    for namespace in ("team", "third"):
        birth = await SnapshotCradle(store, share=False).birth(namespace, claim(PUBLIC), dry_run=False)
        assert (birth.snapshot, birth.reason) == ("", NONE)


@pytest.mark.parametrize("more", [{terms.PATH: "/sub"}, {terms.SHARDS: "2"}, {terms.WAIT: "false"}])
async def test_who_cannot_compare_all_of_it_first_is_given_no_stranger(store: Store, more: dict[str, str]) -> None:
    asked = {**PUBLIC, **more}
    store.snapshot("others", "theirs", asked)
    assert (await SnapshotCradle(store).birth("team", claim(asked), dry_run=False)).reason == NONE
    store.snapshot("team", "ours", asked)
    birth = await SnapshotCradle(store).birth("team", claim(asked), dry_run=False)
    assert (birth.snapshot, birth.came_from) == ("ours", "team")


async def test_a_snapshot_of_its_own_namespace_is_taken_before_a_newer_copy(store: Store) -> None:
    store.snapshot("others", "theirs", PUBLIC)
    copied = await SnapshotCradle(store).birth("team", claim(PUBLIC), dry_run=False)
    copy = store.of("team", copied.snapshot)
    copy["metadata"]["uid"] = "uid-copy"
    copy["status"] = {"readyToUse": True, "restoreSize": "1Gi", "creationTime": "2026-01-02T00:00:00Z"}
    again = await SnapshotCradle(store).birth("team", claim(PUBLIC), dry_run=False)
    assert (again.snapshot, again.came_from) == (copied.snapshot, "others")
    store.snapshot("team", "ours", PUBLIC)
    assert (await SnapshotCradle(store).birth("team", claim(PUBLIC), dry_run=False)).came_from == "team"


async def test_of_several_the_newest_that_fits_is_given(store: Store) -> None:
    store.snapshot("a", "old", PUBLIC, creationTime="2025-01-01T00:00:00Z")
    store.snapshot("b", "new", PUBLIC)
    store.snapshot("c", "large", PUBLIC, creationTime="2026-02-01T00:00:00Z", restoreSize="3Gi")
    assert (await SnapshotCradle(store).birth("team", claim(PUBLIC), dry_run=False)).came_from == "b"
    store.of("b", "new")["metadata"]["annotations"][RETIRED] = "2026-01-02T00:00:00Z Unused"
    assert (await SnapshotCradle(store).birth("third", claim(PUBLIC), dry_run=False)).came_from == "a"
    del store.objects[f"{ROOT}/namespaces/a/volumesnapshots/old"]
    assert (await SnapshotCradle(store).birth("fourth", claim(PUBLIC), dry_run=False)).reason == TOO_SMALL


async def test_a_second_claim_uses_the_same_copy(store: Store) -> None:
    store.snapshot("others", "theirs", PUBLIC)
    first = await SnapshotCradle(store).birth("team", claim(PUBLIC), dry_run=False)
    count = len(store.objects)
    second = await SnapshotCradle(store).birth("team", claim(PUBLIC), dry_run=False)
    assert second == first
    assert len(store.objects) == count


async def test_a_dry_run_makes_no_copy(store: Store) -> None:
    store.snapshot("others", "theirs", PUBLIC)
    count = len(store.objects)
    assert (await SnapshotCradle(store).birth("team", claim(PUBLIC), dry_run=True)).snapshot
    assert len(store.objects) == count


@pytest.mark.parametrize("status", [{"readyToUse": False}, {"error": {"message": "x"}}])
async def test_a_snapshot_that_is_not_ready_is_none(store: Store, status: dict[str, Any]) -> None:
    store.snapshot("team", "it", PRIVATE, **status)
    assert (await SnapshotCradle(store).birth("team", claim(PRIVATE), dry_run=False)).reason == NONE


async def test_one_that_is_not_sealed_or_is_retired_is_none(store: Store) -> None:
    store.snapshot("team", "it", PRIVATE)
    notes = store.objects[f"{ROOT}/namespaces/team/volumesnapshots/it"]["metadata"]["annotations"]
    notes[RETIRED] = "2026-01-02T00:00:00Z Unused"
    assert (await SnapshotCradle(store).birth("team", claim(PRIVATE), dry_run=False)).reason == NONE
    notes.clear()
    assert (await SnapshotCradle(store).birth("team", claim(PRIVATE), dry_run=False)).reason == NONE


async def test_a_content_that_is_left_of_an_earlier_copy_is_not_taken(store: Store) -> None:
    store.snapshot("others", "theirs", PUBLIC)
    birth = await SnapshotCradle(store).birth("team", claim(PUBLIC), dry_run=False)
    del store.objects[f"{ROOT}/namespaces/team/volumesnapshots/{birth.snapshot}"]
    content = next(o for o in store.objects.values() if is_copy(o))
    content["spec"]["volumeSnapshotRef"]["uid"] = "gone"
    again = await SnapshotCradle(store).birth("team", claim(PUBLIC), dry_run=False)
    assert (again.snapshot, again.reason) == ("", GOING)
    assert f"{ROOT}/namespaces/team/volumesnapshots/{birth.snapshot}" not in store.objects


async def test_a_volume_that_is_too_small_is_loaded(store: Store) -> None:
    store.snapshot("team", "it", PRIVATE, restoreSize="3Gi")
    assert (await SnapshotCradle(store).birth("team", claim(PRIVATE), dry_run=False)).reason == TOO_SMALL


async def test_a_copy_whose_origin_went_is_not_made(store: Store) -> None:
    store.snapshot("others", "theirs", PUBLIC)
    del store.objects[f"{ROOT}/volumesnapshotcontents/content-theirs"]
    assert not (await SnapshotCradle(store).birth("team", claim(PUBLIC), dry_run=False)).snapshot


def key(annotations: dict[str, str], namespace: str = "team", **options: str) -> str:
    spec = request_of(annotations).spec
    assert spec
    return key_of(spec, namespace, claim(annotations, **options)).text


@pytest.mark.parametrize(
    "other",
    [
        {terms.SOURCE: "s3://open/b/"},
        {terms.ENDPOINT: "https://s3.example.com"},
        {terms.PATH: "/models"},
        {terms.INCLUDE: "*.bin"},
        {terms.EXCLUDE: "*.bin"},
        {terms.OWNER: "1000:1000"},
        {terms.CREDENTIALS: "team-s3"},
    ],
)
def test_whatever_decides_the_content_makes_another_key(other: dict[str, str]) -> None:
    assert key({**PUBLIC, **other}) != key(PUBLIC)


def test_a_key_is_of_one_class_and_of_one_tenant_unless_the_source_is_public() -> None:
    assert key(PUBLIC, storage_class="slow") != key(PUBLIC)
    assert key(PUBLIC, "others") == key(PUBLIC)
    assert key(PRIVATE, "others") != key(PRIVATE)


def test_other_secrets_of_a_namespace_read_the_same() -> None:
    assert key({**PUBLIC, terms.CREDENTIALS: "a"}) == key({**PUBLIC, terms.CREDENTIALS: "b"})


def test_only_what_was_compared_with_the_stores_sums_is_kept() -> None:
    for verify, kept in (("auto", True), ("size", False), ("off", False)):
        spec = request_of({**PUBLIC, terms.VERIFY: verify}).spec
        assert spec
        assert may_be_kept(spec) is kept

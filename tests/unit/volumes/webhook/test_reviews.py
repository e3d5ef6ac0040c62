"""Answers of the webhook: whatever happens, a Pod never runs on half of its data, and a cache never refuses a claim."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from kaas.kube.errors import Unavailable
from kaas.kube.objects import Object
from kaas.volumes import terms
from kaas.volumes.claim import claim_of
from kaas.volumes.conditions import Told, condition_of
from kaas.volumes.reasons import Reason
from kaas.volumes.webhook.metrics import Metrics
from kaas.volumes.webhook.reviews import CLAIMS, PODS, Birth, ClaimReviews, webhooks
from tests.unit.volumes.webhook.test_pods import pod

SNAPSHOT = Birth("kaas-cache-1", "key", "others")


class Reader:
    """An API server with these claims of the namespace `team`."""

    def __init__(self, claims: dict[str, Object] | None = None, *, away: bool = False) -> None:
        self._claims = claims or {}
        self._away = away

    async def get(self, path: str) -> Object | None:
        if self._away:
            raise Unavailable(f"GET {path}", "no answer")
        prefix = "/api/v1/namespaces/team/persistentvolumeclaims/"
        assert path.startswith(prefix)
        return self._claims.get(path.removeprefix(prefix))


class Cradle:
    """Gives every claim the same birth, and knows who asked."""

    def __init__(self, birth: Birth | None = None) -> None:
        self._birth = birth
        self.asked: list[bool] = []

    async def birth(self, namespace: str, claim: Object, *, dry_run: bool) -> Birth:
        self.asked.append(dry_run)
        if self._birth is None:
            raise Unavailable("list", "no answer")
        return self._birth


def claim(annotations: dict[str, str], **spec: Any) -> Object:
    meta = {"name": "data", "namespace": "team", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {**meta, "annotations": annotations},
        "spec": {"accessModes": ["ReadWriteOnce"], **spec},
    }


def review(obj: Object, operation: str = "CREATE", **request: Any) -> dict[str, Any]:
    return {"request": {"uid": "r", "namespace": "team", "operation": operation, "object": obj, **request}}


async def answered(path: str, asked: dict[str, Any], reader: Reader | None = None, cradle: Cradle | None = None) -> Any:
    found = webhooks(reader or Reader(), Metrics(), cradle or Cradle(Birth()))
    return await found[path].answer(asked)


def patch(answer: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(base64.b64decode(answer["patch"]))
    return found


LOADING = {terms.SOURCE: "s3://bucket/a/"}


async def test_a_pod_waits_for_a_claim_that_is_loading() -> None:
    answer = await answered(PODS, review(pod("data")), Reader({"data": claim(LOADING)}))
    assert answer["allowed"]
    assert [change["path"] for change in patch(answer)] == ["/spec/schedulingGates", "/metadata/labels"]


async def test_a_pod_does_not_wait_for_a_claim_of_somebody_else() -> None:
    assert await answered(PODS, review(pod("data")), Reader({"data": claim({})})) == {"allowed": True}


async def test_a_pod_waits_for_a_claim_that_comes_later() -> None:
    assert patch(await answered(PODS, review(pod("data")), Reader()))


async def test_a_pod_whose_claims_cannot_be_read_is_refused_for_now() -> None:
    answer = await answered(PODS, review(pod("data")), Reader(away=True))
    assert not answer["allowed"]
    assert answer["status"]["code"] == 503
    assert "try again" in answer["status"]["message"]


async def test_other_than_the_creation_of_pods_is_allowed() -> None:
    assert await answered(PODS, review(pod("data"), "UPDATE"), Reader(away=True)) == {"allowed": True}
    assert await answered(PODS, review(pod("data"), subResource="binding"), Reader(away=True)) == {"allowed": True}


async def test_all_faults_of_a_claim_are_said_at_once() -> None:
    wrong = {terms.SOURCE: "s3://UPPER/a/", terms.VERIFY: "maybe", f"{terms.PREFIX}sauce": "x"}
    answer = await answered(CLAIMS, review(claim(wrong)))
    assert not answer["allowed"]
    assert answer["status"]["code"] == 422
    for name in wrong:
        assert name in answer["status"]["message"]


async def test_a_block_volume_is_refused() -> None:
    answer = await answered(CLAIMS, review(claim(LOADING, volumeMode="Block")))
    assert "spec.volumeMode" in answer["status"]["message"]


async def test_several_pods_cannot_fill_a_volume_of_one_node() -> None:
    sharded = {**LOADING, terms.SHARDS: "4"}
    assert not (await answered(CLAIMS, review(claim(sharded))))["allowed"]
    assert (await answered(CLAIMS, review(claim(sharded, accessModes=["ReadWriteMany"]))))["allowed"]


async def test_what_was_wrong_before_can_still_be_changed_otherwise() -> None:
    before = claim({terms.SOURCE: "s3://UPPER/a/"})
    after = {**before, "metadata": {**before["metadata"], "labels": {"a": "b"}}}
    assert (await answered(CLAIMS, review(after, "UPDATE", oldObject=before)))["allowed"]
    worse = claim({terms.SOURCE: "s3://UPPER/b/"})
    assert not (await answered(CLAIMS, review(worse, "UPDATE", oldObject=before)))["allowed"]


CACHED = {**LOADING, terms.CACHE: "snapshot"}


async def test_a_claim_is_born_of_a_snapshot_of_its_data() -> None:
    answer = await answered(CLAIMS, review(claim(CACHED)), cradle=Cradle(SNAPSHOT))
    source, label, note = patch(answer)
    assert note["value"] == {**CACHED, terms.FRESH: "true", terms.CAME_FROM: "others"}
    assert source["path"] == "/spec/dataSourceRef"
    assert source["value"]["name"] == SNAPSHOT.snapshot
    assert label["value"] == {terms.CACHE_KEY_LABEL: SNAPSHOT.key}


@pytest.mark.parametrize(("cradle", "reason"), [(Cradle(Birth()), "NoSnapshot"), (Cradle(None), "UnknownUnavailable")])
async def test_a_claim_without_a_snapshot_is_loaded_and_says_why(cradle: Cradle, reason: str) -> None:
    (note,) = patch(await answered(CLAIMS, review(claim(CACHED)), cradle=cradle))
    assert note["value"] == {**CACHED, terms.MISS: reason, terms.FRESH: "true"}


async def test_a_claim_whose_snapshot_is_looked_for_too_long_is_loaded() -> None:
    class Slow(Cradle):
        async def birth(self, namespace: str, claim: Object, *, dry_run: bool) -> Birth:
            await asyncio.Event().wait()
            raise AssertionError

    (note,) = patch(await ClaimReviews(Metrics(), Slow(), patience=0.01).answer(review(claim(CACHED))))
    assert note["value"][terms.MISS] == "UnknownTimeoutError"


async def test_a_claim_whose_pods_do_not_wait_is_fresh_no_more() -> None:
    fresh = {**CACHED, terms.FRESH: "true"}
    before = claim(fresh)
    assert await answered(CLAIMS, review(before, "UPDATE", oldObject=before)) == {"allowed": True}
    after = claim({**fresh, terms.WAIT: "false"})
    (note,) = patch(await answered(CLAIMS, review(after, "UPDATE", oldObject=before)))
    assert note["value"] == {**CACHED, terms.WAIT: "false"}


@pytest.mark.parametrize("left", ["loaded", "annotations removed", "a copied manifest"])
async def test_what_pods_may_have_written_to_is_fresh_no_more(left: str) -> None:
    """Else a load of a later `load-id` would delete their files, and keep the rest for others."""
    asked = {**CACHED, terms.FRESH: "true", terms.ID: "2"}
    before = claim({k: v for k, v in asked.items() if k == terms.FRESH or (left == "loaded" and k != terms.ID)})
    if left == "loaded":  # with `load-cache: none` at that time, so that no controller has taken the note away
        told = Told(Reason.LOADED, "", holds=True, load=claim_of(before).load)
        before["status"] = {"conditions": [condition_of(told, {}, datetime(2026, 1, 1, tzinfo=UTC))]}
    origin = {"dataSourceRef": {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "x"}}
    request = {"operation": "CREATE"} if "copied" in left else {"operation": "UPDATE", "oldObject": before}
    (note,) = patch(await answered(CLAIMS, review(claim(asked, **origin), **request)))
    assert note["value"] == {**CACHED, terms.ID: "2"}


async def test_where_a_claim_came_from_is_not_copied_with_its_manifest() -> None:
    """Its volume may be another one's: who is believed is said by the webhook alone."""
    origin = {"dataSourceRef": {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "x"}}
    copied = claim({**CACHED, terms.CAME_FROM: "team"}, **origin)
    (note,) = patch(await answered(CLAIMS, review(copied)))
    assert note["value"] == CACHED
    assert claim_of(claim(note["value"], **origin)).foreign
    assert not claim_of(copied).foreign
    assert (await answered(CLAIMS, review(copied, "UPDATE", oldObject=copied))) == {"allowed": True}


@pytest.mark.parametrize("more", [{terms.PATH: "/sub"}, {terms.SHARDS: "2"}, {terms.WAIT: "false"}])
async def test_what_is_to_be_compared_as_a_whole_is_not_loaded_in_part(more: dict[str, str]) -> None:
    origin = {"dataSourceRef": {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "x"}}
    born = {**CACHED, terms.FRESH: "true", terms.CAME_FROM: "others"}
    before = claim(born, accessModes=["ReadWriteMany"], **origin)
    after = claim({**born, **more}, accessModes=["ReadWriteMany"], **origin)
    answer = await answered(CLAIMS, review(after, "UPDATE", oldObject=before))
    assert not answer["allowed"]
    assert next(iter(more)) in answer["status"]["message"]
    assert claim_of(after).spec is None
    own = {terms.CAME_FROM: "team"}
    for same in ({**born, **own}, {k: v for k, v in born.items() if k != terms.FRESH}):
        assert claim_of(claim({**same, **more}, accessModes=["ReadWriteMany"], **origin)).spec


async def test_what_a_data_source_fills_is_not_loaded_beside() -> None:
    reference = {"apiGroup": "kaas.internal", "kind": "DataSource", "name": "x"}
    assert (await answered(CLAIMS, review(claim({}, dataSourceRef=reference))))["allowed"]
    answer = await answered(CLAIMS, review(claim(LOADING, dataSourceRef=reference)))
    assert "spec.dataSourceRef" in answer["status"]["message"]


@pytest.mark.parametrize(
    "spec",
    [
        {"dataSource": {"kind": "PersistentVolumeClaim", "name": "x"}},
        {"dataSourceRef": {"kind": "VolumeSnapshot", "name": "x"}},
        {"volumeName": "pv"},
    ],
)
async def test_who_names_an_origin_is_not_given_another(spec: dict[str, Any]) -> None:
    cradle = Cradle(SNAPSHOT)
    assert await answered(CLAIMS, review(claim(CACHED, **spec)), cradle=cradle) == {"allowed": True}
    assert not cradle.asked


async def test_a_dry_run_makes_nothing() -> None:
    cradle = Cradle(SNAPSHOT)
    await answered(CLAIMS, review(claim(CACHED), dryRun=True), cradle=cradle)
    assert cradle.asked == [True]

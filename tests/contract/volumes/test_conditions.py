"""Our condition beside those of others, at the real API server."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kaas.kube.client import KubeClient
from kaas.kube.objects import Object, condition, ref_of
from kaas.volumes import terms
from kaas.volumes.conditions import Told, condition_of, status_of
from kaas.volumes.reasons import Reason
from tests.contract.volumes.stage import SOURCE, Stage, until

RESIZING = {
    "type": "FileSystemResizePending",
    "status": "True",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
    "message": "waits for a Pod",
}
NOW = datetime(2026, 1, 2, tzinfo=UTC)


async def claims(client: KubeClient, claim: Object) -> Object:
    found = await client.get(ref_of(claim))
    assert found is not None
    return found


async def test_conditions_of_others_survive_ours_and_ours_theirs(stage: Stage, client: KubeClient) -> None:
    claim = await stage.claim()
    key = (stage.namespace, "data")
    await client.apply_status(status_of(key, [RESIZING]), manager="resizer")
    for told in (Told(Reason.LISTING, "a"), Told(Reason.LOADING, "b"), Told(Reason.LOADED, "c", holds=True)):
        await client.apply_status(status_of(key, [condition_of(told, {}, NOW)]), manager=terms.MANAGER)
    await client.apply_status(status_of(key, [{**RESIZING, "message": "still"}]), manager="resizer")
    found = await claims(client, claim)
    assert [c["type"] for c in found["status"]["conditions"]] == ["FileSystemResizePending", terms.CONDITION]
    theirs = condition(found, "FileSystemResizePending")
    assert theirs is not None
    assert {**RESIZING, "message": "still"}.items() <= theirs.items()
    ours = condition(found, terms.CONDITION)
    assert ours is not None
    assert (ours["status"], ours["reason"], ours["message"]) == ("True", "Loaded", "c")
    assert ours["lastProbeTime"] == "2026-01-02T00:00:00Z"
    assert found["status"]["phase"] == "Bound"
    await client.apply_status(status_of(key, []), manager=terms.MANAGER)
    found = await claims(client, claim)
    assert [c["type"] for c in found["status"]["conditions"]] == ["FileSystemResizePending"]


@pytest.mark.usefixtures("running")
async def test_an_annotation_that_goes_takes_our_condition_with_it(stage: Stage, client: KubeClient) -> None:
    claim = await stage.claim(load_source=SOURCE)
    await client.apply_status(status_of((stage.namespace, "data"), [RESIZING]), manager="resizer")
    await stage.pod("app", "data")
    await stage.loader(claim)
    await stage.until_told("Listing")
    await client.patch(ref_of(claim), {"metadata": {"annotations": {terms.SOURCE: None}}})

    async def only_theirs() -> bool:
        conditions = (await claims(client, claim))["status"]["conditions"]
        return [c["type"] for c in conditions] == ["FileSystemResizePending"]

    await until("our condition is gone", only_theirs)
    await stage.until_free("app")

    async def gone() -> bool:
        return not await stage.jobs()

    await until("the Job is gone", gone)


@pytest.mark.usefixtures("running")
async def test_what_is_wrong_is_told(stage: Stage) -> None:
    await stage.claim(load_source="s3:/models", load_shards="many", volumeMode="Block")
    await stage.pod("app", "data")
    message = await stage.until_told("InvalidSpec")
    assert "kaas.internal/load-source" in message
    assert "kaas.internal/load-shards" in message
    assert await stage.gates("app") == [terms.GATE]

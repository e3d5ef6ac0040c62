"""Claims are loaded by real Jobs at the real API server, and Pods that wait are freed."""

from __future__ import annotations

import pytest

from kaas.kube.objects import ref_of
from tests.contract.volumes.stage import SOURCE, Stage, until

pytestmark = pytest.mark.usefixtures("running")


async def test_a_claim_is_loaded_and_its_pod_freed(stage: Stage) -> None:
    claim = await stage.claim(load_source=SOURCE)
    await stage.pod("app", "data", schedulingGates=[{"name": "example.com/other"}])
    await stage.until_told("Listing")
    pod = await stage.loader(claim)
    await stage.runs(pod)
    assert "kaas.internal/data-load" in await stage.gates("app")
    await stage.loads(claim)
    message = await stage.until_told("Loaded")
    assert message.startswith("1.0GiB in 3 files, 2s (load ")
    await stage.until_free("app")
    assert await stage.gates("app") == ["example.com/other"]
    app = await stage.get("Pod", "app")
    assert app is not None
    assert "kaas.internal/data-load" not in (app["metadata"].get("labels") or {})

    async def gone() -> bool:
        return not await stage.jobs()

    await until("the Job is gone", gone)
    assert await stage.events("data") == ["Listing", "Loaded"]


async def test_a_claim_can_be_deleted_while_it_is_loaded(stage: Stage) -> None:
    """A Job's Pod keeps a claim from going, whose Job is collected when it is gone: somebody has to end the Job."""
    claim = await stage.claim(load_source=SOURCE)
    await stage.runs(await stage.loader(claim))
    await stage.client.delete(ref_of(claim))

    async def gone() -> bool:
        return await stage.get("PersistentVolumeClaim", "data") is None

    await until("the claim is gone", gone)
    assert not await stage.jobs()

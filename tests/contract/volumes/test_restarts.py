"""A controller that was away takes up what it finds."""

from __future__ import annotations

from kaas_lab.management import Management

from kaas.kube.objects import ref_of
from kaas.volumes import terms
from tests.contract.volumes.stage import SOURCE, Stage, controller, until


async def test_a_load_that_ended_while_nobody_looked(management: Management, stage: Stage) -> None:
    claim = await stage.claim(load_source=SOURCE)
    await stage.pod("app", "data")
    async with controller(management.kubeconfig, (stage.namespace,)):
        pod = await stage.loader(claim)
        await stage.runs(pod)
        await stage.until_told("Listing")
    await stage.loads(claim)
    assert await stage.gates("app") == [terms.GATE]
    async with controller(management.kubeconfig, (stage.namespace,)):
        await stage.until_free("app")
        assert await stage.told() is not None
        await stage.until_told("Loaded")

        async def gone() -> bool:
            return not await stage.jobs()

        await until("the Job is gone", gone)
    assert await stage.events("data") == ["Loaded"]


async def test_pods_of_what_is_loaded_or_not_to_be_loaded_any_more(management: Management, stage: Stage) -> None:
    """Pods that came while the controller was away, gated by a webhook that did not know better."""
    claim = await stage.claim(load_source=SOURCE)
    async with controller(management.kubeconfig, (stage.namespace,)):
        await stage.loads(claim)
        await stage.until_told("Loaded")
    other = await stage.claim("other", load_source=SOURCE)
    await stage.pod("app", "data")
    await stage.pod("bare", "data", label=False)
    await stage.pod("both", "data", "other")
    await stage.client.patch(ref_of(other), {"metadata": {"annotations": {terms.SOURCE: None}}})
    async with controller(management.kubeconfig, (stage.namespace,)):
        for pod in ("app", "bare", "both"):
            await stage.until_free(pod)
    assert not await stage.jobs()

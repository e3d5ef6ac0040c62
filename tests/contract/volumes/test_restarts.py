"""A controller that was away takes up what it finds."""

from __future__ import annotations

import asyncio

from kaas_lab.management import Management

from kaas.cli.volumes_controller import volumes
from kaas.kube.client import KubeClient
from kaas.kube.objects import ref_of
from kaas.runtime.clock import SystemClock
from kaas.runtime.controller import Controller, ControllerSettings
from kaas.runtime.leader import Election
from kaas.runtime.metrics import Metrics
from kaas.volumes import terms
from tests.contract.volumes.stage import PATIENCE, SETTINGS, SOURCE, Stage, controller, until


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


async def test_one_that_is_told_to_end_waits_for_nothing(management: Management, stage: Stage) -> None:
    """A standby takes over when the Lease is released: not when somebody's patience is over."""
    election = Election(namespace=stage.namespace)
    given = ControllerSettings(
        management.kubeconfig,
        namespaces=(stage.namespace,),
        election=election,
        metrics_port=None,
        stop_patience=10 * PATIENCE,
    )
    stop, metrics = asyncio.Event(), Metrics()
    async with await KubeClient.connect(management.kubeconfig, hook=metrics.request) as client:
        made = Controller(given, [volumes(SETTINGS, (stage.namespace,))], client, metrics, SystemClock())
        task = asyncio.create_task(made.run(stop))

        async def holder() -> str:
            lease = await client.get(election.ref)
            return str(lease["spec"]["holderIdentity"]) if lease else ""

        assert await until("it leads", holder) == election.identity
        claim = await stage.claim(load_source=SOURCE)
        await stage.loader(claim)
        stop.set()
        async with asyncio.timeout(PATIENCE):
            await task
        assert not await holder()

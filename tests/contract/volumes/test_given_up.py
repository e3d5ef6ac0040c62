"""Loads that are given up, as the real Job controller does it: the condition has the reason of who failed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from kaas_lab.management import Management

from kaas.kube.errors import NotFound
from kaas.loader.report import Exit, Reason, Result
from tests.contract.volumes.stage import SETTINGS, SOURCE, Stage, controller, until

ONCE = replace(SETTINGS, tries_again=0)


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (Exit.RETRY, Reason.UNREACHABLE, "given up after one try: no answer. Correct it"),
        (Exit.PERMANENT, Reason.ACCESS_DENIED, "no answer. Correct it"),
    ],
)
@pytest.mark.parametrize("shards", [1, 3])
async def test_the_one_that_failed_is_told(
    management: Management, stage: Stage, shards: int, code: int, reason: Reason, words: str
) -> None:
    """Others of several Pods are told to stop for it, and end later, or are gone by then."""
    async with controller(management.kubeconfig, (stage.namespace,), ONCE):
        await stage.claim(load_source=SOURCE, load_shards=str(shards), accessModes=["ReadWriteMany"])

        async def all_there() -> bool:
            return len(await stage.loaders()) == shards

        await until("all loaders", all_there)
        pods = await stage.loaders()
        for pod in pods:
            await stage.runs(pod)
        await stage.ends(pods[-1], Result(reason, "no answer"), code)
        for pod in pods[:-1]:
            with suppress(NotFound):
                await stage.ends(pod, Result(Reason.INTERRUPTED, "was told to stop"), Exit.RETRY)
        assert (await stage.until_told(str(reason))).startswith(words)

"""Many claims at once: bounds hold, nobody waits for long, and the API server is asked little."""

from __future__ import annotations

import asyncio

from kaas_lab.management import Management

from kaas.kube.client import KubeClient
from kaas.volumes.settings import LoadSettings
from tests.contract.volumes.nodes import nodes
from tests.contract.volumes.stage import SETTINGS, SOURCE, Stage, controller, until

CLAIMS = 40
CALLS = 10
ASIDE = {("get", "APIResourceList"), ("get", "APIGroup")}
"""What comes with a start: kinds that are looked for."""
SECRET = {"AWS_ACCESS_KEY_ID": "a2V5", "AWS_SECRET_ACCESS_KEY": "c2VjcmV0"}


async def fill(stages: list[Stage], claims: int) -> None:
    """Claims with credentials, each with a Pod of its name that waits, in turn in each namespace."""
    for stage in stages:
        meta = {"name": "team-s3", "namespace": stage.namespace}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "kaas.internal/aws-credentials"}
        await stage.client.create({**secret, "data": SECRET})
    for number in range(claims):
        stage, name = stages[number % len(stages)], f"claim-{number:03d}"
        await stage.claim(name, load_source=SOURCE, load_credentials="team-s3")
        await stage.pod(name, name)


async def test_many_claims_at_once(management: Management, client: KubeClient, namespace: str) -> None:
    stages = [Stage(client, namespace), Stage(client, f"{namespace}-b")]
    await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": stages[1].namespace}})
    await fill(stages, CLAIMS)
    settings = LoadSettings(image=SETTINGS.image, at_once=6, per_namespace=4)
    names = (stages[0].namespace, stages[1].namespace)
    async with nodes(client) as seen, controller(management.kubeconfig, names, settings) as running:

        async def all_free() -> bool:
            return len(seen.freed) >= CLAIMS

        await until(f"{CLAIMS} Pods are free", all_free)
        await asyncio.gather(*(stage.until_told("Loaded", f"claim-{n:03d}") for n, stage in enumerate(stages)))

        async def no_jobs() -> bool:
            return not [j for stage in stages for j in await stage.jobs()]

        await until("no Job is left", no_jobs)
        requests = running.requests()
    assert seen.most <= 6
    assert seen.most_of_one <= 4
    calls = sum(number for (verb, kind), number in requests.items() if (verb, kind) not in ASIDE)
    assert calls / CLAIMS <= CALLS, requests

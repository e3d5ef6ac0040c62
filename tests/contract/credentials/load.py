"""Pods that are created one after the other in several places at once, and how each attempt ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.contract.credentials.cluster import Answer, Cluster, manifest, pod, variables
from tests.contract.credentials.replica import until

AT_ONCE = 8


@dataclass
class Load:
    """What came of it so far."""

    good: int = 0
    bad: list[Answer] = field(default_factory=list)

    async def more(self, count: int) -> None:
        """Return after so many more good ones."""
        end = self.good + count

        async def reached() -> bool:
            return self.good >= end

        await until(reached)


@asynccontextmanager
async def load(cluster: Cluster, *, account: bool = False) -> AsyncIterator[Load]:
    """Create Pods until the end of the block; nothing is stored. account: it is their ServiceAccount that asks."""
    namespace, found = await cluster.namespace(**({"inject": "enabled"} if account else {})), Load()
    if account:
        annotations = {"kaas.internal/aws-credentials": "s3"}
        await cluster.create(manifest("ServiceAccount", "default", namespace, annotations=annotations))
    asking = pod(namespace) if account else pod(namespace, aws_credentials="s3")

    async def create() -> None:
        while True:
            answer = await cluster.create(asking, dryRun="All")
            if answer.status == 201 and variables(answer.body):
                found.good += 1
            else:
                found.bad.append(answer)

    tasks = [asyncio.create_task(create()) for _ in range(AT_ONCE)]
    try:
        yield found
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    failures = [e for e in ended if isinstance(e, Exception)]
    assert not failures

"""NVIDIA's GPU operator on one machine: reads its Node's labels, has the GPUs laid out, and writes what came of it.

Its parts have an account of their own for real; here the kubelet's will do, which may set labels of `nvidia.com`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from .api import Api, ApiError
from .faults import MigFault
from .gpus import Gpus, Laid

LOOK_SECONDS = 1.0


class MigManager:
    """Runs until the machine has to boot again for a layout, or its task is cancelled.

    kept: file in which it is kept what the GPUs are made into. fault: what is wrong with that now.
    """

    def __init__(
        self, api: Api, node: str, gpus: Gpus, kept: Path, fault: Callable[[], MigFault], say: Callable[[str], None]
    ) -> None:
        self._api, self._path, self._gpus, self._kept = api, f"/api/v1/nodes/{node}", gpus, kept
        self._fault, self._say = fault, say

    async def run(self) -> None:
        """Look at the Node again and again; an API server that does not answer is asked again."""
        while True:
            try:
                if await self._look():
                    return
            except ApiError as error:
                self._say(f"mig-manager: {error}")
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> bool:
        """Whether the machine is to boot again."""
        found = await self._api.get(self._path)
        before = self._gpus.laid
        step = self._gpus.look(found["metadata"].get("labels") or {}, self._fault())
        if self._gpus.laid != before:
            keep(self._kept, self._gpus.laid)
        if step.said:
            self._say(step.said)
        if step.labels:
            await self._write(step.labels)
        return step.reboots

    async def _write(self, labels: Mapping[str, str | None]) -> None:
        await self._api.patch(self._path, {"metadata": {"labels": dict(labels)}})


def keep(path: Path, laid: Laid) -> None:
    """Write what the GPUs are made into to the machine's disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(laid)))


def kept(path: Path) -> Laid:
    """What was written there; nothing when nothing was."""
    return Laid(**json.loads(path.read_text())) if path.exists() else Laid()

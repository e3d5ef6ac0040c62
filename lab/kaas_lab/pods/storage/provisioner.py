"""Makes volumes for claims and takes them away, as external-provisioner does with a driver behind it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from kaas_lab.machines.api import CONFLICT, ApiError, Object

from ..client import Client
from ..faults import Faults, Kind
from ..nodeobject import ZONE
from . import claims
from .classes import FILESYSTEM
from .directories import Directories
from .origins import NoOrigin, Origins
from .queue import Queue

COMPONENT = "lab.csi.kaas.internal_provisioner"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
VOLUMES = "/api/v1/persistentvolumes"


@dataclass
class Provisioner:
    """Runs until it is cancelled."""

    client: Client
    directories: Directories
    origins: Origins
    faults: Faults
    _told: dict[str, str] = field(default_factory=dict)

    async def run(self) -> None:
        """Follow claims and volumes."""
        self._claims, self._volumes = Queue("claims", self._claim), Queue("volumes", self._volume)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.client.follow("/api/v1/persistentvolumeclaims", self._claims.seen))
            group.create_task(self.client.follow(VOLUMES, self._volumes.seen))
            group.create_task(self._claims.run())
            group.create_task(self._volumes.run())

    async def _claim(self, claim: Object) -> bool:
        """Make the claim's volume if it is our turn; whether there is nothing left to do."""
        name = claim["spec"].get("storageClassName")
        found = await self.client.find(f"{CLASSES}/{name}") if name else None
        if found is None or not claims.is_ours(claim, found):
            return True
        target = f"{claim['metadata']['namespace']}/{claim['metadata']['name']}"
        if slow := self.faults.find(Kind.PROVISION_SLOW, target):
            await asyncio.sleep(slow.seconds)
        try:
            if self.faults.has(Kind.PROVISION_FAILS, target):
                raise OSError("rpc error: code = Internal desc = provisioning failed on purpose")
            await self._make(claim, found, await self.origins.of(claim))
        except NoOrigin as error:
            await self._tell(claim, error.reason, str(error), warning=not error.is_final)
            return error.is_final
        except OSError as error:
            message = f'failed to provision volume with StorageClass "{name}": {error}'
            await self._tell(claim, "ProvisioningFailed", message, warning=True)
            return False
        message = f"Successfully provisioned volume {claims.volume_name(claim)}"
        await self._tell(claim, "ProvisioningSucceeded", message)
        return True

    async def _make(self, claim: Object, storage_class: Object, origin: Path | None) -> None:
        handle = claims.volume_name(claim)
        limited = (storage_class.get("parameters") or {}).get(FILESYSTEM) == "tmpfs"
        limit = claims.size(claim) if limited else None
        await asyncio.to_thread(self.directories.create, handle, origin, limit)
        zone = await self._zone(claim, storage_class)
        try:
            await self.client.post(VOLUMES, claims.volume(claim, storage_class, zone))
        except ApiError as error:
            if error.status != CONFLICT:
                raise

    async def _zone(self, claim: Object, storage_class: Object) -> str | None:
        """Zone of the node that the scheduler has chosen; None for a class that does not wait for that."""
        node = (claim["metadata"].get("annotations") or {}).get(claims.SELECTED_NODE)
        if storage_class.get("volumeBindingMode") != "WaitForFirstConsumer" or not node:
            return None
        found = await self.client.get(f"/api/v1/nodes/{node}")
        return str(found["metadata"]["labels"][ZONE])

    async def _volume(self, volume: Object) -> bool:
        if claims.is_to_be_deleted(volume):
            handle = volume["spec"]["csi"]["volumeHandle"]
            await asyncio.to_thread(self.directories.delete, self.directories.volumes / handle)
            await self.client.remove(f"{VOLUMES}/{volume['metadata']['name']}")
        return True

    async def _tell(self, claim: Object, reason: str, message: str, *, warning: bool = False) -> None:
        uid = claim["metadata"]["uid"]
        if self._told.get(uid) != message:
            self._told[uid] = message
            await self.client.event(claim, reason, message, source=COMPONENT, warning=warning)

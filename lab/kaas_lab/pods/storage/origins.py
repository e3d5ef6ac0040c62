"""What a claim's volume is born from: nothing, or a snapshot; anything else is for somebody else to fill."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kaas_lab.machines.api import Object

from ..client import Client
from ..environment import quantity
from ..faults import Faults, Kind
from ..volumes import DRIVER
from . import claims, contents
from .directories import Directories

POPULATOR = "Assuming an external populator will provision the volume"
GROUP = f"/apis/{contents.API}"


class NoOrigin(Exception):
    """There is nothing to be born from. reason: of the Event. is_final: the driver leaves the claim alone for good."""

    def __init__(self, message: str, reason: str = "ProvisioningFailed", *, is_final: bool = False) -> None:
        super().__init__(message)
        self.reason, self.is_final = reason, is_final


@dataclass(frozen=True)
class Origins:
    """Looks up what claims name, as external-provisioner does."""

    client: Client
    directories: Directories
    faults: Faults

    async def of(self, claim: Object) -> Path | None:
        """Directory with which a claim's volume is filled; None for an empty volume. Raises NoOrigin."""
        named = claims.origin(claim)
        if named is None:
            return None
        if (named.get("apiGroup"), named["kind"]) != (claims.SNAPSHOT_GROUP, "VolumeSnapshot"):
            raise NoOrigin(POPULATOR, "Provisioning", is_final=True)
        namespace = claim["metadata"]["namespace"]
        if named.get("namespace", namespace) != namespace:
            raise NoOrigin(_failed(claim, "dataSourceRef to another namespace needs CrossNamespaceVolumeDataSource"))
        if self.faults.has(Kind.RESTORE_FAILS, f"{namespace}/{claim['metadata']['name']}"):
            raise NoOrigin(_failed(claim, "rpc error: code = Internal desc = restore failed on purpose"))
        return await self._snapshot(claim, str(named["name"]))

    async def _snapshot(self, claim: Object, name: str) -> Path:
        namespace = claim["metadata"]["namespace"]
        snapshot = await self.client.find(f"{GROUP}/namespaces/{namespace}/volumesnapshots/{name}")
        if snapshot is None:
            raise NoOrigin(_failed(claim, f'error getting snapshot {name} from api server: "{name}" not found'))
        status = snapshot.get("status") or {}
        bound = status.get("boundVolumeSnapshotContentName")
        content = await self.client.find(f"{GROUP}/volumesnapshotcontents/{bound}") if bound else None
        if "deletionTimestamp" in snapshot["metadata"]:
            raise NoOrigin(_failed(claim, f"snapshot {name} is currently being deleted"))
        if not status.get("readyToUse") or content is None:
            raise NoOrigin(_failed(claim, f"snapshot {name} is not Ready"))
        if content["spec"]["driver"] != DRIVER or not contents.refers(content, snapshot):
            raise NoOrigin(_failed(claim, f"snapshot {name} is not of the driver {DRIVER}"))
        wanted, least = claims.size(claim), int(quantity(str(status.get("restoreSize", "0"))))
        if wanted < least:
            raise NoOrigin(
                _failed(
                    claim,
                    f"requested volume size {wanted} is less than the size {least} for the source snapshot {name}",
                )
            )
        place = self.directories.snapshots / str(content["status"]["snapshotHandle"])
        if not place.is_dir():
            raise NoOrigin(_failed(claim, f"rpc error: code = NotFound desc = snapshot {place.name} not found"))
        return place


def _failed(claim: Object, why: str) -> str:
    name = claim["spec"].get("storageClassName")
    return f'failed to provision volume with StorageClass "{name}": {why}'

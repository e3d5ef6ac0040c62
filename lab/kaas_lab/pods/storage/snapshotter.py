"""Makes snapshots for VolumeSnapshots and takes them away, as snapshot-controller does with csi-snapshotter."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from kaas_lab.machines.api import Object

from ..client import Client
from ..environment import quantity
from ..faults import Faults, Kind
from ..times import now
from ..volumes import DRIVER
from . import claims, contents
from .directories import Directories
from .queue import Queue

GROUP = f"/apis/{contents.API}"
CONTENTS = f"{GROUP}/volumesnapshotcontents"
CLASSES = f"{GROUP}/volumesnapshotclasses"
DEFAULT_CLASS = "snapshot.storage.kubernetes.io/is-default-class"


class NotYet(Exception):
    """A snapshot cannot be made for now; the message says why."""


@dataclass
class Snapshotter:
    """Runs until it is cancelled."""

    client: Client
    directories: Directories
    faults: Faults

    async def run(self) -> None:
        """Follow VolumeSnapshots and their contents."""
        self._snapshots, self._contents = Queue("snapshots", self._snapshot), Queue("contents", self._content)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.client.follow(f"{GROUP}/volumesnapshots", self._snapshots.seen))
            group.create_task(self.client.follow(CONTENTS, self._contents.seen))
            group.create_task(self._snapshots.run())
            group.create_task(self._contents.run())

    async def _snapshot(self, seen: Object) -> bool:
        snapshot = await self.client.find(_path(seen))
        if snapshot is None or snapshot["metadata"]["uid"] != seen["metadata"]["uid"]:
            return True
        if "deletionTimestamp" in snapshot["metadata"]:
            return await self._forget(snapshot)
        await self._protect(_path(snapshot), snapshot, {contents.BOUND, contents.AS_SOURCE})
        try:
            content = await self._content_of(snapshot)
        except NotYet as error:
            await self._status(_path(snapshot), snapshot, contents.failed(str(error), now()))
            return False
        if content is None:
            return True
        await self._status(_path(snapshot), snapshot, contents.bound(content))
        return bool((content.get("status") or {}).get("readyToUse"))

    async def _content_of(self, snapshot: Object) -> Object | None:
        """Content of a VolumeSnapshot, made if it is to be; None when another driver has it. Raises NotYet."""
        if name := snapshot["spec"]["source"].get("volumeSnapshotContentName"):
            return await self._static(snapshot, name)
        found = await self.client.find(f"{CONTENTS}/snapcontent-{snapshot['metadata']['uid']}")
        if found is not None:
            return found
        snapshot_class = await self._class(snapshot)
        if snapshot_class["driver"] != DRIVER:
            return None
        volume = await self._volume(snapshot)
        return await self.client.post(CONTENTS, contents.content(snapshot, snapshot_class, volume))

    async def _static(self, snapshot: Object, name: str) -> Object | None:
        content = await self.client.find(f"{CONTENTS}/{name}")
        if content is None:
            raise NotYet("VolumeSnapshotContent is missing")
        if content["spec"]["driver"] != DRIVER:
            return None
        if not contents.refers(content, snapshot):
            raise NotYet(f"VolumeSnapshotContent [{name}] is bound to a different snapshot")
        if not content["spec"]["volumeSnapshotRef"].get("uid"):
            reference = {"volumeSnapshotRef": {"uid": snapshot["metadata"]["uid"]}}
            content = await self.client.merge(f"{CONTENTS}/{name}", {"spec": reference})
        return content

    async def _class(self, snapshot: Object) -> Object:
        """Class of a VolumeSnapshot: the one named, else the default of the driver. Raises NotYet."""
        name = snapshot["spec"].get("volumeSnapshotClassName")
        if name:
            if found := await self.client.find(f"{CLASSES}/{name}"):
                return found
            raise NotYet(f'failed to get snapshot class {name}: volumesnapshotclass "{name}" not found')
        for one in (await self.client.get(CLASSES))["items"]:
            if (one["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true":
                return dict(one)
        raise NotYet("cannot find default snapshot class")

    async def _volume(self, snapshot: Object) -> Object:
        """The PersistentVolume of which a snapshot is wanted. Raises NotYet."""
        namespace, name = snapshot["metadata"]["namespace"], snapshot["spec"]["source"]["persistentVolumeClaimName"]
        claim = await self.client.find(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}")
        if claim is None:
            raise NotYet(f"snapshot controller failed to get claim {name} from the API server")
        if claim.get("status", {}).get("phase") != "Bound":
            raise NotYet(f"the PVC {name} is not yet bound to a PV, will not attempt to take a snapshot")
        return await self.client.get(f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")

    async def _content(self, seen: Object) -> bool:
        if seen["spec"]["driver"] != DRIVER:
            return True
        path = f"{CONTENTS}/{seen['metadata']['name']}"
        content = await self.client.find(path)
        if content is None:
            return True
        if "deletionTimestamp" in content["metadata"]:
            return await self._destroy(path, content)
        if (content.get("status") or {}).get("readyToUse"):
            return True
        await self._protect(path, content, {contents.CONTENT_BOUND})
        return await self._take(path, content)

    async def _take(self, path: str, content: Object) -> bool:
        """Make the snapshot of a content, or find the one that it names; whether that is done."""
        reference = content["spec"]["volumeSnapshotRef"]
        target = f"{reference.get('namespace')}/{reference.get('name')}"
        if slow := self.faults.find(Kind.SNAPSHOT_SLOW, target):
            await asyncio.sleep(slow.seconds)
        try:
            size = await self._make(content, target)
        except OSError as error:
            message = f"Failed to check and update snapshot content: {error}"
            await self._status(path, content, contents.failed(message, now()))
            await self._look_again(reference)
            return False
        await self._status(path, content, contents.ready(content, size, now()))
        await self._look_again(reference)
        return True

    async def _make(self, content: Object, target: str) -> int:
        """Bytes that a volume of the snapshot has at least. Raises OSError."""
        if self.faults.has(Kind.SNAPSHOT_FAILS, target):
            raise OSError("rpc error: code = Internal desc = snapshot failed on purpose")
        volume = content["spec"]["source"].get("volumeHandle")
        if volume is None:
            return await asyncio.to_thread(self.directories.known, contents.handle(content))
        found = await self.client.get(f"/api/v1/persistentvolumes/{volume}")
        size = int(quantity(str(found["spec"]["capacity"]["storage"])))
        await asyncio.to_thread(self.directories.snapshot, volume, contents.handle(content), size)
        return size

    async def _look_again(self, reference: Object) -> None:
        """Have the VolumeSnapshot of a content told what has become of it."""
        place = f"{GROUP}/namespaces/{reference['namespace']}/volumesnapshots/{reference['name']}"
        if found := await self.client.find(place):
            await self._snapshots.seen("MODIFIED", found)

    async def _forget(self, snapshot: Object) -> bool:
        """Let a deleted VolumeSnapshot go, and its content with it where the policy says so; whether it has gone."""
        if not contents.without(snapshot, set()):
            return True
        if await self._is_being_restored(snapshot):
            return False
        name = (snapshot.get("status") or {}).get("boundVolumeSnapshotContentName")
        content = await self.client.find(f"{CONTENTS}/{name}") if name else None
        if content and content["spec"]["deletionPolicy"] == "Delete":
            await self.client.remove(f"{CONTENTS}/{name}")
            return False  # the content goes first
        left = contents.without(snapshot, {contents.BOUND, contents.AS_SOURCE})
        await self.client.merge(_path(snapshot), {"metadata": {"finalizers": left}})
        return True

    async def _is_being_restored(self, snapshot: Object) -> bool:
        metadata = snapshot["metadata"]
        found = await self.client.get(f"/api/v1/namespaces/{metadata['namespace']}/persistentvolumeclaims")
        return any(
            origin["kind"] == "VolumeSnapshot"
            and origin["name"] == metadata["name"]
            and claim.get("status", {}).get("phase") == "Pending"
            for claim in found["items"]
            if (origin := claims.origin(claim))
        )

    async def _destroy(self, path: str, content: Object) -> bool:
        """Let a deleted content go, once no VolumeSnapshot has it that is to stay; whether it has gone."""
        reference = content["spec"]["volumeSnapshotRef"]
        place = f"{GROUP}/namespaces/{reference['namespace']}/volumesnapshots/{reference['name']}"
        snapshot = await self.client.find(place)
        if snapshot and contents.refers(content, snapshot) and "deletionTimestamp" not in snapshot["metadata"]:
            return False
        if content["spec"]["deletionPolicy"] == "Delete":
            await asyncio.to_thread(self.directories.delete_snapshot, contents.handle(content))
        left = contents.without(content, {contents.CONTENT_BOUND})
        await self.client.merge(path, {"metadata": {"finalizers": left}})
        return True

    async def _protect(self, path: str, item: Object, finalizers: set[str]) -> None:
        known = item["metadata"].get("finalizers") or []
        if missing := sorted(finalizers - set(known)):
            await self.client.merge(path, {"metadata": {"finalizers": [*known, *missing]}})

    async def _status(self, path: str, item: Object, status: Object) -> None:
        before = item.get("status") or {}
        told = (before.get("error") or {}).get("message") == (status.get("error") or {}).get("message")
        rest = all(before.get(key) == value for key, value in status.items() if key != "error")
        if not (told and rest and before):
            await self.client.merge(f"{path}/status", {"status": status})


def _path(snapshot: Object) -> str:
    metadata = snapshot["metadata"]
    return f"{GROUP}/namespaces/{metadata['namespace']}/volumesnapshots/{metadata['name']}"

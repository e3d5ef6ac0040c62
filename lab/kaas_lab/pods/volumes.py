"""The volumes of a Pod as directories of this machine."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaas_lab.machines.api import Object

from .client import Client
from .environment import ConfigError, content, field_of

DRIVER = "lab.csi.kaas.internal"
FILE_MODE = 0o644


class NotReady(Exception):
    """A volume cannot be mounted yet: an Event FailedMount or FailedAttachVolume, and another try."""

    def __init__(self, message: str, reason: str = "FailedMount") -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Stores:
    """Directories: of the driver's volumes, and of what a Pod has for itself."""

    volumes: Path
    pod: Path


async def prepare(client: Client, pod: Object, stores: Stores) -> dict[str, Path]:
    """Directory of each volume of a Pod by its name. Raises NotReady, or ApiError."""
    return {v["name"]: await _prepare(client, pod, v, stores) for v in pod["spec"].get("volumes") or ()}


async def _prepare(client: Client, pod: Object, volume: Mapping[str, Any], stores: Stores) -> Path:
    own = stores.pod / "volumes" / str(volume["name"])
    if claim := claim_name(pod, volume):
        return await _claim(client, pod, claim, stores)
    if "hostPath" in volume:
        return Path(volume["hostPath"]["path"])
    if "emptyDir" in volume:
        own.mkdir(parents=True, exist_ok=True)
        return own
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(parents=True)
    own.chmod(0o755)
    try:
        for source in volume.get("projected", {}).get("sources") or [volume]:
            await _fill(client, pod, source, own)
    except ConfigError as error:
        raise NotReady(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}') from error
    return own


def claim_name(pod: Object, volume: Mapping[str, Any]) -> str:
    """Name of the claim behind a volume; "" when there is none. An ephemeral volume's is made of the Pod's name."""
    if claim := volume.get("persistentVolumeClaim"):
        return str(claim["claimName"])
    return f"{pod['metadata']['name']}-{volume['name']}" if "ephemeral" in volume else ""


async def _claim(client: Client, pod: Object, name: str, stores: Stores) -> Path:
    namespace = pod["metadata"]["namespace"]
    claim = await client.find(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}")
    if claim is None:
        raise NotReady(f'persistentvolumeclaim "{name}" not found')
    bound = claim["spec"].get("volumeName")
    if not bound or claim.get("status", {}).get("phase") != "Bound":
        raise NotReady(f'persistentvolumeclaim "{name}" is not bound')
    volume = await client.get(f"/api/v1/persistentvolumes/{bound}")
    source = volume["spec"].get("csi", {})
    if source.get("driver") != DRIVER:
        raise NotReady(f'volume "{bound}" is not of the driver {DRIVER}')
    directory = stores.volumes / str(source["volumeHandle"])
    if not directory.is_dir():
        raise NotReady(
            f'MountVolume.MountDevice failed for volume "{bound}" : volume {source["volumeHandle"]} not found'
        )
    return directory


async def _fill(client: Client, pod: Object, source: Mapping[str, Any], directory: Path) -> None:
    """Write the files of one source. Raises ConfigError when an object is missing."""
    for kind, plural in (("secret", "secrets"), ("configMap", "configmaps")):
        if kind in source:
            await _object(client, pod, source[kind], plural, directory)
            return
    if "downwardAPI" in source:
        for item in source["downwardAPI"]["items"]:
            if "fieldRef" in item:
                _write(directory / item["path"], field_of(pod, item["fieldRef"]["fieldPath"]).encode())
    elif "serviceAccountToken" in source:
        await _token(client, pod, source["serviceAccountToken"], directory)
    else:
        raise ConfigError(f"the lab knows no such volume: {', '.join(k for k in source if k != 'name')}")


async def _object(client: Client, pod: Object, reference: Mapping[str, Any], plural: str, directory: Path) -> None:
    name = reference.get("secretName") or reference["name"]
    namespace = pod["metadata"]["namespace"]
    found = await client.find(f"/api/v1/namespaces/{namespace}/{plural}/{name}")
    if found is None:
        if reference.get("optional"):
            return
        raise ConfigError(f'{plural.removesuffix("s")} "{name}" not found')
    data = content(found)
    items = reference.get("items") or [{"key": key, "path": key} for key in data]
    for item in items:
        if item["key"] not in data:
            if reference.get("optional"):
                continue
            raise ConfigError(f"references non-existent {plural.removesuffix('s')} key: {item['key']}")
        mode = item.get("mode", reference.get("defaultMode", FILE_MODE))
        _write(directory / item["path"], data[item["key"]], mode)


async def _token(client: Client, pod: Object, wanted: Mapping[str, Any], directory: Path) -> None:
    metadata, account = pod["metadata"], pod["spec"].get("serviceAccountName", "default")
    bound = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
    spec: Object = {"boundObjectRef": bound, "expirationSeconds": wanted.get("expirationSeconds", 3600)}
    spec["audiences"] = [wanted["audience"]] if wanted.get("audience") else []
    path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
    answer = await client.post(path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
    _write(directory / wanted["path"], answer["status"]["token"].encode(), 0o600)


def _write(path: Path, data: bytes, mode: int = FILE_MODE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)

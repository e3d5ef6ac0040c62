"""Snapshots that another namespace has poisoned or forged: no Pod sees anything of them."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from kaas_lab import pods

from kaas.kube.objects import Object, annotation, labels
from kaas.volumes import terms
from kaas.volumes.cache import snapshots
from tests.contract.volumes.stage import until
from tests.contract.volumes_cache.born import Namespace
from tests.contract.volumes_cache.conftest import BUCKET, Bucket, notes
from tests.contract.workloads import WorkloadLab

pytestmark = pytest.mark.usefixtures("controller")

MIB = 2**20
SMALL = {f"{folder}/{name}": f"{folder} {name}".encode() for folder in ("a", "b") for name in ("1", "2", "3")}
LARGE = {"large/right": os.urandom(6 * MIB), "large/wrong": os.urandom(6 * MIB)}
FILES = SMALL | LARGE


def fill(bucket: Bucket, prefix: str) -> None:
    """All objects; the large ones come in parts, as every client sends them."""
    for name, body in SMALL.items():
        bucket.put(f"{prefix}/{name}", body)
    for name, body in LARGE.items():
        where = {"Bucket": BUCKET, "Key": f"{prefix}/{name}"}
        upload = bucket.client.create_multipart_upload(**where, ACL="public-read")["UploadId"]
        parts = []
        for number, part in enumerate((body[: 5 * MIB], body[5 * MIB :]), 1):
            sent = bucket.client.upload_part(**where, UploadId=upload, PartNumber=number, Body=part)
            parts.append({"PartNumber": number, "ETag": sent["ETag"]})
        bucket.client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})


def poison(image: Path) -> None:
    """What a stranger can do to a volume while it is loaded, and have its journal say nothing of it."""
    for name in ("a/1", "large/wrong"):
        found = (image / name).stat()
        with (image / name).open("r+b") as file:
            file.write(b"EVIL")
        os.utime(image / name, ns=(found.st_atime_ns, found.st_mtime_ns))
    database = sqlite3.connect(image / ".kaas-load" / "ledger.sqlite")
    database.execute("UPDATE entry SET size = 4, mtime = ? WHERE name = 'a/2'", ((image / "a/2").stat().st_mtime_ns,))
    database.commit()
    database.close()
    (image / "a" / "3").unlink()
    (image / "a" / "3").symlink_to("/etc/passwd")
    shutil.rmtree(image / "b")
    (image / "b").symlink_to("/etc")
    (image / "large" / "right").chmod(0o4777)
    (image / "extra.sh").write_bytes(b"evil")
    (image / ".kaas-load" / "extra.sh").write_bytes(b"evil")


async def image_of(state: Path, namespace: Namespace, snapshot: Object) -> Path:
    """Where the driver keeps what a snapshot holds."""
    name = snapshot["status"]["boundVolumeSnapshotContentName"]
    found = [c for c in await namespace.stage.client.list(snapshots.CONTENT) if c["metadata"]["name"] == name]
    return pods.directory(state) / "snapshots" / str(found[0]["status"]["snapshotHandle"])


def tree(volume: Path) -> dict[str, bytes]:
    """Contents of all that is in a volume but for the journal; links are not followed."""
    found = [p for p in volume.rglob("*") if ".kaas-load" not in p.parts and (p.is_symlink() or not p.is_dir())]
    return {str(p.relative_to(volume)): b"a link" if p.is_symlink() else p.read_bytes() for p in found}


async def test_of_a_poisoned_snapshot_nothing_is_left_when_pods_start(
    team: Namespace, others: Namespace, bucket: Bucket, workload_lab: WorkloadLab
) -> None:
    fill(bucket, "poisoned")
    await others.loaded("theirs", notes(bucket, "poisoned"))
    (theirs,) = await others.snapshots()
    image = await image_of(workload_lab.state, others, theirs)
    poison(image)
    bucket.fetched.clear()
    await team.stage.pod("app", "ours")
    message = await team.loaded("ours", notes(bucket, "poisoned"))
    assert f"of namespace {others.name}, compared with the source: 2 of 8 files were there" in message
    volume = workload_lab.volume(team.name, "ours")
    assert tree(volume) == FILES
    assert not (volume / ".kaas-load" / "extra.sh").exists()
    assert (volume / "large" / "right").stat().st_mode & 0o7777 == 0o644
    assert set(bucket.fetched) == {f"poisoned/{name}" for name in FILES.keys() - {"a/2", "large/right"}}
    await team.stage.until_free("app")

    # What was not what it said is not handed on: the namespace keeps its own, and believes that one.
    own = [s for s in await team.snapshots() if snapshots.ORIGIN_LABEL not in labels(s)]
    assert len(own) == 1
    bucket.fetched.clear()
    message = await team.loaded("second", notes(bucket, "poisoned"))
    assert f"from snapshot {own[0]['metadata']['name']}, 8 of 8 files were there" in message
    assert not bucket.fetched
    assert tree(workload_lab.volume(team.name, "second")) == FILES


async def test_a_forged_snapshot_is_given_to_nobody(team: Namespace, others: Namespace, bucket: Bucket) -> None:
    fill(bucket, "forged")
    await others.loaded("theirs", notes(bucket, "forged"))
    (right,) = await others.snapshots()
    client = others.stage.client
    await others.claim("poison", {})
    meta = right["metadata"]
    forged = {
        "apiVersion": snapshots.API,
        "kind": "VolumeSnapshot",
        "metadata": {
            "name": "forged",
            "namespace": others.name,
            "labels": {**labels(right), snapshots.PUBLIC_LABEL: "true"},
            "annotations": {k: v for k, v in meta["annotations"].items() if "/cache-" in k},
        },
        "spec": {**right["spec"], "source": {"persistentVolumeClaimName": "poison"}},
    }
    await client.create(forged)

    async def ready() -> bool:
        return any(snapshots.usable(s) for s in await others.snapshots() if s["metadata"]["name"] == "forged")

    await until("the forged snapshot can be used", ready)
    assert any(annotation(s, snapshots.SEALED) for s in await others.snapshots() if s["metadata"]["name"] == "forged")
    await team.loaded("ours", notes(bucket, "forged"))
    copy = next(s for s in await team.snapshots() if snapshots.ORIGIN_LABEL in labels(s))
    assert labels(copy)[snapshots.ORIGIN_LABEL] == meta["uid"]
    assert annotation(copy, terms.CAME_FROM) == others.name


async def test_whose_pods_do_not_wait_is_given_no_strangers(team: Namespace, others: Namespace, bucket: Bucket) -> None:
    fill(bucket, "waiting")
    await others.loaded("theirs", notes(bucket, "waiting"))
    message = await team.loaded("ours", notes(bucket, "waiting", wait="false"))
    assert "from no snapshot: NoSnapshot" in message
    assert await team.snapshots() == []

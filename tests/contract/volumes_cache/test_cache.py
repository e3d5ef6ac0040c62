"""Volumes that are born of snapshots: what is fetched again, who may have them, and what goes wrong."""

from __future__ import annotations

import pytest
from kaas_lab.pods.faults import Fault, Faults, Kind

from kaas.kube.objects import Object, annotation, labels, ref_of
from kaas.volumes import terms
from kaas.volumes.cache import snapshots
from tests.contract.volumes.stage import until
from tests.contract.volumes_cache.born import Namespace
from tests.contract.volumes_cache.conftest import Bucket, notes, secret
from tests.contract.workloads import WorkloadLab

pytestmark = pytest.mark.usefixtures("controller")


def fill(bucket: Bucket, prefix: str) -> None:
    """Three objects."""
    for name, body in (("config.json", b"{}"), ("deep/weights.bin", bytes(3 << 20)), ("old", b"old")):
        bucket.put(f"{prefix}/{name}", body)


async def only(namespace: Namespace) -> Object:
    (found,) = await namespace.snapshots()
    return found


async def test_what_was_loaded_is_kept_and_nothing_of_it_fetched_again(
    team: Namespace, bucket: Bucket, workload_lab: WorkloadLab
) -> None:
    fill(bucket, "again")
    await team.stage.pod("app", "first")
    message = await team.loaded("first", notes(bucket, "again"))
    kept = await only(team)
    name = kept["metadata"]["name"]
    assert f"snapshot {name} has it" in message
    assert "from no snapshot: NoSnapshot" in message
    assert annotation(kept, snapshots.SEALED)
    await team.stage.until_free("app")
    assert "SnapshotKept" in await team.stage.events("first")
    fetched = bucket.fetched.total()
    assert fetched >= 3

    message = await team.loaded("second", notes(bucket, "again"))
    assert f"from snapshot {name}, 3 of 3 files were there" in message
    assert bucket.fetched.total() == fetched
    volume = workload_lab.volume(team.name, "second")
    assert (volume / "deep" / "weights.bin").stat().st_size == 3 << 20
    assert (await only(team))["metadata"]["name"] == name


async def test_of_a_bucket_that_changed_the_difference_is_fetched(
    team: Namespace, bucket: Bucket, workload_lab: WorkloadLab
) -> None:
    fill(bucket, "changing")
    await team.loaded("first", notes(bucket, "changing"))
    before = await only(team)
    bucket.fetched.clear()
    bucket.put("changing/new", b"new")
    bucket.put("changing/config.json", b"[1]")
    bucket.delete("changing/old")
    message = await team.loaded("second", notes(bucket, "changing"))
    assert f"from snapshot {before['metadata']['name']}, 1 of 3 files were there" in message
    assert set(bucket.fetched) == {"changing/new", "changing/config.json"}
    volume = workload_lab.volume(team.name, "second")
    assert (volume / "config.json").read_bytes() == b"[1]"
    assert not (volume / "old").exists()
    why = await team.until_retired(before["metadata"]["name"])
    assert why == "gone" or why.endswith("Superseded")
    await team.until_gone(before["metadata"]["name"])
    assert annotation(await only(team), snapshots.DIGEST) != annotation(before, snapshots.DIGEST)


async def test_a_public_source_is_shared_with_all(team: Namespace, others: Namespace, bucket: Bucket) -> None:
    fill(bucket, "public")
    await others.loaded("theirs", notes(bucket, "public"))
    bucket.fetched.clear()
    message = await team.loaded("ours", notes(bucket, "public"))
    copy = await only(team)
    name = copy["metadata"]["name"]
    assert f"from snapshot {name} of namespace {others.name}, compared with the source: 3 of 3 files" in message
    assert not bucket.fetched
    assert labels(copy)[snapshots.ORIGIN_LABEL] == (await only(others))["metadata"]["uid"]
    # The copy goes: its content, which nobody else removes, goes with it, and the origin's stays.
    content = copy["status"]["boundVolumeSnapshotContentName"] if "status" in copy else ""
    await team.stage.client.delete(ref_of(copy))
    await team.until_gone(copy["metadata"]["name"])

    async def gone() -> bool:
        found = await team.stage.client.list(snapshots.CONTENT)
        return content not in [c["metadata"]["name"] for c in found]

    await until("the content of the copy is gone", gone)
    assert (await only(others))["status"]["readyToUse"]


async def test_what_a_team_read_with_its_credentials_stays_with_it(
    team: Namespace, others: Namespace, bucket: Bucket
) -> None:
    fill(bucket, "private")
    for one in (team, others):
        await one.stage.client.create(secret(one.name))
    private = notes(bucket, "private", credentials="team-s3")
    await others.loaded("theirs", private)
    bucket.fetched.clear()
    message = await team.loaded("ours", private)
    assert "from no snapshot: NoSnapshot" in message
    assert set(bucket.fetched) == {"private/config.json", "private/deep/weights.bin", "private/old"}
    assert not snapshots.public(await team.stage.client.list(snapshots.CONTENT)) & {
        (await only(one))["metadata"]["uid"] for one in (team, others)
    }
    assert labels(await only(others))[terms.CACHE_KEY_LABEL] != labels(await only(team))[terms.CACHE_KEY_LABEL]


async def test_a_snapshot_that_fails_holds_up_nobody_for_long(team: Namespace, bucket: Bucket, faults: Faults) -> None:
    fill(bucket, "uncut")
    faults.add(Fault(Kind.SNAPSHOT_FAILS, f"{team.name}/*"))
    await team.stage.pod("app", "data")
    await team.claim("data", notes(bucket, "uncut"))
    await team.stage.until_told("Verifying", "data", "Pods wait until snapshot")
    assert await team.stage.gates("app") == [terms.GATE]
    message = await team.stage.until_told("Loaded", "data")
    assert "no snapshot is kept: none was cut within 40s" in message
    assert "snapshot failed on purpose" in message
    await team.stage.until_free("app")
    assert "SnapshotNotKept" in await team.stage.events("data")
    faults.heal(Kind.SNAPSHOT_FAILS)
    for one in await team.snapshots():
        await team.until_gone(one["metadata"]["name"])


async def test_a_restore_that_fails_says_why_and_the_way_out(team: Namespace, bucket: Bucket, faults: Faults) -> None:
    fill(bucket, "unborn")
    await team.loaded("first", notes(bucket, "unborn"))
    faults.add(Fault(Kind.RESTORE_FAILS, f"{team.name}/second"))
    await team.claim("second", notes(bucket, "unborn"))
    message = await team.stage.until_told("Restoring", "second", "on purpose")
    assert "restore failed on purpose" in message
    assert "make it anew with kaas.internal/load-cache: none" in message
    faults.heal(Kind.RESTORE_FAILS)
    assert "3 of 3 files" in await team.stage.until_told("Loaded", "second")


async def test_what_was_not_used_for_longest_goes_when_there_are_too_many(team: Namespace, bucket: Bucket) -> None:
    names = []
    for number in range(4):
        bucket.put(f"many-{number}/file", b"x")
        await team.loaded(f"data-{number}", notes(bucket, f"many-{number}"))
        names += [s["metadata"]["name"] for s in await team.snapshots() if s["metadata"]["name"] not in names]
    assert len(names) == 4
    await team.until_gone(names[0])
    assert {s["metadata"]["name"] for s in await team.snapshots()} == set(names[1:])

"""The lab's storage: claims of each class, attachment, snapshots, and volumes born of them."""

from __future__ import annotations

from typing import Any

import pytest
from kaas_lab import pods
from kaas_lab.pods.faults import Fault, Faults, Kind

from tests.contract.lab_pods.cluster import Cluster

AT_DATA = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}


def of(claim: str) -> list[dict[str, Any]]:
    return [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]


def snapshot(cluster: Cluster, name: str, claim: str) -> None:
    source = {"persistentVolumeClaimName": claim}
    cluster.create("VolumeSnapshot", name, spec={"volumeSnapshotClassName": "lab-snapshots", "source": source})


def ready(cluster: Cluster, name: str) -> dict[str, Any]:
    def reached() -> dict[str, Any] | None:
        found = cluster.find("VolumeSnapshot", name)
        return found if found and (found.get("status") or {}).get("readyToUse") else None

    return cluster.wait(f"snapshot {name} is ready", reached)


def filled(cluster: Cluster, name: str, text: str = "first") -> None:
    cluster.claim(name)
    cluster.bound(name)
    (cluster.lab.volume(cluster.namespace, name) / "file").write_text(text)


def born(name: str, kind: str = "VolumeSnapshot", group: str = "snapshot.storage.k8s.io") -> dict[str, Any]:
    return {"dataSourceRef": {"apiGroup": group, "kind": kind, "name": name}}


def test_a_claim_is_bound_at_once_and_its_volume_goes_with_it(cluster: Cluster) -> None:
    cluster.claim("data")
    cluster.bound("data")
    directory = cluster.lab.volume(cluster.namespace, "data")
    assert directory.is_dir()
    volume = (cluster.find("PersistentVolumeClaim", "data") or {})["spec"]["volumeName"]
    cluster.delete("PersistentVolumeClaim", "data")
    cluster.wait("the volume has gone", lambda: cluster.find("PersistentVolume", volume) is None)
    assert not directory.exists()


def test_a_claim_that_waits_is_bound_in_the_zone_of_its_first_pod(cluster: Cluster) -> None:
    cluster.claim("data", "lab-wait")
    cluster.event("WaitForFirstConsumer", "waiting for first consumer")
    zone = {"topology.kubernetes.io/zone": "zone-2"}
    cluster.pod("p", "touch", "/data/file", nodeSelector=zone, volumes=of("data"), container=AT_DATA)
    assert cluster.ended("p")["exitCode"] == 0
    name = (cluster.find("PersistentVolumeClaim", "data") or {})["spec"]["volumeName"]
    terms = (cluster.find("PersistentVolume", name) or {})["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert terms[0]["matchExpressions"][0]["values"] == ["zone-2"]


def test_a_volume_of_one_node_waits_for_the_other(cluster: Cluster) -> None:
    cluster.claim("data")
    first = {"kubernetes.io/hostname": "node-1"}
    second = {"kubernetes.io/hostname": "node-2"}
    cluster.pod("one", "sleep", "1000", nodeSelector=first, volumes=of("data"), container=AT_DATA)
    cluster.phase("one", "Running")
    cluster.pod("two", "true", nodeSelector=second, volumes=of("data"), container=AT_DATA)
    cluster.event("FailedAttachVolume", "Multi-Attach error")
    cluster.delete("Pod", "one", gracePeriodSeconds="1")
    assert cluster.ended("two")["exitCode"] == 0


def test_a_shared_volume_is_on_both_nodes(cluster: Cluster) -> None:
    cluster.claim("data", "lab-rwx", accessModes=["ReadWriteMany"])
    for number in (1, 2):
        node = {"kubernetes.io/hostname": f"node-{number}"}
        cluster.pod(f"p{number}", "sleep", "1000", nodeSelector=node, volumes=of("data"), container=AT_DATA)
    cluster.phase("p1", "Running")
    cluster.phase("p2", "Running")


def test_a_small_volume_is_full_at_its_size(cluster: Cluster) -> None:
    cluster.claim("data", "lab-small", "4Mi")
    cluster.bound("data")
    if not cluster.lab.volume(cluster.namespace, "data").is_mount():
        pytest.skip("this machine lets nobody mount a tmpfs")
    script = "head -c 8388608 /dev/zero > /data/file"
    cluster.pod("p", "sh", "-c", script, volumes=of("data"), container=AT_DATA)
    assert cluster.ended("p")["exitCode"] != 0
    assert "No space left on device" in cluster.log("p")


def test_an_ephemeral_volume_has_a_claim_of_its_own(cluster: Cluster) -> None:
    spec = {
        "storageClassName": "lab-wait",
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    }
    volume = {"name": "data", "ephemeral": {"volumeClaimTemplate": {"spec": spec}}}
    cluster.pod("p", "touch", "/data/file", volumes=[volume], container=AT_DATA)
    assert cluster.ended("p")["exitCode"] == 0
    assert (cluster.lab.volume(cluster.namespace, "p-data") / "file").exists()


def test_a_claim_is_born_of_a_snapshot(cluster: Cluster) -> None:
    filled(cluster, "data", "first")
    snapshot(cluster, "s", "data")
    assert ready(cluster, "s")["status"]["restoreSize"] == "1Gi"
    (cluster.lab.volume(cluster.namespace, "data") / "file").write_text("second")
    cluster.claim("new", **born("s"))
    cluster.bound("new")
    assert (cluster.lab.volume(cluster.namespace, "new") / "file").read_text() == "first"


def test_a_snapshot_goes_with_its_content_once_nothing_is_born_of_it(cluster: Cluster) -> None:
    filled(cluster, "data")
    snapshot(cluster, "s", "data")
    content = ready(cluster, "s")["status"]["boundVolumeSnapshotContentName"]
    cluster.delete("VolumeSnapshot", "s")
    cluster.wait("the snapshot has gone", lambda: cluster.find("VolumeSnapshot", "s") is None)
    assert cluster.find("VolumeSnapshotContent", content) is None


def test_a_snapshot_is_known_in_another_namespace_by_its_handle(cluster: Cluster) -> None:
    filled(cluster, "data")
    snapshot(cluster, "s", "data")
    content = cluster.find("VolumeSnapshotContent", ready(cluster, "s")["status"]["boundVolumeSnapshotContentName"])
    assert content
    name = f"static-{cluster.namespace}"
    reference = {"name": "static", "namespace": cluster.namespace}
    spec = {
        "deletionPolicy": "Retain",
        "driver": "lab.csi.kaas.internal",
        "source": {"snapshotHandle": content["status"]["snapshotHandle"]},
        "volumeSnapshotRef": reference,
    }
    cluster.create("VolumeSnapshotContent", name, spec=spec)
    cluster.create("VolumeSnapshot", "static", spec={"source": {"volumeSnapshotContentName": name}})
    ready(cluster, "static")
    cluster.claim("new", **born("static"))
    cluster.bound("new")
    assert (cluster.lab.volume(cluster.namespace, "new") / "file").read_text() == "first"
    cluster.delete("VolumeSnapshot", "static")
    cluster.wait("the snapshot has gone", lambda: cluster.find("VolumeSnapshot", "static") is None)
    assert cluster.find("VolumeSnapshotContent", name)


def test_a_claim_that_is_smaller_than_its_snapshot_is_refused(cluster: Cluster) -> None:
    filled(cluster, "data")
    snapshot(cluster, "s", "data")
    ready(cluster, "s")
    cluster.claim("new", size="1Mi", **born("s"))
    cluster.event("ProvisioningFailed", "is less than the size")


def test_a_claim_for_a_populator_is_left_alone(cluster: Cluster) -> None:
    cluster.claim("data", **born("x", "Load", "kaas.internal"))
    cluster.event("Provisioning", "Assuming an external populator will provision the volume")
    assert (cluster.find("PersistentVolumeClaim", "data") or {})["status"]["phase"] == "Pending"


def test_what_is_broken_on_purpose_is_told_and_heals(cluster: Cluster) -> None:
    faults = Faults(pods.directory(cluster.lab.state))
    filled(cluster, "data")
    here = f"{cluster.namespace}/*"
    faults.add(Fault(Kind.SNAPSHOT_FAILS, here))
    snapshot(cluster, "s", "data")

    def error() -> str | None:
        status = (cluster.find("VolumeSnapshot", "s") or {}).get("status") or {}
        return str((status.get("error") or {}).get("message", "")) or None

    assert "snapshot failed on purpose" in cluster.wait("the error is told", error)
    faults.heal(Kind.SNAPSHOT_FAILS, here)
    ready(cluster, "s")
    faults.add(Fault(Kind.RESTORE_FAILS, here))
    cluster.claim("new", **born("s"))
    cluster.event("ProvisioningFailed", "restore failed on purpose")
    faults.heal(Kind.RESTORE_FAILS, here)
    cluster.bound("new")


def test_an_image_does_not_pull_until_it_is_healed(cluster: Cluster) -> None:
    faults = Faults(pods.directory(cluster.lab.state))
    image = f"busybox:{cluster.namespace}"
    faults.add(Fault(Kind.UNPULLABLE, image))
    cluster.pod("p", "true", container={"image": image})
    assert "failed to pull" in cluster.waiting("p", "ErrImagePull")
    faults.heal(Kind.UNPULLABLE, image)
    assert cluster.ended("p")["exitCode"] == 0


def test_a_node_that_is_away_is_told_by_the_controllers(cluster: Cluster) -> None:
    faults = Faults(pods.directory(cluster.lab.state))

    def is_ready(wanted: str) -> bool:
        conditions = (cluster.find("Node", "node-2") or {})["status"]["conditions"]
        return any(c["type"] == "Ready" and c["status"] == wanted for c in conditions)

    faults.add(Fault(Kind.NODE_AWAY, "node-2"))
    try:
        cluster.wait("nobody knows how the node is", lambda: is_ready("Unknown"))
    finally:
        faults.heal(Kind.NODE_AWAY, "node-2")
    cluster.wait("the node is well again", lambda: is_ready("True"))

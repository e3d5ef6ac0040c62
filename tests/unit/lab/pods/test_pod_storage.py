"""The played CSI driver's decisions, and its directories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kaas_lab.pods.attachments import Attachments
from kaas_lab.pods.storage import claims, contents
from kaas_lab.pods.storage.directories import Directories
from kaas_lab.pods.volumes import DRIVER, NotReady

IMMEDIATE = {"metadata": {"name": "lab-immediate"}, "volumeBindingMode": "Immediate", "reclaimPolicy": "Delete"}
WAIT = {"metadata": {"name": "lab-wait"}, "volumeBindingMode": "WaitForFirstConsumer", "reclaimPolicy": "Delete"}


def claim(annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    metadata = {"name": "c", "namespace": "ns", "uid": "u", "resourceVersion": "1", "annotations": annotations or {}}
    return {"metadata": metadata, "spec": wanted}


OURS = {claims.PROVISIONER: DRIVER}


@pytest.mark.parametrize(
    ("one", "storage_class", "turn"),
    [
        (claim(OURS), IMMEDIATE, True),
        (claim(OURS), WAIT, False),
        (claim({**OURS, claims.SELECTED_NODE: "node-1"}), WAIT, True),
        (claim({claims.PROVISIONER: "other"}), IMMEDIATE, False),
        (claim(), IMMEDIATE, False),
        (claim(OURS, volumeName="pv"), IMMEDIATE, False),
    ],
)
def test_whose_turn_it_is(one: dict[str, Any], storage_class: dict[str, Any], turn: bool) -> None:
    assert claims.is_ours(one, storage_class) is turn


def test_a_volume_of_a_zone_is_reached_from_there_alone() -> None:
    terms = claims.volume(claim(), WAIT, "zone-2")["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert terms[0]["matchExpressions"][0]["values"] == ["zone-2"]
    assert "nodeAffinity" not in claims.volume(claim(), IMMEDIATE, None)["spec"]


def volume(*modes: str) -> dict[str, Any]:
    return {"metadata": {"name": "v"}, "spec": {"accessModes": list(modes)}}


def test_a_volume_of_one_node_is_held_by_one() -> None:
    attachments = Attachments()
    attachments.hold(volume("ReadWriteOnce"), "node-1", "p1")
    attachments.hold(volume("ReadWriteOnce"), "node-1", "p2")
    with pytest.raises(NotReady, match="Multi-Attach error"):
        attachments.hold(volume("ReadWriteOnce"), "node-2", "p3")
    attachments.release("node-1", "p1")
    with pytest.raises(NotReady, match="Multi-Attach error"):
        attachments.hold(volume("ReadWriteOnce"), "node-2", "p3")
    attachments.release("node-1", "p2")
    attachments.hold(volume("ReadWriteOnce"), "node-2", "p3")


def test_a_shared_volume_is_held_by_many() -> None:
    attachments = Attachments()
    attachments.hold(volume("ReadWriteMany"), "node-1", "p1")
    attachments.hold(volume("ReadWriteMany"), "node-2", "p2")
    assert sorted(attachments.users("v")) == ["p1", "p2"]


def test_a_snapshot_keeps_what_the_volume_had(tmp_path: Path) -> None:
    stores = Directories(tmp_path)
    stores.create("v1", None, None)
    (stores.volumes / "v1/file").write_text("before")
    stores.snapshot("v1", "s1", 1 << 30)
    (stores.volumes / "v1/file").write_text("after")
    stores.create("v2", stores.snapshots / "s1", None)
    assert (stores.volumes / "v2/file").read_text() == "before"
    assert stores.known("s1") == 1 << 30


def test_a_snapshot_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="snapshot s1 not found"):
        Directories(tmp_path).known("s1")


@pytest.mark.parametrize(
    ("size", "text"), [(1 << 30, "1Gi"), (1536 << 20, "1536Mi"), (1025, "1025"), (0, "0"), (1 << 50, "1024Ti")]
)
def test_a_size_in_binary_units(size: int, text: str) -> None:
    assert contents.binary(size) == text


def test_a_content_is_for_the_snapshot_that_it_names() -> None:
    snapshot = {"metadata": {"name": "s", "namespace": "ns", "uid": "u"}}
    reference = {"name": "s", "namespace": "ns"}
    assert contents.refers({"spec": {"volumeSnapshotRef": reference}}, snapshot)
    assert contents.refers({"spec": {"volumeSnapshotRef": {**reference, "uid": "u"}}}, snapshot)
    assert not contents.refers({"spec": {"volumeSnapshotRef": {**reference, "uid": "other"}}}, snapshot)
    assert not contents.refers({"spec": {"volumeSnapshotRef": {**reference, "namespace": "other"}}}, snapshot)

"""Machines that are to go, from their deletion until Cluster API may drain them."""

from __future__ import annotations

import asyncio

import pytest

from kaas.api.constants import LABEL_POOL
from kaas.kube import resources
from kaas.kube.times import stamp
from kaas.updates.drains.facts import Offer
from kaas.updates.drains.reconciler import AGAIN
from kaas.updates.drains.seen import whole_of
from kaas.updates.drains.words import WHOLE
from tests.unit.clusters.builders import NAME, NAMESPACE
from tests.unit.updates.drains.builders import HOUR, NOW
from tests.unit.updates.drains.clusters import DEPLOYMENT, Killed, World


def world(**more: object) -> World:
    found = World(update={"drainTimeoutSeconds": 3600}, **more)  # type: ignore[arg-type]
    found.box("a")
    found.box("b")
    found.pod("train", "a")
    return found


async def test_a_job_is_told_waited_for_and_then_its_node_is_drained() -> None:
    it = world()
    assert await it.look("a") is None  # nobody has deleted it
    it.delete("a")
    assert await it.look("a") == AGAIN
    assert it.is_cordoned("a")
    assert it.note("train") == {"drain-at": stamp(NOW + HOUR), "drain-reason": "node a is to be replaced by an update"}
    assert it.workload.events == [("Pod", "train", "DrainAhead"), ("Job", "of-train", "DrainAhead")]
    assert (it.is_held("a"), it.said("a"), it.metric("waiting", reason="PodsRunning")) == (True, "PodsRunning", 1)
    del it.workload.objects["Pod", "train"]
    assert await it.look("a", 60) == AGAIN
    assert (it.is_held("a"), it.said("a")) == (False, "PodsDone")
    assert it.events == [("a", "DrainWaits"), ("a", "DrainBegins")]
    assert it.metric("waiting", reason="PodsRunning") == 0
    assert it.metric("begun_total", reason="PodsDone") == 1
    assert it.metric("waited_seconds_sum") == 60


async def test_of_machines_that_wait_no_longer_nothing_is_kept() -> None:
    it = world()
    it.delete("a")
    it.delete("b")
    await it.look("a")
    await it.look("b")
    del it.workload.objects["Pod", "train"]
    for name in "ab":  # the second still waits for the first, and is asked about
        await it.look(name, 60)
        await it.look(name, 10)
    assert (it.is_held("a"), it.is_held("b"), it.forgotten) == (False, True, 0)
    it.index.remove(it.machine("a"))
    await it.look("a")
    it.index.remove(it.machine("b"))
    assert await it.look("b", 10) is None
    kept = [v for v in vars(it.reconciler).values() if isinstance(v, dict)]
    assert kept
    assert not any(kept)
    assert it.forgotten == 1


async def test_it_is_told_once_and_nothing_is_written_while_it_waits() -> None:
    it = world()
    it.delete("a")
    await it.look("a")
    writes, events = it.writes, list(it.workload.events)
    for _ in range(5):
        assert await it.look("a", 10) == AGAIN
    assert (it.writes, it.workload.events) == (writes, events)


async def test_a_pod_that_cannot_be_annotated_is_tried_again_without_an_event_each_time() -> None:
    it = world()
    it.pod("other", "a")
    it.workload.refuses = True
    it.delete("a")
    for _ in range(3):
        assert await it.look("a", 10) == AGAIN
    assert (it.is_cordoned("a"), it.workload.events) == (True, [])
    it.workload.refuses = False
    for _ in range(3):
        await it.look("a", 10)
    assert sorted(name for _, name, _ in it.workload.events) == ["of-other", "of-train", "other", "train"]


async def test_a_cluster_that_falls_silent_while_pods_are_told_keeps_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    it = world()
    it.delete("a")
    monkeypatch.setattr("kaas.updates.drains.reconciler.TELLING", 0.01)
    monkeypatch.setattr(it.workload, "patch", silent)
    assert await it.look("a") == AGAIN
    monkeypatch.undo()
    await it.look("a", 10)
    assert it.workload.events == [("Pod", "train", "DrainAhead"), ("Job", "of-train", "DrainAhead")]


async def test_time_is_out() -> None:
    it = world()
    it.delete("a")
    await it.look("a")
    assert await it.look("a", 3599) == 1.0
    assert it.is_held("a")
    await it.look("a", 1)
    assert (it.is_held("a"), it.said("a")) == (False, "TimedOut")


async def test_a_pod_that_comes_after_the_notice_is_told_too_and_by_when() -> None:
    it = world()
    it.delete("a")
    await it.look("a")
    it.pod("late", "a")
    it.pod("elsewhere", "b")
    await it.look("a", 600)
    assert it.note("late")["drain-at"] == stamp(NOW + HOUR)
    assert it.note("elsewhere") == {}


@pytest.mark.parametrize(
    ("kind", "gpus", "annotations", "waited"),
    [
        ("Job", 8, {}, True),
        ("PyTorchJob", 1, {}, True),
        ("Job", 0, {}, False),
        ("ReplicaSet", 8, {}, False),
        ("StatefulSet", 8, {"checkpoint": "true"}, True),
        ("ReplicaSet", 0, {"do-not-disrupt": "true"}, True),
        ("DaemonSet", 8, {}, False),
    ],
)
async def test_who_is_waited_for(kind: str, gpus: int, annotations: dict[str, str], waited: bool) -> None:
    it = world()
    it.pod("train", "a", kind, gpus, **{k.replace("_", "-"): v for k, v in annotations.items()})
    it.delete("a")
    await it.look("a")
    assert it.is_held("a") is waited
    assert ("drain-reason" in it.note("train")) is (kind != "DaemonSet")


async def test_a_checkpoint_is_enough() -> None:
    it = world()
    it.pod("train", "a", checkpoint="true", checkpointed="2027-01-05T11:59:59Z")
    it.delete("a")
    await it.look("a")
    assert it.is_held("a")
    it.pod("train", "a", checkpoint="true", checkpointed=stamp(NOW))
    await it.look("a", 10)
    assert not it.is_held("a")


async def test_the_next_box_waits_until_the_first_is_back_with_its_gpus() -> None:
    it = world()
    it.workload.objects.pop(("Pod", "train"))
    it.delete("a")
    it.delete("b")
    await it.look("b")
    assert (it.said("b"), it.is_cordoned("b")) == ("OthersMissing", False)
    await it.look("a")
    assert not it.is_held("a")
    await it.look("b", 10)
    assert it.is_held("b")  # a is still there, and ends
    it.index.remove(it.machine("a"))
    it.box("new", gpus=7, conditions=[])
    await it.look("b", 10)
    assert it.is_held("b")
    it.box("new", conditions=[])
    await it.look("b", 10)
    assert not it.is_held("b")


async def test_what_the_pool_had_is_written_down_before_the_first_box_goes() -> None:
    it = world()
    it.delete("a")
    await it.look("a")
    deployment = it.index.get(resources.MACHINE_DEPLOYMENT, NAMESPACE, DEPLOYMENT)
    assert deployment is not None
    assert deployment["metadata"]["annotations"][WHOLE] == '[{"nvidia.com/gpu": 8}]'


async def test_a_pool_that_is_laid_out_anew_goes_through() -> None:
    """What comes has no GPU as before: no box would ever be back, or all of them at once."""
    it = world()
    it.workload.objects.pop(("Pod", "train"))
    it.lay_out("a", "ours", "success", **{"3g.20gb": 16})
    it.lay_out("b", "ours", "success", **{"3g.20gb": 16})
    it.delete("a")
    it.delete("b")
    await it.look("a")
    assert not it.is_held("a")
    deployment = it.index.get(resources.MACHINE_DEPLOYMENT, NAMESPACE, DEPLOYMENT)
    assert deployment is not None
    written = '[{"nvidia.com/mig-3g.20gb": 16, "nvidia.com/mig.config": "ours"}]'
    assert deployment["metadata"]["annotations"][WHOLE] == written
    it.index.remove(it.machine("a"))
    it.box("new", conditions=[])
    for state, slices, reason in (
        ("", 0, "LayoutMissing"),
        ("pending", 0, "LayoutMissing"),
        ("failed", 0, "LayoutFailed"),
        ("success", 49, "LayoutMissing"),
        ("success", 56, "PodsDone"),
    ):
        it.lay_out("new", "all-1g.5gb", state, **{"1g.5gb": slices})
        await it.look("b", 10)
        assert (state, slices, it.said("b")) == (state, slices, reason)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[{"nvidia.com/gpu": 56}]', (Offer({"nvidia.com/gpu": 56}),)),
        ('[{"nvidia.com/gpu": 56, "nvidia.com/mig.config": "ours"}]', (Offer({"nvidia.com/gpu": 56}, "ours"),)),
        ("[7]", ()),
        ("spoiled", ()),
    ],
)
def test_what_was_written_down(text: str, found: tuple[Offer, ...]) -> None:
    assert whole_of([{"metadata": {"labels": {LABEL_POOL: "dgx"}, "annotations": {WHOLE: text}}}], "dgx") == found
    assert whole_of([{"metadata": {"labels": {LABEL_POOL: "cpu"}, "annotations": {WHOLE: text}}}], "dgx") == ()


async def test_boxes_of_another_flavor_are_not_compared() -> None:
    it = world()
    it.workload.objects.pop(("Pod", "train"))
    it.box("b", gpus=4, conditions=[])
    it.delete("a")
    meta = {"name": "a", "namespace": NAMESPACE}
    kind = resources.OPENSTACK_MACHINE
    server = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, "spec": {"flavor": "dgx"}}
    it.put(server)
    await it.look("a")
    assert it.is_held("a")
    it.put({**server, "spec": {"flavor": "older"}})
    await it.look("a", 10)
    assert not it.is_held("a")


@pytest.mark.parametrize("waits", [True, False])
async def test_a_cluster_that_does_not_answer_is_waited_for_as_long_as_jobs(waits: bool) -> None:
    it = world()
    it.delete("a")
    it.workload.away = True
    await it.look("a")
    assert (it.said("a"), it.doubted) == ("NotSeen", 1)
    await it.look("a", 3599 if waits else 3600)
    assert it.is_held("a") is waits
    it.workload.away = False
    if waits:
        await it.look("a", 1)
        assert it.said("a") == "PodsRunning"


async def test_a_person_has_it_drained_at_once_although_the_cluster_is_away() -> None:
    it = world()
    it.workload.away = True
    it.delete("a", **{"drain-now": "the job is mine"})
    await it.look("a")
    assert (it.is_held("a"), it.said("a")) == (False, "DrainNow")


async def test_nothing_holds_a_cluster_that_is_deleted() -> None:
    it = world()
    it.delete("a")
    it.cluster(deletionTimestamp=stamp(NOW), finalizers=["x"])
    await it.look("a")
    assert not it.is_held("a")


async def test_nor_one_that_someone_has_deleted_in_cluster_api() -> None:
    it = world(replicas=3)
    it.box("c")
    for name in "abc":
        it.delete(name)
    await it.look("b")
    assert it.said("b") == "OthersMissing"  # the first one's place would never be filled
    meta = {"name": NAME, "namespace": NAMESPACE, "deletionTimestamp": stamp(NOW)}
    it.put({"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster", "metadata": meta})
    for name in "abc":
        await it.look(name)
    assert [(it.is_held(n), it.said(n)) for n in "abc"] == [(False, "ClusterDeleted")] * 3


async def test_all_new_machines_soak_before_an_old_one_goes() -> None:
    it = World(update={"strategy": "BlueGreen", "soakSeconds": 600, "notice": False}, replicas=2)
    it.box("a")
    it.box("b")
    it.pod("train", "a")
    it.box("x", conditions=[])
    it.delete("a")
    await it.look("a")
    assert it.said("a") == "NewMachinesMissing"
    it.box("y", conditions=[])
    it.workload.objects["Node", "y"]["status"]["conditions"][0]["lastTransitionTime"] = stamp(NOW)
    await it.look("a", 10)
    assert it.said("a") == "Soaking"
    await it.look("a", 590)
    assert (it.is_held("a"), it.note("train")) == (False, {})


async def test_killed_at_any_write_it_goes_on() -> None:
    whole = world()
    assert await _life(whole) == "PodsDone"
    for moment in range(1, whole.writes + 1):
        it = world(kill_at=moment)
        with pytest.raises(Killed):
            await _life(it)
        it.start()
        assert await _life(it) == "PodsDone", moment
        assert it.note("train")["drain-at"] == stamp(NOW + HOUR)


async def _life(it: World) -> str:
    """From the deletion to the drain; the job ends a minute after it was told."""
    if "deletionTimestamp" not in it.machine("a")["metadata"]:
        it.delete("a")
    await it.look("a")
    it.workload.objects["Pod", "train"]["status"] = {"phase": "Succeeded"}
    await it.look("a")
    assert not it.is_held("a")
    return it.said("a")

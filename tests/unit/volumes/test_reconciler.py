"""The controller of volumes in a cluster in memory: what it does, in stories."""

from __future__ import annotations

import pytest

from kaas.kube.errors import Forbidden
from kaas.kube.objects import Object, Objects, Ref
from kaas.kube.times import stamp
from kaas.loader.report import Exit, Phase, Progress, Reason
from kaas.volumes import terms
from kaas.volumes.settings import LoadSettings
from tests.unit.volumes.virtual_api import name_of
from tests.unit.volumes.virtual_cluster import NAMESPACE, VirtualCluster

NOTES = {terms.SOURCE: "s3://models/llama/"}


@pytest.fixture(name="cluster")
def virtual_cluster() -> VirtualCluster:
    return VirtualCluster()


async def begun(cluster: VirtualCluster) -> None:
    """Until the loader's Pods run."""
    await cluster.settle()
    cluster.kubernetes()
    for pod in cluster.open_loaders():
        cluster.running(pod)
    await cluster.settle()


async def loaded(cluster: VirtualCluster) -> None:
    """Until the loads that run have ended well."""
    await begun(cluster)
    for pod in cluster.open_loaders():
        cluster.end(pod)
    await cluster.settle()


async def test_a_claim_is_loaded_and_its_pods_freed(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES)
    cluster.pod("app", "data")
    await begun(cluster)
    assert cluster.told()[:2] == ("False", "Listing")
    assert cluster.gated("app")
    await loaded(cluster)
    assert cluster.told()[:2] == ("True", "Loaded")
    assert not cluster.gated("app")
    assert not cluster.api.of("Job")
    assert [said[2] for said in cluster.api.said] == ["Loaded"]


async def test_ten_calls_are_enough(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES)
    cluster.pod("app", "data")
    await loaded(cluster)
    calls = [c for c in cluster.api.calls if c != ("list", "Pod")]
    assert len(calls) <= 10, calls


async def test_progress_is_told(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES)
    await begun(cluster)
    (pod,) = cluster.open_loaders()
    progress = Progress(Phase.LOADING, 512 << 20, 812, 1 << 30, 1893, 100.0 * (1 << 20), 5.0)
    cluster.api.logs[pod["metadata"]["name"]] = f"{progress.line()}\nhello\n" + progress.line()[:20]
    await cluster.clock.advance(6)
    await cluster.settle()
    status, reason, message = cluster.told()
    assert (status, reason) == ("False", "Loading")
    assert message.startswith("50.0% 0.5/1.0GiB 812/1893 files 100.0MiB/s ETA 5s (load ")


async def test_what_helps_nobody_ends_the_load(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES)
    cluster.pod("app", "data")
    await begun(cluster)
    (pod,) = cluster.open_loaders()
    cluster.end(pod, Exit.PERMANENT, Reason.ACCESS_DENIED, "s3://models: Access Denied")
    cluster.kubernetes()
    await cluster.settle()
    status, reason, message = cluster.told()
    assert (status, reason) == ("False", "AccessDenied")
    assert message.startswith("s3://models: Access Denied. Correct it and set another kaas.internal/load-id")
    assert cluster.gated("app")
    assert ("Pod", "app", "DataNotLoaded") in [said[:3] for said in cluster.api.said]
    cluster.kubernetes()
    await cluster.settle()
    assert not cluster.api.of("Job")
    cluster.start()
    await cluster.settle()
    assert not cluster.api.of("Job"), "it is not tried again by itself"
    cluster.annotate("data", id="2")
    await loaded(cluster)
    assert cluster.told()[:2] == ("True", "Loaded")
    assert not cluster.gated("app")


async def test_another_try_is_told(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES)
    for attempt in range(3):
        await begun(cluster)
        (pod,) = cluster.open_loaders()
        cluster.end(pod, Exit.RETRY, Reason.UNREACHABLE, "503")
        if attempt < 2:
            await cluster.clock.advance(6)
            cluster.hear_all()
            await cluster.settle()
            job = cluster.api.of("Job")[0]
            cluster.api.store({**job, "status": {**job["status"], "failed": attempt + 1}})
            await cluster.settle()
            assert cluster.told()[1] == "RetryBackoff"
            assert f"attempt {attempt + 2}/3 begins soon; the last: SourceUnreachable: 503" in cluster.told()[2]
    cluster.kubernetes()
    await cluster.settle()
    assert cluster.told()[1] == "SourceUnreachable"
    assert cluster.told()[2].startswith("given up after 3 tries: 503. Correct it")


async def test_a_claim_without_annotations_frees_its_pods(cluster: VirtualCluster) -> None:
    cluster.pod("app", "data")
    await cluster.settle()
    assert cluster.gated("app")
    cluster.claim()
    await cluster.settle()
    assert not cluster.gated("app")


async def test_an_annotation_that_goes_ends_the_load_and_frees_pods(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES)
    cluster.pod("app", "data")
    await begun(cluster)
    cluster.annotate("data", source=None)
    await cluster.settle()
    assert not cluster.api.of("Job")
    assert not cluster.gated("app")
    assert cluster.told() == ("", "", "")


async def test_another_source_in_the_middle_waits_for_the_load_before(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES)
    await begun(cluster)
    (before,) = cluster.api.of("Job")
    cluster.annotate("data", source="s3://models/other/")
    await cluster.settle()
    assert "waits until the load before" in cluster.told()[2]
    (still,) = cluster.api.of("Job")
    assert still["metadata"]["deletionTimestamp"]
    cluster.kubernetes()
    await cluster.settle()
    (job,) = cluster.api.of("Job")
    assert job["metadata"]["name"] == before["metadata"]["name"]
    assert "s3://models/other/" in job["spec"]["template"]["spec"]["containers"][0]["args"]


async def test_what_is_loaded_is_not_loaded_again(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES)
    await loaded(cluster)
    for change in ({"source": "s3://models/other/"}, {"source": None}, {"source": "s3://models/llama/"}):
        cluster.annotate("data", **change)
        await cluster.settle()
        assert not cluster.api.of("Job"), change
        assert cluster.told()[0] == "True"
    cluster.start()
    await cluster.settle()
    assert not cluster.api.of("Job")


async def test_an_old_word_about_a_claim_does_not_have_it_loaded_again(cluster: VirtualCluster) -> None:
    """The watch of claims may be behind when that of Jobs is not: the claim itself is asked before a load begins."""
    cluster.claim(notes=NOTES)
    await begun(cluster)
    cluster.annotate("data", wait="true")
    (old,) = cluster.api.late["PersistentVolumeClaim"]
    for pod in cluster.open_loaders():
        cluster.end(pod)
    await cluster.settle()
    assert cluster.told()[0] == "True"
    cluster.api.late["PersistentVolumeClaim"].append(old)
    await cluster.settle()
    assert not cluster.api.of("Job")


async def test_a_loader_whose_job_was_lost_is_waited_for(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES)
    await begun(cluster)
    (job,) = cluster.api.of("Job")
    cluster.api.drop(name_of(job))
    await cluster.settle()
    assert not cluster.api.of("Job")
    assert "waits until a loader whose Job is gone has ended" in cluster.told()[2]
    cluster.kubernetes()
    assert not cluster.loaders()
    await cluster.clock.advance(6)
    await loaded(cluster)
    assert cluster.told()[0] == "True"


async def test_it_is_waited_for_however_late_its_pod_is_heard_of(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES)
    await cluster.settle()
    cluster.kubernetes()
    (pod,) = cluster.open_loaders()
    cluster.running(pod)
    late = cluster.api.late.pop("Pod")
    (job,) = cluster.api.of("Job")
    cluster.api.drop(name_of(job))
    for _ in range(3):
        await cluster.settle()
        assert not cluster.api.of("Job"), "two loaders would write into one volume"
        assert "waits until a loader whose Job is gone has ended" in cluster.told()[2]
        await cluster.clock.advance(6)
    cluster.api.late["Pod"] = late
    await cluster.settle()
    cluster.kubernetes()
    await cluster.clock.advance(6)
    await loaded(cluster)
    assert cluster.told()[0] == "True"


async def test_a_loader_without_a_job_on_a_lost_node_is_told_with_the_way_out(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES)
    await begun(cluster)
    (pod,) = cluster.open_loaders()
    due = stamp(cluster.clock.now())
    lost = {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": due}, "spec": {**pod["spec"], "nodeName": "n1"}}
    cluster.api.store(lost)
    (job,) = cluster.api.of("Job")
    cluster.api.drop(name_of(job))
    for _ in range(13):
        await cluster.settle()
        assert not cluster.api.of("Job")
        await cluster.clock.advance(6)
    assert "whose Job is gone has ended; node n1 has not ended the loader's Pod" in cluster.told()[2]


async def test_the_fence_of_loaders_is_kept_as_it_should_be(cluster: VirtualCluster) -> None:
    name = ("NetworkPolicy", NAMESPACE, "kaas-volumes-loaders")
    for number in range(2):
        cluster.claim(f"c{number}", notes=NOTES)
        await cluster.settle()
    assert cluster.api.calls.count(("apply", "NetworkPolicy")) == 1
    fence = cluster.api.objects[name]
    cluster.api.store({**fence, "spec": {**fence["spec"], "egress": [{}]}})
    cluster.claim("c2", notes=NOTES)
    await cluster.settle()
    assert cluster.api.objects[name]["spec"] == fence["spec"]
    cluster.api.drop(name)
    cluster.claim("c3", notes=NOTES)
    await cluster.settle()
    assert cluster.api.objects[name]["spec"] == fence["spec"]


async def test_figures(cluster: VirtualCluster) -> None:
    def figure(name: str, **labels: str) -> float | None:
        return cluster.registry.get_sample_value(f"kaas_volumes_{name}", labels)

    cluster.claim(notes=NOTES)
    cluster.pod("app", "data")
    await begun(cluster)
    await cluster.clock.advance(100)
    assert (figure("gated_pods"), figure("oldest_gated_seconds"), figure("running_loads")) == (1, 100, 1)
    await loaded(cluster)
    assert (figure("gated_pods"), figure("oldest_gated_seconds"), figure("running_loads")) == (0, 0, 0)
    assert figure("loads_total", reason="Loaded") == 1
    assert figure("loaded_bytes_total") == 1 << 20
    assert figure("load_seconds_sum") == 100
    assert figure("freed_pods_total") == 1
    assert figure("pod_wait_seconds_sum") == 100
    assert figure("release_seconds_count") == 1
    for number in range(7):
        cluster.claim(f"c{number}", notes=NOTES)
    await cluster.settle()
    assert (figure("running_loads"), figure("waiting_loads")) == (5, 2)


async def test_the_first_consumer_decides(cluster: VirtualCluster) -> None:
    name = {"name": "wait"}
    mode = {"volumeBindingMode": "WaitForFirstConsumer", "provisioner": "x"}
    cluster.api.store({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": name, **mode})
    cluster.claim(phase="Pending", notes=NOTES, storageClassName="wait")
    await cluster.settle()
    assert cluster.told()[1] == "WaitingForConsumer"
    cluster.pod("app", "data", nodeSelector={"zone": "a"})
    await cluster.settle()
    (job,) = cluster.api.of("Job")
    assert job["spec"]["template"]["spec"]["nodeSelector"] == {"zone": "a"}


async def test_a_secret_that_is_missing_is_told_and_looked_for(cluster: VirtualCluster) -> None:
    cluster.claim(notes={**NOTES, terms.CREDENTIALS: "team-s3"})
    await cluster.settle()
    assert "Secret team-s3 (kaas.internal/load-credentials) is not there" in cluster.told()[2]
    meta = {"name": "team-s3", "namespace": NAMESPACE}
    data = {"AWS_ACCESS_KEY_ID": "QQ==", "AWS_SECRET_ACCESS_KEY": "QQ=="}
    cluster.api.store({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": terms.GATE, "data": data})
    await cluster.clock.advance(31)
    await cluster.settle()
    assert "Secret team-s3 is of type kaas.internal/data-load" in cluster.told()[2]
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "kaas.internal/aws-credentials"}
    cluster.api.store({**secret, "data": data})
    await cluster.clock.advance(31)
    await cluster.settle()
    assert cluster.api.of("Job")


async def test_only_so_many_loads_run_at_once(cluster: VirtualCluster) -> None:
    for number in range(8):
        cluster.claim(f"c{number}", notes=NOTES)
    await cluster.settle()
    assert len(cluster.api.of("Job")) == 5
    assert cluster.told("c7") == ("", "", ""), "it is told when it has waited for a while"
    await cluster.clock.advance(3)
    await cluster.settle()
    assert "waits for its turn: 20 loads run at once, 5 in a namespace" in cluster.told("c7")[2]
    for _ in range(2):
        await loaded(cluster)
    assert [cluster.told(f"c{n}")[0] for n in range(8)] == ["True"] * 8


async def test_loads_whose_pods_do_not_start_keep_no_others_from_beginning() -> None:
    cluster = VirtualCluster(LoadSettings(image="kaas:1", at_once=2, per_namespace=9))
    for number in range(6):
        cluster.claim(f"c{number}", notes=NOTES)
    await cluster.settle()
    cluster.kubernetes()
    await cluster.settle()
    assert len(cluster.api.of("Job")) == 2
    for _ in range(70):
        await cluster.clock.advance(5)
        await cluster.settle()
    assert len(cluster.api.of("Job")) == 4
    for _ in range(70):
        await cluster.clock.advance(5)
        await cluster.settle()
    assert len(cluster.api.of("Job")) == 4, "no more than run at once rest beside them"


async def test_a_pod_whose_label_is_gone_is_found_by_the_sweep(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES)
    cluster.pod("app", "data", label=False)
    await loaded(cluster)
    await cluster.clock.advance(61)
    await cluster.settle()
    assert not cluster.gated("app")


async def test_a_pod_whose_gate_somebody_keeps_is_told_so(
    cluster: VirtualCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def denied(ref: Ref, operations: Objects) -> Object:
        raise Forbidden(f"patch {ref.name}", "a policy denied the request")

    monkeypatch.setattr(cluster.api, "patch_json", denied)
    cluster.claim(notes=NOTES)
    cluster.pod("app", "data")
    await loaded(cluster)
    (message,) = [said[3] for said in cluster.api.said if said[0] == "Pod"]
    assert "cannot be taken away" in message
    assert "a policy denied the request" in message
    assert not cluster.api.of("Job"), "what else is to be done is done"


async def test_pods_and_claims_that_are_gone_are_forgotten(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES)
    cluster.pod("app", "data")
    await cluster.settle()
    assert cluster.reconciler.gates.known_claims == 1
    await loaded(cluster)
    await cluster.clock.advance(61)
    await cluster.settle()
    assert cluster.reconciler.gates.known_claims == 0


async def test_a_claim_that_is_deleted_has_its_job_ended(cluster: VirtualCluster) -> None:
    cluster.claim(notes=NOTES)
    await begun(cluster)
    claim = cluster.api.objects["PersistentVolumeClaim", NAMESPACE, "data"]
    cluster.api.store({**claim, "metadata": {**claim["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}})
    await cluster.settle()
    assert not cluster.api.of("Job")
    cluster.kubernetes()
    await cluster.settle()
    assert not cluster.api.of("PersistentVolumeClaim")

"""From an annotation to a Pod that reads the data, with the real loader, scheduler and Job controller."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from kaas.volumes import terms
from tests.contract.volumes.stage import Stage, until
from tests.contract.volumes_lab.conftest import BUCKET, Bucket
from tests.contract.workloads import KAAS, WorkloadLab

SLOW = Path(__file__).with_name("slow_loader.py")
pytestmark = pytest.mark.usefixtures("running")


def notes(bucket: Bucket, prefix: str, **more: str) -> dict[str, str]:
    """Annotations of a claim, as keywords of a Stage."""
    return {"load_source": f"s3://{BUCKET}/{prefix}/", "load_endpoint": bucket.url, "load_region": "us-east-1", **more}


async def test_a_claim_is_loaded_for_the_pod_that_waits(
    stage: Stage, workload_lab: WorkloadLab, bucket: Bucket
) -> None:
    bucket.put("llama/config.json", b"{}")
    bucket.put("llama/deep/weights.bin", bytes(5 << 20))
    bucket.put("llama/empty", b"")
    await stage.claim(bound=False, storageClassName="lab-wait", **notes(bucket, "llama"))
    await stage.until_told("WaitingForConsumer")
    await stage.pod("app", "data", nodeSelector={"topology.kubernetes.io/zone": "zone-2"})
    message = await stage.until_told("Loaded")
    assert re.match(r"5\.0MiB in 3 files, \d+s, verified by ", message), message
    await stage.until_free("app")
    volume = workload_lab.volume(stage.namespace, "data")
    assert (volume / "config.json").read_bytes() == b"{}"
    assert (volume / "deep" / "weights.bin").stat().st_size == 5 << 20
    assert (volume / "empty").stat().st_size == 0

    async def placed() -> str:
        pod = await stage.get("Pod", "app")
        return str((pod or {"spec": {}})["spec"].get("nodeName") or "")

    assert await until("the Pod has a node", placed)
    assert not await stage.jobs()


async def test_what_the_source_does_not_have_is_told(stage: Stage, bucket: Bucket) -> None:
    await stage.claim(bound=False, storageClassName="lab-immediate", **notes(bucket, "nothing"))
    await stage.pod("app", "data")
    message = await stage.until_told("SourceNotFound")
    assert "models" in message
    assert terms.ID in message
    assert await stage.gates("app") == [terms.GATE]

    async def told() -> bool:
        return "DataNotLoaded" in await stage.events("app")

    await until("the Pod is told", told)


async def test_progress_comes_from_the_log(stage: Stage, workload_lab: WorkloadLab) -> None:
    """Through the API server, from a loader that says how far it is and goes on when it is told to."""
    workload_lab.set_image("kaas", [sys.executable, str(SLOW)])
    try:
        await stage.claim(bound=False, storageClassName="lab-immediate", load_source=f"s3://{BUCKET}/llama/")
        message = await stage.until_told("Loading")
        assert message.startswith("43.0% 0.4/1.0GiB 812/1893 files 100.0MiB/s ETA 6s (load ")
        (workload_lab.volume(stage.namespace, "data") / "go-on").touch()
        message = await stage.until_told("Loaded")
        assert message.startswith("1.0GiB in 1893 files, 10s, verified by crc32c 1893 (load ")
    finally:
        workload_lab.set_image("kaas", KAAS["kaas"])


async def test_a_loader_of_another_version_ends_its_load_at_once(stage: Stage, workload_lab: WorkloadLab) -> None:
    """It is given an option that it does not know; no try could go better."""
    strange = "import sys; from kaas.cli.entry import main; sys.argv.append('--of-tomorrow=1'); main()"
    workload_lab.set_image("kaas", [sys.executable, "-c", strange])
    try:
        await stage.claim(bound=False, storageClassName="lab-immediate", load_source=f"s3://{BUCKET}/llama/")
        message = await stage.until_told("Failed")
    finally:
        workload_lab.set_image("kaas", KAAS["kaas"])
    assert message.startswith("No such option: --of-tomorrow")
    assert "controller and loader are of different versions: give both the same image" in message
    assert terms.ID in message

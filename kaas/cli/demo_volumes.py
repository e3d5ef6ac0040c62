"""`make demo-volumes`: a claim is filled from a bucket while a Pod waits for it, on a cluster of its own."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import boto3
import urllib3
import yaml
from kaas_lab import processes, record
from kaas_lab.layout import DEFAULT_BASE_PORT, PORTS_PER_LAB, Layout, default_state

from kaas.cli.demo import EXAMPLES, console, kaas
from kaas.kube.client import KubeClient
from kaas.kube.objects import Object, Ref
from kaas.volumes import terms
from kaas.volumes.install import manifests

HOST = "127.0.0.1"
WEBHOOK_PORT, WEBHOOK_METRICS, CONTROLLER_METRICS, BUCKET_PORT = 90, 91, 92, 93  # offsets
PATIENCE = 120.0  # seconds
NAMESPACE = "team-a"
CLAIM = Ref("v1", "PersistentVolumeClaim", NAMESPACE, "training-data")
POD = Ref("v1", "Pod", NAMESPACE, "trainer")
BUCKET, PREFIX = "datasets", "images/"
LARGE, LARGE_BYTES, SMALL, SMALL_BYTES = 24, 16 << 20, 200, 4 << 10
REGION = "us-east-1"
MAX_RATE = "25Mi"
"""Bytes a second: with all that it has, a machine loads the bucket faster than anybody looks."""
STEP = 0.5


def layout() -> Layout:
    """Beside the labs of the other demos."""
    return Layout(default_state().with_name("volumes-demo"), DEFAULT_BASE_PORT + 2 * PORTS_PER_LAB)


def main(argv: list[str]) -> int:
    """`up` or `down`; returns the exit code."""
    place = layout()
    if argv == ["down"]:
        return kaas("lab", "down", "--purge", "--state", str(place.state)) if record.find(place.state) else 0
    if argv != ["up"]:
        console.print("usage: python -m kaas.cli.demo_volumes up|down")
        return 2
    return up(place)


def up(place: Layout) -> int:
    """Show it; returns the exit code."""
    start = time.monotonic()
    words = ["lab", "up", "--with", "pods", "--state", str(place.state), "--base-port", str(place.base_port)]
    if code := kaas(*words):
        return code
    _bucket(place)
    asyncio.run(_install(place))
    _controller(place)
    return asyncio.run(_show(place, start))


def _bucket(place: Layout) -> None:
    """A server that speaks S3, with some hundred megabytes in it."""
    port = place.management_port(BUCKET_PORT)
    url = f"http://{HOST}:{port}"
    started = _run(place, "bucket", ["-m", "moto.server", "-H", HOST, "-p", str(port)], lambda: _answers(url))
    if not started:
        return
    total = LARGE * LARGE_BYTES + SMALL * SMALL_BYTES
    console.print(f"A bucket at {url} with {LARGE + SMALL} objects, {total / 2**20:.0f} MiB")
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="any",
        aws_secret_access_key="any",  # noqa: S106 - moto asks for none
    )
    client.create_bucket(Bucket=BUCKET)
    for number in range(LARGE):
        client.put_object(Bucket=BUCKET, Key=f"{PREFIX}{number:03}.tar", Body=os.urandom(LARGE_BYTES))
    for number in range(SMALL):
        client.put_object(Bucket=BUCKET, Key=f"{PREFIX}labels/{number:04}.json", Body=os.urandom(SMALL_BYTES))


async def _install(place: Layout) -> None:
    """Webhook and rights, as outside of a cluster, and the webhook as a process."""
    port, metrics = place.management_port(WEBHOOK_PORT), place.management_port(WEBHOOK_METRICS)
    url = f"https://{HOST}:{port}"
    console.print(f"[bold]$ kaas volumes manifests --url {url} | kubectl apply -f -[/bold]")
    async with await KubeClient.connect(place.kubeconfig) as client:
        for document in yaml.safe_load_all(manifests.render(manifests.values({"url": url}))):
            await client.apply(document)
    words = ["webhook", "--port", str(port), "--name", HOST, "--metrics-port", str(metrics)]
    _volumes(place, words, metrics)


def _controller(place: Layout) -> None:
    metrics = place.management_port(CONTROLLER_METRICS)
    words = ["controller", "--image", "kaas", "--allow-endpoint", HOST, "--metrics-port", str(metrics)]
    _volumes(place, words, metrics)


def _volumes(place: Layout, words: list[str], metrics: int) -> None:
    argv = ["--kubeconfig", str(place.kubeconfig), "volumes", *words]
    ready = f"http://{HOST}:{metrics}/readyz"
    if _run(place, f"volume-{words[0]}", ["-m", "kaas", *argv], lambda: _answers(ready)):
        console.print(f"[bold]$ kaas {' '.join(argv)} &[/bold]")


def _run(place: Layout, name: str, words: list[str], ready: Callable[[], bool]) -> bool:
    """Start a Python program as a process of the lab, so that `down` ends it; False when it runs already."""
    if name in processes.find(place.state).values():
        return False
    log = place.logs / f"{name}.log"
    process = processes.spawn(place.state, name, [sys.executable, *words], log=log)
    processes.wait_until(name, ready, process, log, PATIENCE)
    return True


def _answers(url: str) -> bool:
    try:
        return urllib3.request("GET", url, retries=False, timeout=2.0).status == 200  # noqa: PLR2004 - HTTP
    except urllib3.exceptions.HTTPError:
        return False


async def _show(place: Layout, start: float) -> int:
    file = EXAMPLES / "volumes" / "claim.yaml"
    endpoint = f"http://{HOST}:{place.management_port(BUCKET_PORT)}"
    console.print(f"[bold]$ kubectl apply -f {file.relative_to(EXAMPLES.parent)}[/bold], with load-endpoint {endpoint}")
    console.print(f"  and load-max-rate {MAX_RATE}, so that there is something to see")
    async with await KubeClient.connect(place.kubeconfig) as client:
        await _forget(client)
        for document in yaml.safe_load_all(file.read_text()):
            if document["kind"] == "PersistentVolumeClaim":
                document["metadata"]["annotations"] |= _here(endpoint)
            await client.apply(document)
        applied = time.monotonic()
        if not await _follow(client, applied):
            console.print(f"[red]the Pod does not run[/red] after {PATIENCE:.0f} s: see {place.logs}")
            return 1
    console.print(
        f"\n[green]{POD.name} runs on its data[/green], {time.monotonic() - start:.0f} s after the start. Try:"
    )
    console.print(f"  export KUBECONFIG={place.kubeconfig}")
    console.print(f"  kubectl -n {NAMESPACE} get pvc {CLAIM.name} -o yaml")
    console.print(f"  kubectl -n {NAMESPACE} logs {POD.name}")
    console.print("  make demo-down")
    return 0


def _here(endpoint: str) -> dict[str, str]:
    """Annotations for this machine's bucket, which is loaded slowly enough to be watched."""
    return {terms.ENDPOINT: endpoint, terms.REGION: REGION, terms.MAX_RATE: MAX_RATE}


async def _forget(client: KubeClient) -> None:
    """Delete what an earlier demo has left."""
    for ref in (POD, CLAIM):
        end = time.monotonic() + PATIENCE
        while await client.delete(ref) and time.monotonic() < end:  # noqa: ASYNC110 - another program is waited for
            await asyncio.sleep(STEP)


async def _follow(client: KubeClient, since: float) -> bool:
    """Print claim and Pod whenever they say something new; whether the Pod runs in the end."""
    told = ""
    while time.monotonic() - since < PATIENCE:
        waiting, condition = await client.get(POD), await client.get(CLAIM)
        line = f"{_claim_line(condition)}   [dim]Pod[/dim] {_pod_line(waiting)}"
        if line != told:
            told = line
            console.print(f"  {time.monotonic() - since:5.1f} s  {line}")
        if waiting and waiting.get("status", {}).get("phase") == "Running":
            return True
        await asyncio.sleep(STEP)
    return False


def _claim_line(claim: Object | None) -> str:
    conditions: list[dict[str, Any]] = ((claim or {}).get("status") or {}).get("conditions") or []
    found = next((c for c in conditions if c["type"] == terms.CONDITION), None)
    return f"DataLoaded={found['status']} {found['reason']}: {found['message']}" if found else "DataLoaded not told yet"


def _pod_line(pod: Object | None) -> str:
    status = (pod or {}).get("status") or {}
    gated = any(c.get("reason") == "SchedulingGated" for c in status.get("conditions") or ())
    return "SchedulingGated" if gated else str(status.get("phase", "?"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

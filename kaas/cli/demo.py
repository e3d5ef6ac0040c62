"""`make demo`: the main job from nothing, told as it goes; every step is a command that a user would type."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from kaas_lab import processes, record
from kaas_lab.layout import DEFAULT_BASE_PORT, Layout, default_state
from rich.console import Console

from kaas.kube import resources
from kaas.kube.client import KubeClient
from kaas.kube.objects import Object, is_true

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CLUSTER = "team-a"
CONTROLLER = "kaas-controller"
METRICS_OFFSET = 90  # of the management cluster's hundred ports

console = Console(highlight=False, soft_wrap=True)


def main(argv: list[str]) -> int:
    """`up` or `down`; returns the exit code."""
    layout = Layout(default_state(), DEFAULT_BASE_PORT)
    if argv == ["down"]:
        return kaas("lab", "down", "--purge") if record.find(layout.state) else 0
    if argv != ["up"]:
        console.print("usage: python -m kaas.cli.demo up|down")
        return 2
    start = time.monotonic()
    for step in (_lab, _controller, _apply, _show):
        if code := step(layout):
            return code
    _say_what_next(layout, time.monotonic() - start)
    return 0


def kaas(*words: str, quiet: bool = False) -> int:
    """Run a command that is shown as a user would type it; returns its exit code."""
    if not quiet:
        console.print(f"[bold]$ kaas {' '.join(words)}[/bold]")
    return subprocess.run([sys.executable, "-m", "kaas", *words], check=False).returncode  # noqa: S603 - ours


def _lab(layout: Layout) -> int:
    return kaas("lab", "up", "--base-port", str(layout.base_port))


def _controller(layout: Layout) -> int:
    """The controller as a process of the lab, so that `down` ends it; it stays if it runs."""
    if CONTROLLER in processes.find(layout.state).values():
        return 0
    port = layout.management_port(METRICS_OFFSET)
    words = ["--kubeconfig", str(layout.kubeconfig), "controller", "--metrics-port", str(port)]
    console.print(f"[bold]$ kaas {' '.join(words)} &[/bold]")
    argv = [sys.executable, "-m", "kaas", *words]
    processes.spawn(layout.state, CONTROLLER, argv, log=layout.logs / f"{CONTROLLER}.log")
    return 0


def _apply(layout: Layout) -> int:
    files = [EXAMPLES / name for name in ("releases.yaml", "site-lab.yaml", "team-a.yaml")]
    words = [word for file in files for word in ("-f", str(file))]
    return kaas("--kubeconfig", str(layout.kubeconfig), "apply", *words, "--wait", "--timeout", "20m")


def _show(layout: Layout) -> int:
    """The tree, and the workload cluster's own answer through its kubeconfig."""
    if code := kaas("--kubeconfig", str(layout.kubeconfig), "status", CLUSTER):
        return code
    file = layout.state / f"{CLUSTER}.kubeconfig"
    if code := kaas("--kubeconfig", str(layout.kubeconfig), "kubeconfig", CLUSTER, "--output", str(file)):
        return code
    console.print(f"[bold]$ kubectl --kubeconfig {file} get nodes[/bold]")
    for node in asyncio.run(_nodes(file)):
        console.print("  " + _line(node))
    return 0


async def _nodes(kubeconfig: Path) -> list[Object]:
    async with await KubeClient.connect(kubeconfig) as client:
        return await client.list(resources.NODE)


def _line(node: Object) -> str:
    status = node["status"]
    state = "Ready" if is_true(node, "Ready") else "NotReady"
    gpus = status["allocatable"].get("nvidia.com/gpu", "0")
    return f"{node['metadata']['name']:<36} {state:<9} {status['nodeInfo']['kubeletVersion']}  GPUs {gpus}"


def _say_what_next(layout: Layout, seconds: float) -> None:
    console.print(f"\n[green]team-a is Ready[/green], {seconds:.0f} s after the start of make demo. Try:")
    console.print(f"  export KUBECONFIG={layout.kubeconfig}")
    console.print("  .venv/bin/kaas status team-a --watch")
    console.print("  .venv/bin/kaas kubeconfig team-a > team-a.kubeconfig")
    console.print("  .venv/bin/kaas delete team-a --wait")
    console.print("  make demo-down")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

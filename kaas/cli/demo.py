"""`make demo`: the main job from nothing, told as it goes; every step is a command that a user would type."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from kaas_lab import processes
from kaas_lab.layout import DEFAULT_BASE_PORT, Layout, default_state
from rich.console import Console

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CONTROLLER = "kaas-controller"
METRICS_OFFSET = 90  # of the management cluster's hundred ports

console = Console(highlight=False)


def main(argv: list[str]) -> int:
    """`up` or `down`; returns the exit code."""
    layout = Layout(default_state(), DEFAULT_BASE_PORT)
    if argv == ["down"]:
        return _kaas("lab", "down", "--purge")
    if argv != ["up"]:
        console.print("usage: python -m kaas.cli.demo up|down")
        return 2
    start = time.monotonic()
    for step in (_lab, _controller, _apply, _show):
        if code := step(layout):
            return code
    _say_what_next(layout, time.monotonic() - start)
    return 0


def _kaas(*words: str, quiet: bool = False) -> int:
    if not quiet:
        console.print(f"[bold]$ kaas {' '.join(words)}[/bold]")
    return subprocess.run([sys.executable, "-m", "kaas", *words], check=False).returncode  # noqa: S603 - ours


def _lab(layout: Layout) -> int:
    return _kaas("lab", "up", "--base-port", str(layout.base_port))


def _controller(layout: Layout) -> int:
    """The controller as a process of the lab, so that `down` ends it; it stays if it runs."""
    if CONTROLLER in processes.find(layout.state).values():
        return 0
    if code := _kaas("--kubeconfig", str(layout.kubeconfig), "crds", "--install"):
        return code
    port = layout.management_port(METRICS_OFFSET)
    words = ["--kubeconfig", str(layout.kubeconfig), "controller", "--metrics-port", str(port)]
    console.print(f"[bold]$ kaas {' '.join(words)} &[/bold]")
    argv = [sys.executable, "-m", "kaas", *words]
    processes.spawn(layout.state, CONTROLLER, argv, log=layout.logs / f"{CONTROLLER}.log")
    return 0


def _apply(layout: Layout) -> int:
    files = [EXAMPLES / name for name in ("releases.yaml", "site-lab.yaml", "team-a.yaml")]
    words = [word for file in files for word in ("-f", str(file))]
    return _kaas("--kubeconfig", str(layout.kubeconfig), "apply", *words, "--wait", "--timeout", "20m")


def _show(layout: Layout) -> int:
    return _kaas("--kubeconfig", str(layout.kubeconfig), "status", "team-a") or _kaas(
        "--kubeconfig", str(layout.kubeconfig), "nodes", "team-a"
    )


def _say_what_next(layout: Layout, seconds: float) -> None:
    console.print(f"\n[green]team-a is Ready[/green], {seconds:.0f} s after the start of make demo. Try:")
    console.print(f"  export KUBECONFIG={layout.kubeconfig}")
    console.print("  .venv/bin/kaas status team-a --watch")
    console.print("  .venv/bin/kaas kubeconfig team-a > team-a.kubeconfig")
    console.print("  .venv/bin/kaas delete team-a --wait")
    console.print("  make demo-down")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

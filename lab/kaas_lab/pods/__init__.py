"""Pods that run: played nodes whose containers are processes of this machine, and a played CSI driver.

Real are etcd, the API server, the controllers and the scheduler; the nodes are ours (`agent.py`). What they do of a
kubelet's work, and what they leave out, is in docs/lab.md.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kaas_lab import processes
from kaas_lab.api_server import ApiServer
from kaas_lab.layout import Layout

from . import definitions, images, limits
from .container import NAMES
from .nodeobject import NodeSpec
from .servers import start_scheduler
from .storage import directories

AGENT = "pods"
READY_SECONDS = 120.0
MOST_NODES = 10

__all__ = [
    "AGENT",
    "NodeSpec",
    "Settings",
    "definitions",
    "directory",
    "image_table",
    "images",
    "nodes",
    "release",
    "start",
]


@dataclass(frozen=True)
class Settings:
    """What a lab with Pods has. images: words with which the program of an image starts, by its name."""

    nodes: Sequence[NodeSpec] = field(default_factory=lambda: nodes(2))
    images: Mapping[str, Sequence[str]] = field(default_factory=lambda: {"kaas": [sys.executable, "-m", "kaas"]})


def nodes(count: int) -> list[NodeSpec]:
    """So many nodes, each in a zone of its own. Raises ValueError."""
    if not 1 <= count <= MOST_NODES:
        raise ValueError(f"{count} nodes: a lab has 1 to {MOST_NODES}")
    return [NodeSpec(f"node-{number}", f"zone-{number}") for number in range(1, count + 1)]


def directory(state: Path) -> Path:
    """Of all that the Pods of a lab have."""
    return state / "pods"


def image_table(state: Path) -> Path:
    """File of the image table; what is written there holds from the next start of a container on."""
    return directory(state) / "images.json"


def nodes_file(state: Path) -> Path:
    """File that says which nodes there are."""
    return directory(state) / "nodes.json"


def start(layout: Layout, api: ApiServer, settings: Settings) -> None:
    """Start the scheduler and the nodes; returns when every node is ready. Raises ProcessFailed."""
    images.write(image_table(layout.state), settings.images)
    nodes_file(layout.state).write_text(json.dumps([asdict(node) for node in settings.nodes]))
    start_scheduler(layout)
    log = layout.logs / f"{AGENT}.log"
    argv: list[str | Path] = [
        *(sys.executable, "-m", "kaas_lab.pods", "--state", layout.state),
        *("--base-port", str(layout.base_port)),
    ]
    agent = processes.spawn(layout.state, AGENT, argv, log=log)
    wanted = {node.name for node in settings.nodes}
    processes.wait_until("nodes", lambda: wanted <= _ready(api), agent, log, READY_SECONDS)


def kill(state: Path, pod: str) -> int:
    """End what runs of a Pod by SIGKILL; returns how many processes. pod: `namespace/name`, or with `/container`."""
    wanted = f"{NAMES}{pod}"
    found = [pid for pid, name in processes.find(state).items() if name == wanted or name.startswith(f"{wanted}/")]
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(found)


def release(state: Path) -> None:
    """Take away what a lab whose processes have ended leaves to the kernel: mounts and control groups."""
    directories.release(state)
    limits.release(state)


def _ready(api: ApiServer) -> set[str]:
    found = set()
    for node in api.request("GET", "api/v1/nodes")["items"]:
        conditions = {c["type"]: c["status"] for c in node.get("status", {}).get("conditions") or ()}
        tainted = any(t["key"].startswith("node.kubernetes.io/") for t in node["spec"].get("taints") or ())
        if conditions.get("Ready") == "True" and not tainted:
            found.add(str(node["metadata"]["name"]))
    return found

"""Small facts of drains to test with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from kaas.gpu.layouts import Layout
from kaas.updates.drains.facts import Departure, Look, Neighbour, NodeSeen, Offer, PodSeen, Rules

NOW = datetime(2027, 1, 5, 12, tzinfo=UTC)
EARLIER = NOW - timedelta(minutes=1)
LONG_AGO = NOW - timedelta(days=1)
EIGHT: Mapping[str, int] = {"nvidia.com/gpu": 8}
SLICES: Mapping[str, int] = {"nvidia.com/mig-1g.5gb": 56}
WHOLE = (Offer(EIGHT),)
MIXED = Layout("all-1g.5gb", "success", "mixed", "NVIDIA-A100-SXM4-40GB")
HOUR = timedelta(hours=1)


def rules(**more: Any) -> Rules:
    return Rules(**{"pool": "dgx", "replicas": 3, "notice": True, "timeout": HOUR, **more})


def blue_green(**more: Any) -> Rules:
    return rules(**{"notice": False, "soak": timedelta(minutes=10), **more})


def departure(name: str = "a", **more: Any) -> Departure:
    return Departure(**{"name": name, "asked": EARLIER, "node": f"node-{name}", "outdated": True, **more})


def node(name: str = "a", **more: Any) -> NodeSeen:
    return NodeSeen(**{"name": f"node-{name}", "ready": True, "since": LONG_AGO, "gpus": EIGHT, **more})


def other(name: str, *, leaving: Departure | None = None, gone: bool = False, **more: Any) -> Neighbour:
    return Neighbour(name, node(name, **more), leaving is not None, leaving, gone, 8, "A100-SXM4-40GB")


def not_joined(name: str) -> Neighbour:
    return Neighbour(name, None)


def job(name: str = "train", **more: Any) -> PodSeen:
    return PodSeen(**{"namespace": "ml", "name": name, "waited": True, **more})


def look(*others: Neighbour, **more: Any) -> Look:
    return Look(**{"node": node(), "others": others or (other("b"), other("c")), "whole": WHOLE, **more})

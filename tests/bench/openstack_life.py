"""One Cluster on OpenStack from nothing to Ready and to nothing: how long, and how much of it is ours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import yaml
from kaas_lab import lab

from kaas.kube.objects import is_true
from kaas.openstack.clouds import CloudDirectory
from kaas.openstack.credentials import from_secret
from tests.bench.bench import Bench
from tests.bench.controllers import until
from tests.bench.figures import Figure, Limit
from tests.e2e.platform import CRDS, EXAMPLES, Platform, platform

NAME = "team-a"
CAPI = f"apis/cluster.x-k8s.io/v1beta2/namespaces/default/clusters/{NAME}"


def run(bench: Bench) -> Sequence[Figure]:
    """As `make demo` does it when everything is built."""
    begin = time.monotonic()
    with platform(bench.directory("openstack"), lab.Options(crds=CRDS)) as found:
        found.kaas("apply", "-f", found.examples / "releases.yaml", "-f", found.examples / "site-lab.yaml")
        bench.say("the lab is up")
        started = time.monotonic() - begin
        created, available, ready = _to_ready(found)
        bench.say(f"{NAME} is Ready")
        total = time.monotonic() - begin
        handed, gone, ours_gone = _to_nothing(found)
        left = _left(found)
    return [
        Figure("start of the lab to Ready", total, "s", Limit(150.0), "as make demo, all built"),
        Figure("start of the lab and the controller", started, "s"),
        Figure("apply to Ready", ready, "s"),
        Figure("ours: apply to Cluster API's Cluster", created, "s", note="the cloud is asked first"),
        Figure("Cluster API, CAPO, OpenStack: to Available", available - created, "s"),
        Figure("ours: Available to Ready", ready - available, "s"),
        Figure("delete to nothing left", ours_gone, "s"),
        Figure("ours: delete to Cluster API's deletion", handed, "s"),
        Figure("Cluster API, CAPO, OpenStack: to gone", gone - handed, "s"),
        Figure("ours: gone to gone", ours_gone - gone, "s"),
        Figure("left in the cloud", left, "", Limit(0.0), "servers, ports, networks, volumes, ... of the project"),
    ]


def _to_ready(platform: Platform) -> tuple[float, float, float]:
    """Seconds from apply to Cluster API's object, to its condition Available, and to our phase Ready."""
    platform.apply(yaml.safe_load((EXAMPLES / "team-a.yaml").read_text()))
    return _in_turn(
        ("Cluster API's Cluster", lambda: platform.get(CAPI)),
        ("Available", lambda: is_true(platform.get(CAPI), "Available")),
        ("Ready", lambda: platform.phase(NAME) == "Ready"),
    )


def _to_nothing(platform: Platform) -> tuple[float, float, float]:
    """Seconds from delete to the deletion of Cluster API's object, to its end, and to the end of ours."""
    platform.api.request("DELETE", f"apis/kaas.internal/v1alpha1/namespaces/default/clusters/{NAME}")
    return _in_turn(
        ("deletion of Cluster API's Cluster", lambda: _is_going(platform.get(CAPI))),
        ("the end of Cluster API's Cluster", lambda: not platform.get(CAPI)),
        ("the end of our Cluster", lambda: not platform.cluster(NAME)),
    )


def _is_going(obj: Any) -> bool:
    return not obj or "deletionTimestamp" in obj["metadata"]


def _in_turn(*stages: tuple[str, Callable[[], Any]]) -> tuple[float, float, float]:
    start, times = time.monotonic(), []
    for what, holds in stages:
        until(what, holds, pause=0.1)
        times.append(time.monotonic() - start)
    first, second, third = times
    return first, second, third


def _left(platform: Platform) -> float:
    """What the project still has in OpenStack."""
    secret = platform.get("api/v1/namespaces/kaas-system/secrets/lab-openstack")

    async def ask() -> int:
        directory = CloudDirectory()
        try:
            return (await directory.leftovers(from_secret(secret["data"], "openstack"))).total
        finally:
            directory.close()

    return float(asyncio.run(ask()))

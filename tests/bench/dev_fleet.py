"""Thirty Clusters at once on the in-memory provider: time to Ready, and whose processor time it takes."""

from __future__ import annotations

import time
from collections.abc import Sequence

from kaas_lab import lab, processes, providers

from tests.bench.bench import Bench
from tests.bench.controllers import processor_of, until
from tests.bench.figures import Figure
from tests.bench.rest import small_cluster
from tests.e2e.platform import CONTROLLER, CRDS, Platform, platform

SHOWN = {CONTROLLER: "our controller", "kube-apiserver": "kube-apiserver", "etcd": "etcd"}
PROVIDERS = {p.program for p in providers.PROVIDERS.values()}


def run(bench: Bench) -> Sequence[Figure]:
    """One control plane and one worker each."""
    clusters = bench.size(30, 3)
    with platform(bench.directory("dev-fleet"), lab.Options(parts=("dev",), crds=CRDS)) as found:
        found.kaas("apply", "-f", found.examples / "releases.yaml", "-f", found.examples / "site-dev.yaml")
        before, start = _processor(found), time.monotonic()
        names = [f"fleet-{n:02}" for n in range(clusters)]
        for name in names:
            small_cluster(found, name)
        bench.say(f"{clusters} Clusters are to become Ready")
        until("Clusters Ready", lambda: _all_ready(found, clusters), pause=1.0)
        seconds, after = time.monotonic() - start, _processor(found)
    used = {who: after[who] - before.get(who, 0.0) for who in after}
    shares = [Figure(f"processor time of {who}", used[who], "s") for who in sorted(used, key=lambda w: -used[w])]
    return [Figure(f"{clusters} Dev Clusters to Ready", seconds, "s", note="1 control plane, 1 worker each"), *shares]


def _all_ready(platform: Platform, clusters: int) -> bool:
    items = platform.items("apis/kaas.internal/v1alpha1/namespaces/default/clusters")
    return [i.get("status", {}).get("phase") for i in items] == ["Ready"] * clusters


def _processor(platform: Platform) -> dict[str, float]:
    """Seconds by who used them."""
    used: dict[str, float] = {}
    for pid, name in processes.find(platform.layout.state).items():
        who = SHOWN.get(name) or ("Cluster API's providers" if name in PROVIDERS else "everything else")
        used[who] = used.get(who, 0.0) + processor_of(pid)
    return used

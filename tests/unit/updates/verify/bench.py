"""One Cluster that is looked at, the Verifier, and a time that the test moves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from kaas.api.cluster import Cluster
from kaas.api.constants import LABEL_POOL
from kaas.api.update_status import Baseline
from kaas.kube.errors import Unavailable
from kaas.kube.objects import Object
from kaas.kube.resources import CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL
from kaas.runtime.index import Index
from kaas.updates.facts import AddOn, Aims, Change
from kaas.updates.run import Case, Verdict
from kaas.updates.verify.verifier import Verifier
from tests.unit.updates.subjects import NOW, raw_cluster, site, version
from tests.unit.updates.verify.cluster_server import KEY, ClusterServer, Ways

STEP = "Pool/cpu"
VERSION = "v1.36.3"
SINCE = NOW - timedelta(seconds=30)


class Bench:
    """One Cluster with a control plane and a pool, the Verifier, and a time that the test moves."""

    def __init__(self, server: ClusterServer, ways: Ways) -> None:
        self.server = server
        self.time = NOW
        self.index = Index()
        self.secrets: dict[tuple[str, str], Mapping[str, bytes]] = {}
        self.secrets_fail = False
        self.baseline: Object | None = None
        self.checks: list[Object] = []
        self.said: Object = {}
        self.site: Object = {}
        self.since: datetime = SINCE
        self.add_ons: tuple[AddOn, ...] = ()
        self.ways = ways
        self.start()
        server.node("cp")
        server.node("n")
        self.machine("cp", node="cp", **{CONTROL_PLANE_LABEL: ""})
        self.machine("m", node="n", **{LABEL_POOL: "cpu"})

    def start(self) -> None:
        """A new controller."""
        self.verifier = Verifier(self.ways, self.index, self.read_secret, self, patience=10.0)

    def now(self) -> datetime:
        return self.time

    async def read_secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        if self.secrets_fail:
            raise Unavailable("get Secret", "no answer")
        return self.secrets.get((namespace, name))

    def machine(self, name: str, node: str | None, **labels: str) -> None:
        meta = {"name": name, "namespace": KEY[0], "labels": {CLUSTER_NAME_LABEL: KEY[1], **labels}, "uid": name}
        status = {"nodeRef": {"name": node}} if node else {}
        api = "cluster.x-k8s.io/v1beta2"
        self.index.put(
            {"apiVersion": api, "kind": "Machine", "metadata": meta, "spec": {"version": VERSION}, "status": status}
        )

    def case(self) -> Case:
        step = {"name": STEP, "state": "Running", "reason": "Verifying", "since": self.since.isoformat()}
        update: Object = {"steps": [step], **({"baseline": self.baseline} if self.baseline else {})}
        verification = {"checks": self.checks, **self.said}
        raw = raw_cluster(updates={"verification": verification}, status={"update": update})
        subject = Cluster.model_validate(raw)
        aims = Aims(version("v1.36.3"), (Change.PATCH,), add_ons=self.add_ons)
        return Case(KEY, subject, site(**self.site), aims, version("v1.36.1"), NOW - timedelta(hours=1), ("cpu",))

    async def verify(self, step: str = STEP) -> Verdict:
        return await self.verifier.verify(self.case(), step, self.time)

    async def taken(self) -> Baseline:
        """Look every ten seconds until it is known how the Cluster is before the update."""
        while (found := await self.verifier.baseline(self.case(), self.time)) is None:
            self.time += timedelta(seconds=10)
        return found

    async def verdict(self, step: str = STEP, *, requests: int = 50) -> Verdict:
        """Look every ten seconds until it is known; meanwhile the API servers are asked so much a second."""
        for _ in range(500):
            found = await self.verify(step)
            if found.passed is not None:
                return found
            self.time += timedelta(seconds=10)
            self.server.requests += requests * 10
        raise AssertionError(f"no verdict: {found.message}")

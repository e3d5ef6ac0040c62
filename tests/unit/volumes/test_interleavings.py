"""Whatever comes in whatever order, and wherever the controller's process ends.

No Pod starts on half of its data, none waits for ever, and no load is done twice.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Coroutine
from random import Random
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from kaas.kube.objects import Object, annotation, condition, labels
from kaas.loader.report import Exit, Reason
from kaas.volumes import terms
from kaas.volumes.annotations import request_of
from kaas.volumes.claim import claim_of
from kaas.volumes.identity import Load, token_of
from kaas.volumes.job import DIGEST
from kaas.volumes.pods import claims_of
from kaas.volumes.settings import LoadSettings
from tests.unit.volumes.virtual_cluster import NAMESPACE, WATCHED, VirtualCluster

CLAIMS = ("a", "b")
PODS = ("p", "q", "r")
SOURCES = ("s3://models/one/", "s3://models/two/", "s3:/wrong", None)
SETTINGS = LoadSettings(image="kaas:1", tries_again=1, at_once=2, per_namespace=1)
KEY = ("PersistentVolumeClaim", NAMESPACE)


class World:
    """A cluster with two claims and three Pods, and a controller that is ended again and again.

    Each method below that takes a number is something that can happen; the number chooses how.
    """

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.cluster = VirtualCluster(SETTINGS)
        self.cluster.api.checks.append(self._check)
        self.done: set[tuple[str, str]] = set()  # claim's uid and token, for which a loader has ended well
        self.told: dict[str, str] = {}

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    # -- what must hold at every write --------------------------------------------------------------------------------

    def _check(self, what: str, obj: Object, before: Object | None) -> None:
        if what == "patched" and before is not None:
            self._check_freed(before)
        if what == "create" and obj["kind"] == "Job":
            self._check_job(obj)
        if what == "delete" and obj["kind"] == "Job":
            self._check_end(obj)

    def _check_freed(self, pod: Object) -> None:
        """By what the controller had seen of the claims: that may be older than what they are."""
        if annotation(pod, terms.WAIT) == "false":
            return
        for key in claims_of(pod):
            seen = self.cluster.index.get(WATCHED[0], *key)
            assert seen is not None, f"{pod['metadata']['name']} is freed without its claim {key}"
            request = request_of(seen["metadata"].get("annotations") or {})
            if not request.concerns or not request.waits:
                continue
            token = token_of(seen["metadata"]["uid"], request.id or "")
            assert (seen["metadata"]["uid"], token) in self.done, f"{pod['metadata']['name']} is freed too early"

    def _check_job(self, job: Object) -> None:
        uid = labels(job)[terms.LOADER_LABEL]
        others = [j for j in self.cluster.api.of("Job") if labels(j)[terms.LOADER_LABEL] == uid]
        assert all(j["metadata"]["name"] == job["metadata"]["name"] for j in others), "two Jobs write into one volume"
        found = next((c for c in self.cluster.api.of(KEY[0]) if c["metadata"]["uid"] == uid), None)
        if found is None:
            return
        said = condition(found, terms.CONDITION) or {}
        known = Load.named_in(said.get("message") or "")
        mark = job["metadata"]["annotations"][DIGEST]
        assert not (said.get("status") == "True" and known and known.token == mark.partition("/")[0]), "loaded twice"

    def _check_end(self, job: Object) -> None:
        """A Job that has done its part stays until that is written down: nobody would know of it any more."""
        token = job["metadata"]["annotations"][DIGEST].partition("/")[0]
        uid = labels(job)[terms.LOADER_LABEL]
        seen = next((c for c in self.cluster.index.list(WATCHED[0]) if c["metadata"]["uid"] == uid), None)
        if seen is None or not self.cluster.has_done(job):
            return
        claim = claim_of(seen)
        wanted = claim.spec is not None and token_of(uid, claim.spec.id) == token and not claim.deleting
        assert not wanted or claim.loaded or claim.load != Load(token, _digest(job)), "nobody knows that it was loaded"

    def check_volumes(self) -> None:
        """No two loaders write into one volume."""
        for claim in self.cluster.api.of(KEY[0]):
            pods = [p for p in self.cluster.open_loaders() if labels(p)[terms.LOADER_LABEL] == claim["metadata"]["uid"]]
            assert len({p["metadata"]["ownerReferences"][0]["uid"] for p in pods}) <= 1

    # -- users --------------------------------------------------------------------------------------------------------

    def _claim(self, name: str) -> Object | None:
        return self.cluster.api.objects.get((*KEY, name))

    def make_claim(self, number: int) -> None:
        name, source, bound = CLAIMS[number % 2], SOURCES[number // 2 % 4], number % 3 != 0
        if self._claim(name) is None:
            notes = {terms.SOURCE: source} if source else {}
            self.cluster.claim(name, phase="Bound" if bound else "Pending", notes=notes)

    def bind_claim(self, number: int) -> None:
        if (found := self._claim(CLAIMS[number % 2])) is not None:
            self.cluster.api.store({**copy.deepcopy(found), "status": {**found["status"], "phase": "Bound"}})

    def annotate(self, number: int) -> None:
        """Another source, id, or word about waiting."""
        name = CLAIMS[number % 2]
        changes: tuple[dict[str, str | None], ...] = (
            *({"source": source} for source in SOURCES),
            *({"id": load_id} for load_id in ("1", "2", None)),
            *({"wait": wait} for wait in ("true", "false", None)),
        )
        if self._claim(name) is not None:
            self.cluster.annotate(name, **changes[number // 2 % len(changes)])

    def delete_claim(self, number: int) -> None:
        if (found := self._claim(CLAIMS[number % 2])) is not None:
            meta = {**found["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
            self.cluster.api.store({**copy.deepcopy(found), "metadata": meta})

    def make_pod(self, number: int) -> None:
        name, claims = PODS[number % 3], (("a",), ("b",), ("a", "b"))[number // 3 % 3]
        if ("Pod", NAMESPACE, name) not in self.cluster.api.objects:
            gates = [*([{"name": "other"}] if number % 2 else []), {"name": terms.GATE}]
            self.cluster.pod(name, *claims, label=number % 5 != 0, schedulingGates=gates)

    def delete_pod(self, number: int) -> None:
        if ("Pod", NAMESPACE, PODS[number % 3]) in self.cluster.api.objects:
            self.cluster.api.drop(("Pod", NAMESPACE, PODS[number % 3]))

    def another_gate_goes(self, number: int) -> None:
        pod = self.cluster.api.objects.get(("Pod", NAMESPACE, PODS[number % 3]))
        if pod is not None and any(g["name"] == "other" for g in pod["spec"]["schedulingGates"]):
            kept = [g for g in pod["spec"]["schedulingGates"] if g["name"] != "other"]
            self.cluster.api.store({**copy.deepcopy(pod), "spec": {**pod["spec"], "schedulingGates": kept}})

    # -- Kubernetes ---------------------------------------------------------------------------------------------------

    def kubernetes(self, number: int) -> None:
        self.cluster.kubernetes(collect=number % 3 == 0)
        for pod in self.cluster.open_loaders():
            self.cluster.running(pod)

    def loader_ends(self, number: int) -> None:
        running = self.cluster.open_loaders()
        if running:
            self._end(running[number % len(running)], (0, 0, Exit.PERMANENT, Exit.RETRY)[number // 2 % 4])

    def _end(self, pod: Object, code: int) -> None:
        reason = {Exit.PERMANENT: Reason.ACCESS_DENIED, Exit.RETRY: Reason.UNREACHABLE}.get(Exit(code), Reason.LOADED)
        self.cluster.end(pod, code, reason)
        if code:
            return
        token = pod["metadata"]["annotations"][DIGEST].partition("/")[0]
        self.done.add((labels(pod)[terms.LOADER_LABEL], token))

    def a_job_is_lost(self, number: int) -> None:
        jobs = self.cluster.api.of("Job")
        if jobs:
            self.cluster.api.drop(("Job", NAMESPACE, jobs[number % len(jobs)]["metadata"]["name"]))

    # -- the controller -----------------------------------------------------------------------------------------------

    def hear(self, number: int) -> None:
        for _ in range(number % 4 + 1):
            self.cluster.hear(WATCHED[number % len(WATCHED)].kind)

    def work(self, number: int) -> None:
        self.run(self.cluster.work(lambda keys: keys[number % len(keys)]))

    def end_of_the_process(self, number: int) -> None:
        self.cluster.api.kill, self.cluster.api.after = number // 2 % 3 + 1, number % 2 == 0
        self.run(self.cluster.work(lambda keys: keys[number % len(keys)]))
        self.cluster.api.kill = None

    def keep_up(self, _: int) -> None:
        self.run(self.cluster.settle())

    def another_process(self, _: int) -> None:
        self.cluster.start()

    def time_passes(self, number: int) -> None:
        self.run(self.cluster.clock.advance((1, 6, 61)[number % 3]))

    # -- what must hold in the end ------------------------------------------------------------------------------------

    def come_to_rest(self) -> None:
        """Everybody does what is theirs: then all is loaded that can be, and only those Pods wait that have to."""
        for number in range(2):
            self.bind_claim(number)
        for _ in range(12):
            self.run(self.cluster.settle())
            self.cluster.kubernetes()
            for pod in self.cluster.open_loaders():
                self._end(pod, 0)
            self.run(self.cluster.clock.advance(61))
        self.run(self.cluster.settle())
        for found in self.cluster.api.of(KEY[0]):
            claim = claim_of(found)
            if claim.spec is not None:
                assert claim.loaded or claim.failed, self.cluster.told(claim.key[1])
        assert not self.cluster.api.of("Job")
        assert not self.cluster.open_loaders()
        for name in PODS:
            self._check_pod_at_rest(name)

    def _check_pod_at_rest(self, name: str) -> None:
        pod = self.cluster.api.objects.get(("Pod", NAMESPACE, name))
        if pod is None or not self.cluster.gated(name):
            return
        claims = [self.cluster.api.objects.get((*KEY, key[1])) for key in claims_of(pod)]
        views = [claim_of(c) if c else None for c in claims]
        assert any(v is None or v.faults or v.failed for v in views), f"{name} waits for nothing"


def _digest(job: Object) -> str:
    return str(job["metadata"]["annotations"][DIGEST].partition("/")[2])


OFTEN = {"hear": 6, "work": 6, "kubernetes": 5, "loader_ends": 4, "end_of_the_process": 4, "keep_up": 3, "make_pod": 3}
SELDOM = (
    *("make_claim", "bind_claim", "annotate", "delete_claim", "delete_pod", "another_gate_goes", "a_job_is_lost"),
    *("another_process", "time_passes"),
)
WHAT = [*SELDOM, *(name for name, weight in OFTEN.items() for _ in range(weight))]


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32))
def test_whatever_happens(seed: int) -> None:
    chance, world = Random(seed), World()  # noqa: S311 - no secret
    try:
        for claim, pod in ((8, 1), (11, 3)):
            world.make_claim(claim)
            world.make_pod(pod)
        for _ in range(150):
            getattr(world, chance.choice(WHAT))(chance.randrange(60))
            world.check_volumes()
        freed = sum(call == ("patch_json", "Pod") for call in world.cluster.api.calls)
        event(f"{min(len(world.done), 3)} loads, {min(freed, 3)} freed, before all comes to rest")
        world.come_to_rest()
    finally:
        world.loop.close()

"""A cluster in memory: Kubernetes' controllers, nodes that run loaders, and the controller of volumes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry

from kaas.kube import resources
from kaas.kube.objects import Object, condition, labels, owner_uids
from kaas.kube.resources import Resource
from kaas.kube.times import stamp
from kaas.loader.report import Exit, Reason, Result
from kaas.runtime.clock import FakeClock
from kaas.runtime.index import Index
from kaas.runtime.watches import Feed, Subscription, Watch
from kaas.volumes import terms
from kaas.volumes.metrics import VolumeMetrics
from kaas.volumes.populator.terms import SOURCE
from kaas.volumes.reconciler import SWEEP, Office, QueueKey, VolumeReconciler
from kaas.volumes.settings import LoadSettings
from kaas.volumes.watched import Interest, interests
from tests.unit.volumes.virtual_api import ApiServer, Killed, name_of, watched

SETTINGS = LoadSettings(image="kaas:1", tries_again=2)
NAMESPACE = "team"
WATCHED: tuple[Resource, ...] = (
    resources.PERSISTENT_VOLUME_CLAIM,
    resources.PERSISTENT_VOLUME,
    resources.STORAGE_CLASS,
    resources.JOB,
    resources.NETWORK_POLICY,
    resources.POD,
    SOURCE,
)


@dataclass
class VirtualCluster:
    """All of it, and the controller, whose queue is emptied by hand."""

    settings: LoadSettings = SETTINGS
    clock: FakeClock = field(default_factory=FakeClock)
    queue: set[QueueKey] = field(default_factory=set)
    later: dict[QueueKey, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.api = ApiServer(self.clock)
        self.start()

    # -- the controller -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A new process of the controller: it lists everything, and knows nothing else."""
        self.api.kill = None
        self.queue, self.later = {SWEEP}, {}
        self.index = Index()
        self.api.late.clear()
        found = [Watch(i.resource, i.keys, i.selector, i.keep, puts=i.alone) for i in self.interests()]
        self.feed = Feed(self.index, [Subscription(w, self._add) for w in found])
        for resource in WATCHED:
            for obj in self.api.of(resource.kind):
                if watched(obj):
                    self.feed.event(resource, "ADDED", copy.deepcopy(obj))
        self.registry = CollectorRegistry()
        metrics = VolumeMetrics(self.registry)
        office = Office(self.index, self.api, self.api, self.clock, metrics, self._add)
        self.reconciler = VolumeReconciler(office, self.settings)

    def interests(self) -> Sequence[Interest]:
        """What is watched."""
        return interests(self.index)

    async def reconcile(self, key: QueueKey) -> float | None:
        """Look at one key."""
        return await self.reconciler.reconcile(key)

    def _add(self, key: Any) -> None:
        self.queue.add(key)

    def hear(self, kind: str) -> bool:
        """The next change of a kind is told to the controller; False when there is none."""
        waiting = self.api.late.get(kind)
        if not waiting:
            return False
        event, obj = waiting.popleft()
        resource = next(r for r in WATCHED if r.kind == kind)
        self.feed.event(resource, event, self.feed.made_small(resource, obj))  # as kopf gets objects of a page
        return True

    def hear_all(self) -> None:
        for resource in WATCHED:
            while self.hear(resource.kind):
                pass

    async def work(self, choose: Callable[[list[QueueKey]], QueueKey] = min) -> bool:
        """Reconcile one key; False when there is none. A process that ends is started anew."""
        now = self.clock.monotonic()
        for key in [k for k, due in self.later.items() if due <= now]:
            self.queue.add(key)
            del self.later[key]
        if not self.queue:
            return False
        key = choose(sorted(self.queue))
        self.queue.discard(key)
        try:
            again = await self.reconcile(key)
        except Killed:
            self.start()
            return True
        if again is not None:
            self.later[key] = min(self.later.get(key, now + again), now + again)
        return True

    async def settle(self, rounds: int = 400) -> None:
        """Until nothing changes any more without time passing."""
        for _ in range(rounds):
            self.hear_all()
            if not await self.work():
                return
        raise AssertionError(f"it never comes to rest: {sorted(self.queue)}")

    # -- users --------------------------------------------------------------------------------------------------------

    def claim(
        self, name: str = "data", *, phase: str = "Bound", notes: dict[str, str] | None = None, **spec: Any
    ) -> None:
        """A claim that is made."""
        meta = {"name": name, "namespace": NAMESPACE, "annotations": notes or {}}
        wanted = {"accessModes": ["ReadWriteOnce"], **spec}
        if phase == "Bound":
            wanted.setdefault("volumeName", f"pv-{name}")
            self.api.store(
                {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"pv-{name}"}, "spec": {}}
            )
        obj = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": wanted}
        self.api.store({**obj, "status": {"phase": phase}})

    def annotate(self, name: str, **notes: str | None) -> None:
        """Annotations `load-*` of a claim are changed; None takes one away."""
        obj = copy.deepcopy(self.api.objects["PersistentVolumeClaim", NAMESPACE, name])
        for key, value in notes.items():
            full = terms.PREFIX + key.replace("_", "-")
            if value is None:
                obj["metadata"]["annotations"].pop(full, None)
            else:
                obj["metadata"]["annotations"][full] = value
        self.api.store(obj)

    def pod(
        self, name: str, *claims: str, label: bool = True, notes: dict[str, str] | None = None, **spec: Any
    ) -> None:
        """A Pod that waits."""
        tags = {terms.WAITING_LABEL: "waiting"} if label else {}
        meta = {"name": name, "namespace": NAMESPACE, "labels": tags, "annotations": notes or {}}
        volumes = [{"name": c, "persistentVolumeClaim": {"claimName": c}} for c in claims]
        wanted = {"volumes": volumes, "schedulingGates": [{"name": terms.GATE}], **spec}
        obj = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": wanted}
        self.api.store({**obj, "status": {"phase": "Pending"}})

    def storage_class(self, name: str = "later", mode: str = "WaitForFirstConsumer") -> None:
        """A class whose volumes are made when the first Pod that mounts them has its node."""
        kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
        self.api.store({**kind, "provisioner": "csi", "volumeBindingMode": mode})

    def bind_in(self, name: str, zone: str) -> None:
        """A claim gets a volume that one zone reaches."""
        where = {"key": "zone", "operator": "In", "values": [zone]}
        required = {"nodeSelectorTerms": [{"matchExpressions": [where]}]}
        volume: Object = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"pv-{name}"}}
        self.api.store({**volume, "spec": {"nodeAffinity": {"required": required}}})
        known = copy.deepcopy(self.api.objects["PersistentVolumeClaim", NAMESPACE, name])
        spec = {**known["spec"], "volumeName": f"pv-{name}"}
        self.api.store({**known, "spec": spec, "status": {**known["status"], "phase": "Bound"}})

    def runs(self, name: str, *claims: str, node: str, phase: str = "Running", **spec: Any) -> None:
        """A Pod that has its node, which nobody watches."""
        self.pod(name, *claims, label=False, schedulingGates=[], nodeName=node, **spec)
        self.api.objects["Pod", NAMESPACE, name]["status"]["phase"] = phase

    def told(self, name: str = "data") -> tuple[str, str, str]:
        """Status, reason and message of a claim's condition."""
        found = condition(self.api.objects["PersistentVolumeClaim", NAMESPACE, name], terms.CONDITION)
        return (found["status"], found["reason"], found["message"]) if found else ("", "", "")

    def gated(self, name: str) -> bool:
        return any(g["name"] == terms.GATE for g in self.api.objects["Pod", NAMESPACE, name]["spec"]["schedulingGates"])

    # -- Kubernetes and its nodes -------------------------------------------------------------------------------------

    def kubernetes(self, *, collect: bool = True) -> None:
        """What Kubernetes' controllers do at their leisure; garbage is collected later than the rest."""
        if collect:
            self._collect()
        for job in self.api.of("Job"):
            self._job(job)
        for claim in self.api.of("PersistentVolumeClaim"):
            if claim["metadata"].get("deletionTimestamp") and not self._users(claim):
                self.api.drop(name_of(claim))

    def _users(self, claim: Object) -> list[Object]:
        return [p for p in self.loaders() if labels(p).get(terms.LOADER_LABEL) == claim["metadata"]["uid"]]

    def loaders(self) -> list[Object]:
        """Pods of loads, those that have ended too."""
        return [p for p in self.api.of("Pod") if terms.LOADER_LABEL in labels(p)]

    def _collect(self) -> None:
        """Garbage: Pods whose Job is gone or going, Jobs whose Pods are, Jobs whose claim is gone."""
        alive = {o["metadata"]["uid"] for o in self.api.objects.values()}
        going = {j["metadata"]["uid"] for j in self.api.of("Job") if j["metadata"].get("deletionTimestamp")}
        for pod in self.loaders():
            owners = set(owner_uids(pod))
            if not owners & alive or owners & going:
                self.api.drop(name_of(pod))
        for job in self.api.of("Job"):
            if job["metadata"].get("deletionTimestamp") or not set(owner_uids(job)) & alive:
                self.api.drop(name_of(job))

    def _job(self, job: Object) -> None:
        if job["metadata"].get("deletionTimestamp") or job["status"].get("conditions"):
            return
        pods = [p for p in self.loaders() if job["metadata"]["uid"] in owner_uids(p)]
        codes = [c for p in pods if (c := _code(p)) is not None]
        failed = len([c for c in codes if c])
        status: dict[str, Any] = {"startTime": job["metadata"]["creationTimestamp"], "failed": failed}
        if Exit.PERMANENT in codes:
            status["conditions"] = [_condition("Failed", "PodFailurePolicy")]
        elif codes.count(0):
            status["conditions"] = [_condition("Complete", "CompletionsReached")]
        elif failed > job["spec"]["backoffLimit"]:
            status["conditions"] = [_condition("Failed", "BackoffLimitExceeded")]
        if len(codes) == len(pods) and not status.get("conditions"):
            self._make_pod(job)
        if status != job["status"]:
            self.api.store({**copy.deepcopy(job), "status": status})

    def _make_pod(self, job: Object) -> None:
        template = copy.deepcopy(job["spec"]["template"])
        owner = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": job["metadata"]["name"],
            "uid": job["metadata"]["uid"],
        }
        name = f"{job['metadata']['name']}-{len(self.api.objects)}-{self.api._version}"
        meta = {**template["metadata"], "name": name, "namespace": NAMESPACE, "ownerReferences": [owner]}
        obj = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}
        self.api.store({**obj, "status": {"phase": "Pending"}})

    def running(self, pod: Object) -> None:
        """Its node begins to run a loader."""
        self._state(pod, "Running", {"running": {"startedAt": stamp(self.clock.now())}})

    def end(self, pod: Object, code: int = 0, reason: Reason = Reason.LOADED, message: str = "") -> None:
        """A loader ends."""
        result = Result(reason, message, bytes=1 << 20, files=2, seconds=1.0)
        now = stamp(self.clock.now())
        state = {"exitCode": code, "message": result.text(), "startedAt": now, "finishedAt": now}
        self._state(pod, "Failed" if code else "Succeeded", {"terminated": state})

    def _state(self, pod: Object, phase: str, state: Object) -> None:
        known = copy.deepcopy(self.api.objects[name_of(pod)])
        self.api.store({**known, "status": {"phase": phase, "containerStatuses": [{"name": "loader", "state": state}]}})

    def has_done(self, job: Object) -> bool:
        """Whether a Pod of a Job has ended well."""
        return any(_code(p) == 0 for p in self.loaders() if job["metadata"]["uid"] in owner_uids(p))

    def open_loaders(self) -> list[Object]:
        """Pods of loads that have not ended."""
        return [p for p in self.loaders() if _code(p) is None]


def _condition(kind: str, reason: str) -> Object:
    return {"type": kind, "status": "True", "reason": reason, "message": f"Job is {kind}"}


def _code(pod: Object) -> int | None:
    for entry in pod["status"].get("containerStatuses") or ():
        if "terminated" in entry["state"]:
            return int(entry["state"]["terminated"]["exitCode"])
    return None

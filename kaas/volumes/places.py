"""Finds where loaders are to run: looks at Pods that use a volume or wait for it, and at their other volumes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from kaas.kube import resources
from kaas.kube.objects import Object, Objects, Ref, annotation, is_deleting, labels, name_of
from kaas.kube.ports import Lister, Times
from kaas.volumes import observe, terms
from kaas.volumes.attempts import Job
from kaas.volumes.claim import RWOP, RWX, Claim, Key, Phase, claim_of
from kaas.volumes.conditions import Told
from kaas.volumes.gates import Gates
from kaas.volumes.job import PLACE
from kaas.volumes.known import Claims
from kaas.volumes.placement import Placement, anywhere, beside, following, is_for_gpus, lets, oldest
from kaas.volumes.plan import LOOK, MOVES, UNSTARTED, Binding, End, Plan, Scene
from kaas.volumes.pods import claims_of, lean, said_of
from kaas.volumes.populator.terms import filled_for
from kaas.volumes.reasons import Reason
from kaas.volumes.starting import AGAIN, Held

ASK: Final = timedelta(seconds=30)
"""Between two questions whether a loader that no node takes may run elsewhere by now."""
NO_GPUS: Final = timedelta(minutes=20)
"""For which a loader waits for a node with GPUs where there is none: an autoscaler gives up after 15 minutes. Source:
cluster-autoscaler, `--max-node-provision-time`."""
FRESH: Final = timedelta(seconds=5)
"""For which it is known which Pods of a namespace have nodes: of many claims that begin at once, one asks. Those of a
claim that is loaded for the first time wait, so there are no new ones."""
_USING: Final = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"


class Reader(Lister, Protocol):
    """What is asked of an API server."""

    async def get(self, ref: Ref) -> Object | None:
        """The object, or None."""


class Sources(Protocol):
    """Where all of it is read from."""

    @property
    def store(self) -> observe.Cache:
        """The index."""

    @property
    def client(self) -> Reader:
        """The API server."""

    @property
    def clock(self) -> Times:
        """What time it is."""


class Places:
    """Places of loaders. gpu_label: of nodes with GPUs, "" for none."""

    def __init__(self, sources: Sources, gates: Gates, claims: Claims, gpu_label: str) -> None:
        self._store, self._client, self._clock = sources.store, sources.client, sources.clock
        self._gates, self._claims, self._gpu_label = gates, claims, gpu_label
        self._with_nodes: dict[str, tuple[datetime, Objects]] = {}
        self._beginning: set[Key] = set()
        self._held: set[Key] = set()
        self._behind: dict[Key, set[Key]] = {}
        self._asked: dict[Key, datetime] = {}
        self._spent: dict[Key, tuple[str, int]] = {}
        self._off_gpus: set[Key] = set()
        self._gpu_nodes: tuple[datetime, Objects] | None = None

    # -- one after the other ------------------------------------------------------------------------------------------

    @contextmanager
    def beginning(self, claim: Key) -> Iterator[None]:
        """While a claim's Job is being made."""
        self._beginning.add(claim)
        try:
            yield
        finally:
            self._beginning.discard(claim)

    def held(self, claim: Key) -> None:
        """A claim's Job could not be made."""
        self._held.add(claim)

    def begun(self, claim: Key) -> None:
        """A claim's Job is there."""
        self._held.discard(claim)
        self._spent.pop(claim, None)

    def forget(self, claim: Key) -> None:
        """A claim is gone."""
        self.begun(claim)
        self._asked.pop(claim, None)
        self._off_gpus.discard(claim)

    def behind(self, claim: Claim, binding: Binding) -> Told | None:
        """What a claim waits for that has no volume yet; None when it may be loaded.

        Volumes of one Pod have to be in one place, so each is made where those before it are. Their order is one for
        all Pods, so that no two wait for each other. One that cannot begin is waited for by none, and follows them.
        """
        if claim.phase is Phase.BOUND or binding is not Binding.FIRST_CONSUMER:
            return None
        pod = oldest(self._gates.waiting_for(claim.key))
        others = map(self._claims.get, claims_of(pod)) if pod else ()
        first = next((other for other in others if other and self._goes_before(other, claim)), None)
        if pod is None or first is None:
            return None
        self._behind.setdefault(first.key, set()).add(claim.key)
        also = f"claim {first.key[1]}, which Pod {pod['metadata']['name']} mounts too,"
        cause = f"; claim {first.key[1]}: {said_of(first)}" if first.condition.get("reason") == Reason.PENDING else ""
        message = f"waits until {also} has its volume: it is to be near that{cause}"
        return Told(Reason.PENDING, message, load=claim.load)

    def those_behind(self, claim: Key) -> set[Key]:
        """Claims that have waited for one, of which something is new."""
        return self._behind.pop(claim, set())

    def _goes_before(self, other: Claim, claim: Claim) -> bool:
        """Whether a volume comes to be by itself before another's loader may begin."""
        if other.key == claim.key or other.phase is not Phase.PENDING or other.deleting:
            return False
        binding = observe.binding_of(self._store, other)
        if binding is not Binding.FIRST_CONSUMER:
            return binding is Binding.IMMEDIATE
        if other.data_source or other.spec is None or other.failed:
            return False  # it is made when the Pod has its node, with the data of this one
        if other.key in self._beginning or self._store.owned_by(other.uid, resources.JOB):
            return True
        if other.key in self._held:
            return False
        return (other.created, other.key) < (claim.created, claim.key)

    # -- the place ----------------------------------------------------------------------------------------------------

    async def of(self, claim: Object, binding: Binding) -> Placement:
        """Where a claim's load may run. Held while nobody else gets its volume."""
        modes, bound = set(claim["spec"].get("accessModes") or ()), claim_of(claim).phase is Phase.BOUND
        targets = {(name_of(claim)[0], owner["name"]) for owner in filled_for(claim)}
        if bound and not targets and RWX not in modes:
            users = await self._users(claim)
            if users and RWOP in modes:
                raise Held(_in_use(claim_of(claim), users))
            if users := [pod for pod in users if not is_deleting(pod)]:
                return beside(users)
        waiting = await self._waiting(claim, targets)
        first = oldest(waiting)
        if first is None or binding is not Binding.FIRST_CONSUMER:
            return anywhere(waiting, gpu_label=self._gpu_label)
        volumes = [] if bound else await self._reach(first, name_of(claim))
        with_gpus = not bound and name_of(claim) not in self._off_gpus
        return following(first, volumes, gpu_label=self._gpu_label if with_gpus else "")

    async def _users(self, claim: Object) -> Objects:
        """Pods with a node that mount a claim, but its loaders: nobody watches them."""
        key, uid, now = name_of(claim), claim["metadata"]["uid"], self._clock.now()
        known = self._with_nodes = {n: seen for n, seen in self._with_nodes.items() if now - seen[0] < FRESH}
        request = claim_of(claim).request
        if key[0] not in known or request.id or not request.waits:  # its Pods may have begun to run just now
            found = await self._client.list(resources.POD, key[0], field_selector=_USING)
            known[key[0]] = now, [lean(pod) for pod in found if claims_of(pod)]
        return [p for p in known[key[0]][1] if key in claims_of(p) and labels(p).get(terms.LOADER_LABEL) != uid]

    async def _waiting(self, claim: Object, targets: set[Key]) -> Sequence[Object]:
        """Pods that wait for a claim, or for the one that gets its volume: no watch shows those, without gate."""
        if not targets:
            return self._gates.waiting_for(name_of(claim))
        pending = await self._client.list(resources.POD, name_of(claim)[0], field_selector="status.phase=Pending")
        return [pod for pod in pending if targets.intersection(claims_of(pod))]

    async def _reach(self, pod: Object, but: Key) -> list[dict[str, Any]]:
        """Which nodes reach the volumes of a Pod that are there."""
        claims = [claim for key in claims_of(pod) if key != but and (claim := self._claims.get(key))]
        found = [await self._volume(c.volume) for c in claims if c.phase is Phase.BOUND and c.volume]
        return [there for v in found if (there := (v["spec"].get("nodeAffinity") or {}).get("required"))]

    async def _volume(self, name: str) -> Object:
        """A volume. The watch of claims may be ahead of that of volumes."""
        known = self._store.get(resources.PERSISTENT_VOLUME, None, name)
        return known or await self._client.get(Ref("v1", "PersistentVolume", None, name)) or {"spec": {}}

    # -- another place ------------------------------------------------------------------------------------------------

    async def moved(self, scene: Scene, planned: Plan) -> Plan | None:
        """What is to be done when no node takes a loader and its place is another one by now; None if not so.

        A Pod that had the volume may be gone, and its node with it. planned: what is to be done otherwise.
        """
        claim, since = scene.claim, _unplaced_since(scene.jobs[0]) if planned.runs else None
        if since is None:
            self._asked.pop(claim.key, None)
            return None
        if scene.now - self._asked.setdefault(claim.key, since + UNSTARTED - ASK) < ASK:
            return None
        self._asked[claim.key] = scene.now
        if not (why := await self._why_elsewhere(scene, since)):
            return None
        job = scene.jobs[0]
        self._spent[claim.key] = job.mark, int((job.spent + (scene.now - job.created)).total_seconds())
        told = Told(Reason.PENDING, f"{MOVES}, and {why}", load=claim.load)
        return Plan(told, ends=(End(job.name, job.uid, waits=True),), again=LOOK)

    def spent(self, claim: Claim) -> int:
        """Seconds that Jobs which were made anew have had of the time for all attempts."""
        mark, seconds = self._spent.get(claim.key, ("", 0))
        return seconds if claim.load and claim.load.mark == mark else 0

    async def _why_elsewhere(self, scene: Scene, since: datetime) -> str:
        """Why a loader's place is another one by now; "" when it is not. since: no node has taken it."""
        key, job = scene.claim.key, scene.jobs[0]
        made = self._store.get(resources.JOB, key[0], job.name)
        known = self._store.get(resources.PERSISTENT_VOLUME_CLAIM, *key)
        mark = annotation(made, PLACE) if made else None
        if mark is None or known is None:
            return ""
        with suppress(Held):
            if (await self.of(known, scene.binding)).mark != mark:
                return "the Pods that its place came from have changed: it is made anew"
        if scene.now - since >= NO_GPUS and await self._has_no_gpus(key, job):
            self._off_gpus.add(key)
            return "none with GPUs has come on which its Pod may run: it is made anew for nodes without, too"
        return ""

    async def _has_no_gpus(self, claim: Key, job: Job) -> bool:
        """Whether a loader asks for a node with GPUs and there is none for it, be it full, tainted or cordoned."""
        if not self._gpu_label or claim in self._off_gpus:
            return False
        open_ones = {a.name for a in job.attempts if a.exit is None}
        pods = [p for p in self._store.owned_by(job.uid, resources.POD) if p["metadata"]["name"] in open_ones]
        if not pods or not all(is_for_gpus(pod["spec"], self._gpu_label) for pod in pods):
            return False
        nodes = await self._nodes_with_gpus()
        return not any(lets(pod["spec"], node) for pod in pods for node in nodes)

    async def _nodes_with_gpus(self) -> Objects:
        """Labels of all nodes that have some. Of many loaders that wait for one, one asks."""
        now = self._clock.now()
        if self._gpu_nodes is None or now - self._gpu_nodes[0] >= ASK:
            found = await self._client.list(resources.NODE, None, self._gpu_label)
            self._gpu_nodes = now, [{"metadata": {"name": n["metadata"]["name"], "labels": labels(n)}} for n in found]
        return self._gpu_nodes[1]


def _unplaced_since(job: Job) -> datetime | None:
    """Since when no Pod of a Job that runs has a node; None when one has."""
    waits = [a for a in job.attempts if a.exit is None]
    return max(a.created for a in waits) if waits and all(a.unplaced for a in waits) else None


def _in_use(claim: Claim, users: Sequence[Object]) -> Told:
    pod = min(user["metadata"]["name"] for user in users)
    message = f"Pod {pod} uses it, and {RWOP} lets no other one in: it is loaded when that has ended"
    return Told(Reason.PENDING, f"{message}; it is looked at again every {AGAIN:.0f} s", load=claim.load)

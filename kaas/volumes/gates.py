"""Takes gates away from Pods whose data is there, and tells those that nothing will free why they wait."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, Protocol

from kaas.kube.errors import Conflict, Forbidden, Invalid, NotFound
from kaas.kube.objects import Object, Objects, Ref, metadata, name_of, ref_of, uid
from kaas.kube.ports import Announcer, Source, Times
from kaas.kube.resources import POD, Resource
from kaas.kube.times import at
from kaas.volumes import terms
from kaas.volumes.claim import Key
from kaas.volumes.known import Claims
from kaas.volumes.metrics import VolumeMetrics
from kaas.volumes.pods import Hold, claims_of, gated, hold_of, lean, ungating

AT_ONCE: Final = 16
TRIES: Final = 4  # other gates of the Pod may go at the same moment
HELD: Final = "DataNotLoaded"
"""Reason of the Event on a Pod that nothing will free by itself."""
UNSEEN: Final = 300.0
"""Seconds for which a Pod may wait for a claim that does not exist before it is told so."""


class PodWriter(Protocol):
    """What is asked of an API server about Pods."""

    async def get(self, ref: Ref) -> Object | None:
        """The object, or None."""

    async def patch_json(self, ref: Ref, operations: Objects) -> Object:
        """JSON Patch; Invalid when a test in it fails."""


class PodStore(Source, Protocol):
    """The index, into which answers are put."""

    def put(self, obj: Object, *, seen: bool = False) -> Object | None:
        """Store an answer to a write."""

    def remove(self, obj: Object) -> Object | None:
        """Forget an object."""

    def each(self, resource: Resource, namespace: str | None = None) -> Iterable[Object]:
        """Objects of a kind in no order."""


class Gates:
    """All Pods that wait, as far as they are known."""

    def __init__(
        self,
        store: PodStore,
        claims: Claims,
        client: PodWriter,
        announcer: Announcer,
        clock: Times,
        metrics: VolumeMetrics,
    ) -> None:
        self._store, self._client, self._announcer, self._clock = store, client, announcer, clock
        self._claims, self._metrics = claims, metrics
        self._unlabelled: dict[Key, Object] = {}
        self._told: dict[str, str] = {}
        self._of_claim: dict[Key, set[Key]] | None = None
        metrics.watch_gates(lambda: len(self.waiting()), self.oldest)

    def waiting(self) -> list[Object]:
        """Pods with our gate."""
        found = {name_of(p): p for p in self._store.each(POD) if gated(p)}
        return list({**self._unlabelled, **found}.values())

    @property
    def known_claims(self) -> int:
        """How many claims it knows Pods of that wait or have just waited."""
        return len(self._mounting())

    def waiting_for(self, claim: Key) -> list[Object]:
        """Pods with our gate that mount a claim."""
        names = self._mounting().get(claim, set())
        known = {name: pod for name in names if (pod := self.known(name)) is not None and claim in claims_of(pod)}
        names.intersection_update(known)
        return [known[name] for name in sorted(known) if gated(known[name])]

    def _mounting(self) -> dict[Key, set[Key]]:
        """Names of Pods that wait or have waited, by claim: at first all that are there, then whatever is seen."""
        if self._of_claim is None:
            self._of_claim = {}
            for pod in self._store.each(POD):
                self.saw(pod)
        return self._of_claim

    def saw(self, pod: Object) -> bool:
        """A Pod has come or changed; whether it waits and that is new for one of its claims."""
        if not gated(pod):
            return False
        found, name = self._mounting(), name_of(pod)
        new = [claim for claim in claims_of(pod) if name not in found.get(claim, ())]
        for claim in new:
            found.setdefault(claim, set()).add(name)
        return bool(new)

    def oldest(self) -> float:
        """Seconds that the Pod that waits for longest has waited."""
        made = [at(metadata(p)["creationTimestamp"]) for p in self.waiting()]
        return max(0.0, (self._clock.now() - min(made)).total_seconds()) if made else 0.0

    def found_without_label(self, pods: Iterable[Object]) -> None:
        """What a sweep has found: all Pods with our gate that no watch shows. Those that are gone are forgotten."""
        self._of_claim = None
        found = [p for p in pods if gated(p) and self._store.get(POD, *name_of(p)) is None]
        self._unlabelled = {name_of(p): lean(p) for p in found}
        for pod in found:
            self.saw(pod)
        there = {uid(p) for p in self.waiting()}
        self._told = {known: said for known, said in self._told.items() if known in there}

    def known(self, key: Key) -> Object | None:
        """A Pod by its name."""
        return self._store.get(POD, *key) or self._unlabelled.get(key)

    async def look(self, pods: Sequence[Object]) -> int:
        """Free those that have to wait no more; tells the others why. Returns how many were freed."""
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(pod: Object) -> bool:
            async with turn:
                return await self._look_at(pod)

        return sum(await asyncio.gather(*(one(pod) for pod in pods)))

    async def _look_at(self, pod: Object) -> bool:
        if not gated(pod):
            self._told.pop(uid(pod), None)
            return False
        hold = hold_of(pod, self._claims.get)
        if hold is None:
            return await self._free(pod)
        if hold.final or self._is_forgotten(pod, hold):
            await self._tell(pod, hold.message)
        return False

    def _is_forgotten(self, pod: Object, hold: Hold) -> bool:
        """Whether it has waited for long for a claim that nobody makes."""
        since: datetime = at(metadata(pod)["creationTimestamp"])
        missing = self._claims.get(hold.claim) is None
        return missing and (self._clock.now() - since).total_seconds() >= UNSEEN

    async def _tell(self, pod: Object, why: str) -> None:
        """Say once why it waits."""
        if self._told.get(uid(pod)) == why:
            return
        self._told[uid(pod)] = why
        await self._announcer.emit(pod, HELD, why, event_type="Warning")

    async def _free(self, pod: Object) -> bool:
        """Take the gate away, whatever other gates do meanwhile; False when the Pod is gone, or somebody else did."""
        ref, current = ref_of(pod), pod
        for _ in range(TRIES):
            try:
                answer = await self._client.patch_json(ref, ungating(current))
            except NotFound:
                break
            except (Invalid, Conflict, Forbidden) as failure:
                refusal = failure
                fresh = await self._client.get(ref)
                if fresh is None or uid(fresh) != uid(pod) or not gated(fresh):
                    break
                current = fresh
                continue
            self._freed(pod, answer)
            return True
        else:
            await self._tell(pod, f"it need not wait, but {terms.GATE} cannot be taken away: {refusal.message}")
            return False
        self._unlabelled.pop((ref.namespace or "", ref.name), None)
        return False

    def _freed(self, pod: Object, answer: Object) -> None:
        """Its watch ends with the label, so it is forgotten here and now."""
        self._store.remove(pod)
        self._unlabelled.pop(name_of(pod), None)
        self._told.pop(uid(pod), None)
        waited = self._clock.now() - at(metadata(answer)["creationTimestamp"])
        self._metrics.freed(waited.total_seconds())

"""Has claims filled that name a DataSource. Key: `("populate", namespace, name)` of such a claim, or REGISTER."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from kaas.kube import resources
from kaas.kube.errors import Conflict, Forbidden, Invalid, NotFound
from kaas.kube.objects import Object, Objects, Ref, metadata, uid
from kaas.kube.ports import Announcer, Source, Times
from kaas.volumes import observe, terms
from kaas.volumes.claim import SELECTED_NODE, Claim, claim_of, lean
from kaas.volumes.conditions import Told, condition_of, event_type, is_due, is_news, status_of
from kaas.volumes.populator.plan import Act, Facts, changes, handing_over, plan, prime_of, said_of
from kaas.volumes.populator.terms import SOURCE, filled_for, prime_name, registration
from kaas.volumes.reasons import Reason

log = logging.getLogger(__name__)

REGISTER: Final = ("register",)
SOON: Final = 5.0
LATER: Final = 60.0
"""Seconds to the next look, whatever was missed."""
PVC: Final = resources.PERSISTENT_VOLUME_CLAIM
_REFUSED: Final = "its volume cannot be filled"


class Cluster(Protocol):
    """What is asked of the API server."""

    async def get(self, ref: Ref) -> Object | None:
        """The object, or None."""

    async def create(self, obj: Object, *, manager: str) -> Object:
        """Create; Conflict when it is there."""

    async def apply(self, obj: Object, *, manager: str) -> Object:
        """Server-side apply."""

    async def apply_status(self, obj: Object, *, manager: str) -> Object:
        """Server-side apply of the status."""

    async def patch(self, ref: Ref, patch: Object) -> Object:
        """JSON merge patch."""

    async def patch_json(self, ref: Ref, operations: Objects) -> Object:
        """JSON Patch; Invalid when a test in it fails."""

    async def delete(self, ref: Ref, *, uid: str | None = None) -> bool:
        """Ask for deletion."""


class Store(Source, Protocol):
    """The index, into which answers are put."""

    def put(self, obj: Object, *, seen: bool = False) -> Object | None:
        """Store an answer to a write."""


@dataclass(slots=True)
class PopulatorReconciler:
    """Does what is planned for one claim at a time."""

    store: Store
    client: Cluster
    announcer: Announcer
    clock: Times

    async def reconcile(self, key: tuple[str, ...]) -> float | None:
        """Do the next thing; seconds to the next look, None: on events."""
        match key:
            case ("populate", namespace, name):
                return await self._claim(namespace, name)
            case _:
                await self._register()
                return None

    async def _register(self) -> None:
        """Say that somebody fills these claims; clusters need not know the kind."""
        try:
            await self.client.apply(registration(), manager=terms.MANAGER)
        except (NotFound, Forbidden) as unknown:
            log.info("no VolumePopulator is registered: %s", unknown)

    async def _claim(self, namespace: str, name: str) -> float | None:
        found = self.store.get(PVC, namespace, name)
        target = claim_of(found) if found else None
        for left in self._primes(namespace, name, target.uid if target else ""):
            await self._delete(left)
        if target is None or not target.data_source:
            return None
        facts = await self._facts(target)
        planned = plan(facts)
        if planned.act in {Act.CREATE, Act.CHANGE, Act.HAND_OVER}:
            await self._act(planned.act, planned.told, facts)
        else:
            await self._tell(target, planned.told)
        if planned.act is Act.DELETE and facts.prime is not None:
            await self._delete(facts.prime)
        return SOON if planned.act else LATER

    async def _act(self, act: Act, told: Told | None, facts: Facts) -> None:
        """Do it and tell of it. Once a volume is handed over, the binder writes the claim: that is told before."""
        target = facts.target
        if act is Act.HAND_OVER and not said_of(target).startswith(_REFUSED):
            await self._tell(target, told)
            told = None
        try:
            await self._do(act, facts)
        except (Forbidden, Invalid) as refusal:
            told = Told(Reason.PENDING, f"{_REFUSED}: {refusal.message}; it is tried again every {LATER:.0f} s")
        await self._tell(target, told)

    def _primes(self, namespace: str, name: str, but: str) -> list[Claim]:
        """Primes of claims that had this name before. A claim of whoever has such a name is none."""
        known = self.store.list(PVC, namespace)
        return [claim_of(c) for c in known if any(o["name"] == name and o["uid"] != but for o in filled_for(c))]

    async def _facts(self, target: Claim) -> Facts:
        namespace = target.key[0]
        known = self.store.get(PVC, namespace, prime_name(target.uid))
        prime = claim_of(known) if known else None
        notes: Mapping[str, str] = metadata(known or {}).get("annotations") or {}
        return Facts(
            target=target,
            binding=observe.binding_of(self.store, target),
            source=self.store.get(SOURCE, namespace, target.data_source),
            node=target.node,
            prime=prime,
            notes={k: v for k, v in notes.items() if k.startswith(terms.PREFIX) or k == SELECTED_NODE},
            holder=await self._holder(prime) if prime and prime.loaded and not target.volume else "",
        )

    async def _holder(self, prime: Claim) -> str:
        """Uid of the claim that has the prime's volume."""
        volume = await self.client.get(Ref("v1", "PersistentVolume", None, prime.volume)) if prime.volume else None
        return str((((volume or {}).get("spec") or {}).get("claimRef") or {}).get("uid") or "")

    async def _do(self, act: Act, facts: Facts) -> None:
        """One write, upon the claim as it is now. No prime is put into the index: who loads it is told by its watch."""
        fresh = await self.client.get(Ref("v1", "PersistentVolumeClaim", *facts.target.key))
        if fresh is None or uid(fresh) != facts.target.uid or metadata(fresh).get("deletionTimestamp"):
            return
        with suppress(Conflict, NotFound):
            if act is Act.CREATE:
                await self.client.create(prime_of(fresh, facts), manager=terms.MANAGER)
            elif act is Act.CHANGE and facts.prime is not None:
                ref = Ref("v1", "PersistentVolumeClaim", *facts.prime.key)
                await self.client.patch(ref, {"metadata": {"annotations": changes(facts)}})
            elif act is Act.HAND_OVER and facts.prime is not None:
                await self._hand_over(fresh, facts.prime)

    async def _hand_over(self, target: Object, prime: Claim) -> None:
        volume = Ref("v1", "PersistentVolume", None, prime.volume)
        await self.client.patch_json(volume, handing_over(target, prime))
        log.info("volume %s handed over to %s", prime.volume, "/".join(claim_of(target).key))

    async def _delete(self, prime: Claim) -> None:
        if prime.deleting:
            return
        with suppress(Conflict):
            await self.client.delete(Ref("v1", "PersistentVolumeClaim", *prime.key), uid=prime.uid)

    async def _tell(self, target: Claim, told: Told | None) -> None:
        now = self.clock.now()
        if told is None or not is_due(told, target.condition, now):
            return
        try:
            status = status_of(target.key, [condition_of(told, target.condition, now)])
            answer = await self.client.apply_status(status, manager=terms.MANAGER)
        except NotFound:
            return
        self.store.put(lean(answer))
        if is_news(told, target.condition):
            await self.announcer.emit(answer, told.reason, told.message, event_type=event_type(told))

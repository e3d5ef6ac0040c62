"""Begins loads: looks at claim, Secret and volume as they are now, and makes the Job."""

from __future__ import annotations

from typing import Final, Protocol

from kaas.kube.errors import Conflict, Forbidden, Invalid
from kaas.kube.objects import Object, Ref, annotation, is_deleting, uid
from kaas.kube.ports import Source
from kaas.kube.resources import NETWORK_POLICY
from kaas.volumes.access import ANONYMOUS, Access, Unusable, access_of
from kaas.volumes.annotations import Spec
from kaas.volumes.claim import Claim
from kaas.volumes.conditions import Told
from kaas.volumes.identity import Load
from kaas.volumes.job import DIGEST, Work, job_of, network_policy
from kaas.volumes.placement import Placement
from kaas.volumes.reasons import Reason
from kaas.volumes.settings import LoadSettings
from kaas.volumes.terms import CREDENTIALS, MANAGER

AGAIN: Final = 30.0
"""Seconds to the next look when something has to be made by others first."""


class Writer(Protocol):
    """What is asked of an API server to begin a load."""

    async def get(self, ref: Ref) -> Object | None:
        """The object, or None."""

    async def create(self, obj: Object, *, manager: str) -> Object:
        """Create; Conflict when it is there."""

    async def apply(self, obj: Object, *, manager: str) -> Object:
        """Server-side apply."""


class Known(Source, Protocol):
    """The index, into which answers are put."""

    def put(self, obj: Object, *, seen: bool = False) -> Object | None:
        """Store an answer to a write."""


class Held(Exception):
    """A load cannot begin yet. told: what the condition says of that."""

    def __init__(self, told: Told) -> None:
        super().__init__(told.message)
        self.told = told


class Starter:
    """Begins loads, one Job each."""

    def __init__(self, client: Writer, store: Known, settings: LoadSettings) -> None:
        self._client, self._store, self._settings = client, store, settings

    async def start(self, claim: Claim, placement: Placement, spent: int = 0) -> Object:
        """Make the Job of a claim's load; returns it, or the one that is there already. Held when it cannot be made.

        spent: seconds of its timeout that Jobs before had.
        """
        spec, load = claim.spec, claim.load
        if spec is None or load is None:
            raise Held(Told(Reason.INVALID, "; ".join(map(str, claim.faults))))
        access = await self._access(claim, spec, load)
        try:
            await self._fence(claim.key[0])
            work = Work(claim, spec, load, access, placement, spent)
            return await self._create(job_of(work, self._settings), load)
        except (Forbidden, Invalid) as refusal:
            message = f"its Job cannot be made: {refusal.message}; it is tried again every {AGAIN:.0f} s"
            raise Held(Told(Reason.PENDING, message, load=load)) from refusal

    async def _access(self, claim: Claim, spec: Spec, load: Load) -> Access:
        """By the Secret that the claim names, which is read by its name and nothing else."""
        if not spec.credentials:
            return ANONYMOUS
        secret = await self._client.get(Ref("v1", "Secret", claim.key[0], spec.credentials))
        if secret is None:
            missing = f"Secret {spec.credentials} ({CREDENTIALS}) is not there: make it by `kaas credentials create`"
            message = f"{missing}; it is looked for again every {AGAIN:.0f} s"
            raise Held(Told(Reason.PENDING, message, load=load))
        try:
            return access_of(spec.source.scheme, secret)
        except Unusable as unfit:
            raise Held(Told(Reason.INVALID, f"{CREDENTIALS}: {unfit}")) from unfit

    async def _fence(self, namespace: str) -> None:
        """The network policy of a namespace's loaders, before each of them as it should be."""
        wanted = network_policy(namespace, self._settings)
        known = self._store.get(NETWORK_POLICY, namespace, wanted["metadata"]["name"])
        if self._settings.network_policy and (known is None or known["spec"] != wanted["spec"]):
            self._store.put(await self._client.apply(wanted, manager=MANAGER))

    async def _create(self, job: Object, load: Load) -> Object:
        """The name is the load's own, so of two that make it one is refused."""
        try:
            return await self._client.create(job, manager=MANAGER)
        except Conflict as taken:
            meta = job["metadata"]
            found = await self._client.get(Ref("batch/v1", "Job", meta["namespace"], meta["name"]))
            ours = found is not None and uid(found) and annotation(found, DIGEST) == load.mark
            if found is not None and ours and not is_deleting(found):
                return found
            message = f"waits until Job {meta['name']}, which was there before, is gone"
            raise Held(Told(Reason.PENDING, message, load=load)) from taken

"""Keeps certificates: makes them, renews them in time, serves them, and tells API servers which CA to trust.

Every replica does this, with no leader among them. Each step is one write of the Secret with the version that was read:
of two replicas that take the same step at once, one is refused and takes over what the other wrote. So there is no
Lease to hold or lose, the first replica to start is ready at once, and a replica that hangs delays nobody.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from kaas.admission import certificates, secret
from kaas.admission.certificates import Lives, Material, Step
from kaas.admission.tls import Tls
from kaas.kube.errors import Conflict, KubeError
from kaas.kube.objects import Object

log = logging.getLogger(__name__)

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1"
POLL = 5.0
"""Seconds between two looks: a new leaf is served by every replica after so long."""
STEPS = 4  # at one look; more would mean that replicas do not agree


class Store(Protocol):
    """What the keeper needs of the API server's client."""

    async def get(self, path: str) -> Object | None:
        """Object, or None."""

    async def create(self, collection: str, obj: Object) -> Object:
        """Create; Conflict when it is there."""

    async def replace(self, path: str, obj: Object) -> Object:
        """Replace what was read; Conflict when it changed."""

    async def patch(self, path: str, operations: list[dict[str, Any]]) -> Object:
        """JSON Patch."""


@dataclass(frozen=True)
class Keeping:
    """Whose certificates are kept.

    names: that the webhook is called by, which the leaf has to be valid for. secret: its name. configuration: name of
    the webhook configurations that are to trust them. kinds: which of these there are.
    """

    namespace: str
    names: Sequence[str]
    secret: str
    configuration: str
    lives: Lives = field(default_factory=Lives)
    poll: float = POLL
    kinds: Sequence[str] = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")

    @property
    def configurations(self) -> list[str]:
        """Where the webhook configurations are."""
        return [f"{CONFIGURATIONS}/{kind}/{self.configuration}" for kind in self.kinds]

    @property
    def collection(self) -> str:
        """Where the Secret is created."""
        return f"/api/v1/namespaces/{self.namespace}/secrets"

    @property
    def path(self) -> str:
        """Where the Secret is."""
        return f"{self.collection}/{self.secret}"


def _now() -> datetime:
    return datetime.now(UTC)


class Keeper:
    """Keeps one webhook's certificates."""

    def __init__(self, store: Store, tls: Tls, keeping: Keeping, now: Callable[[], datetime] = _now) -> None:
        self._store = store
        self._tls = tls
        self._keeping = keeping
        self._now = now
        self._trusted = b""  # what every webhook configuration was seen to trust

    async def run(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Look again and again, until cancelled. What fails is logged and tried again at the next look."""
        while True:
            try:
                await self.look()
            except (KubeError, ValueError) as failure:
                log.warning("certificates: %s", failure)
            await sleep(self._keeping.poll)

    async def look(self) -> None:
        """Take the steps that are due, see that API servers trust the CA, and serve the leaf.

        A leaf of a CA that is new to them is served from the next look on, when they have heard of it: until then the
        leaf before it serves. Only the first leaf is served at once.
        """
        heard = self._trusted
        material = await self._current()
        self._serve_first(material)
        await self._spread(material.trusted)
        if material.ca.certificate in heard and self._tls.load(material.leaf):
            log.info("serving a certificate until %s", self._tls.expires)

    def _serve_first(self, material: Material) -> None:
        if self._tls.expires is None or self._tls.expires <= self._now():
            self._tls.load(material.leaf)
            log.info("serving a first certificate until %s", self._tls.expires)

    async def _current(self) -> Material:
        for _ in range(STEPS):
            found = await self._store.get(self._keeping.path)
            material = secret.read(found) if found else None
            step = self._due(material)
            if step is Step.NOTHING and material:
                return material
            log.info("certificates: %s", step)
            try:
                await self._write(found, self._taken(step, material))
            except Conflict:
                log.info("certificates: another replica was faster")
        raise ValueError(f"no steady state after {STEPS} steps: see Secret {self._keeping.secret}, or delete it")

    def _due(self, material: Material | None) -> Step:
        keeping, trusted = self._keeping, material is not None and material.trusted == self._trusted
        return certificates.next_step(material, keeping.names, self._now(), keeping.lives, trusted=trusted)

    def _taken(self, step: Step, material: Material | None) -> Material:
        keeping = self._keeping
        try:
            taken = certificates.take(step, material, keeping.names, self._now(), keeping.lives)
        except ValueError as failure:
            log.warning("certificates are made anew: %s", failure)
            step, taken = Step.BEGIN, certificates.take(Step.BEGIN, None, keeping.names, self._now(), keeping.lives)
        # Whoever deletes the Secret stops nothing: what is served until all have heard of the new CA stays trusted.
        return replace(taken, trusted=taken.trusted + self._trusted) if step is Step.BEGIN else taken

    async def _write(self, found: Object | None, material: Material) -> None:
        data = secret.write(material)
        if found is not None:
            await self._store.replace(self._keeping.path, {**found, "data": data})
            return
        metadata = {"name": self._keeping.secret, "namespace": self._keeping.namespace}
        obj = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": data}
        await self._store.create(self._keeping.collection, obj)

    async def _spread(self, trusted: bytes) -> None:
        """Let every webhook of both configurations trust these CAs. One that is not installed cannot, yet."""
        complete = True
        for path in self._keeping.configurations:
            configuration = await self._store.get(path)
            if configuration is None:
                log.warning("certificates: %s is not installed", path)
                complete = False
            elif operations := _bundled(configuration, trusted):
                await self._store.patch(path, operations)
                log.info("certificates: %s trusts the current CA", path)
        self._trusted = trusted if complete else b""


def _bundled(configuration: Object, trusted: bytes) -> list[dict[str, Any]]:
    """JSON Patch that gives every webhook this bundle; empty when all have it."""
    bundle = base64.b64encode(trusted).decode()
    changes = [
        {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": bundle}
        for index, webhook in enumerate(configuration.get("webhooks") or [])
        if webhook["clientConfig"].get("caBundle") != bundle
    ]
    version = configuration["metadata"]["resourceVersion"]
    test = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
    return [test, *changes] if changes else []

"""Claims as they were last seen, each read once: annotations are looked at many times while a load runs. Pure."""

from __future__ import annotations

from kaas.kube.objects import Object
from kaas.kube.ports import Source
from kaas.kube.resources import PERSISTENT_VOLUME_CLAIM
from kaas.volumes.claim import Claim, Key, claim_of


class Claims:
    """Reads claims of an index, whose objects never change: another state is another object."""

    def __init__(self, store: Source) -> None:
        self._store = store
        self._read: dict[Key, tuple[Object, Claim]] = {}

    def get(self, key: Key) -> Claim | None:
        """The claim; None when there is none."""
        found = self._store.get(PERSISTENT_VOLUME_CLAIM, *key)
        if found is None:
            self._read.pop(key, None)
            return None
        known = self._read.get(key)
        if known is not None and known[0] is found:
            return known[1]
        claim = claim_of(found)
        if claim.request.concerns:  # of the others there may be many, and they are seldom looked at
            self._read[key] = found, claim
        else:
            self._read.pop(key, None)
        return claim

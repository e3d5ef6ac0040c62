"""What the snapshot cache watches: a change of any of it has the whole looked at. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kaas.kube import resources
from kaas.kube.objects import Object
from kaas.volumes import claim, terms
from kaas.volumes.cache import snapshots
from kaas.volumes.cache.reconciler import KEY
from kaas.volumes.watched import Interest, Keys

_ALL: Final[Keys] = (KEY,)


def interests() -> Sequence[Interest]:
    """Everything that is watched."""
    return (
        Interest(snapshots.SNAPSHOT, lambda _: _ALL, snapshots.lean, terms.CACHE_KEY_LABEL),
        Interest(snapshots.CONTENT, lambda _: _ALL, snapshots.lean, terms.CACHE_KEY_LABEL),
        Interest(resources.PERSISTENT_VOLUME_CLAIM, _of_claim, claim.lean),
    )


def _of_claim(found: Object) -> Keys:
    """One that names a snapshot, or of which one may be made."""
    notes = found["metadata"].get("annotations") or {}
    return _ALL if "dataSourceRef" in found["spec"] or notes.get(terms.CACHE) == "snapshot" else ()

"""What the populator watches, and which claims have to be looked at when it changes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from kaas.kube import resources
from kaas.kube.objects import Object, metadata, name_of
from kaas.kube.ports import Source
from kaas.volumes import claim
from kaas.volumes.populator.terms import SOURCE, filled_for
from kaas.volumes.watched import Interest, Keys


def interests(store: Source) -> Sequence[Interest]:
    """Everything that is watched; `store` is read when a DataSource changes."""

    def of_source(found: Object) -> Keys:
        namespace, name = name_of(found)
        known = store.list(resources.PERSISTENT_VOLUME_CLAIM, namespace)
        return [_key(name_of(c)) for c in known if (c["spec"].get("dataSourceRef") or {}).get("name") == name]

    return (
        # What is said of a prime, another feature writes.
        Interest(resources.PERSISTENT_VOLUME_CLAIM, _of_claim, claim.lean, alone=False),
        Interest(SOURCE, of_source, _source),
    )


def _of_claim(found: Object) -> Keys:
    """Itself, when a DataSource fills it; of a prime the claim that gets its volume."""
    namespace, name = name_of(found)
    if owners := filled_for(found):
        return [_key((namespace, o["name"])) for o in owners]
    reference = found["spec"].get("dataSourceRef") or {}
    return [_key((namespace, name))] if reference.get("kind") == claim.DATA_SOURCE else []


def _key(name: claim.Key) -> tuple[str, ...]:
    return ("populate", *name)


def _source(found: Object) -> Object:
    kept = {k: metadata(found)[k] for k in ("name", "namespace", "uid", "resourceVersion") if k in metadata(found)}
    rest: Object = {k: found[k] for k in ("apiVersion", "kind", "spec") if k in found}
    return {**rest, "metadata": kept}

"""Names of the populator, and a DataSource as the annotations that say the same. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kaas.api.constants import GROUP, VERSION
from kaas.kube.objects import Object, Objects, metadata
from kaas.kube.resources import Resource
from kaas.volumes import terms
from kaas.volumes.claim import DATA_SOURCE

SOURCE: Final = Resource(GROUP, VERSION, DATA_SOURCE, "datasources")
POPULATOR: Final = Resource("populator.storage.k8s.io", "v1beta1", "VolumePopulator", "volumepopulators", False)
"""Registration of a kind, so that nobody is warned of it. Source: kubernetes-csi/volume-data-source-validator."""
PRIME: Final = "prime-"
"""Beginning of the name of the claim whose volume is filled; its rest is the uid of the claim that gets the volume."""
PRIME_LABEL: Final = f"{GROUP}/populates"
"""Label of such a claim: the uid of the claim that gets its volume."""

FIELDS: Final[Mapping[str, str]] = {
    "source": terms.SOURCE,
    "path": terms.PATH,
    "credentials": terms.CREDENTIALS,
    "serviceAccount": terms.SERVICE_ACCOUNT,
    "endpoint": terms.ENDPOINT,
    "region": terms.REGION,
    "include": terms.INCLUDE,
    "exclude": terms.EXCLUDE,
    "id": terms.ID,
    "verify": terms.VERIFY,
    "cache": terms.CACHE,
    "owner": terms.OWNER,
    "requesterPays": terms.REQUESTER_PAYS,
    "shards": terms.SHARDS,
    "maxRate": terms.MAX_RATE,
    "timeout": terms.TIMEOUT,
}
"""Field of a DataSource, and the annotation that says the same of a claim."""


def notes_of(source: Object) -> dict[str, str]:
    """What a DataSource asks for, as annotations of a claim."""
    spec = source.get("spec") or {}
    return {note: _text(spec[name]) for name, note in FIELDS.items() if name in spec}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def registration() -> Object:
    """The VolumePopulator that says that somebody fills claims with a DataSource."""
    return {
        "apiVersion": POPULATOR.api_version,
        "kind": POPULATOR.kind,
        "metadata": {"name": f"datasources.{GROUP}", "labels": {"app.kubernetes.io/managed-by": terms.MANAGER}},
        "sourceKind": {"group": GROUP, "kind": DATA_SOURCE},
    }


def filled_for(claim: Object) -> Objects:
    """References to the claim for which one is filled; none for what is no prime, whatever its name begins with."""
    name, owners = metadata(claim)["name"], metadata(claim).get("ownerReferences") or ()
    return [o for o in owners if o.get("kind") == "PersistentVolumeClaim" and name == prime_name(o["uid"])]


def prime_name(uid: str) -> str:
    """Name of the claim whose volume is filled for the claim with this uid."""
    return f"{PRIME}{uid}"

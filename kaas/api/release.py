"""`Release`: one Kubernetes version that Clusters may run."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from kaas.api.model import AGE, Column, Model, Resource
from kaas.api.rules import Rule
from kaas.api.versions import ExactVersion


def _immutable(field: str, example: str) -> Rule:
    # Each its own text: machines pin what they were made of, and a changed Release would replace them all at once.
    return Rule(
        cel="self == oldSelf",
        message=f"{field} of a Release cannot change, Clusters already run it: make a new Release{example}",
    )


class ReleaseSpec(Model):
    """What the version is made of."""

    version: Annotated[ExactVersion, _immutable("version", "")]
    """Kubernetes version, as v1.36.3."""
    image: Annotated[
        str,
        Field(min_length=1, max_length=255),
        _immutable("image", " for the new image, as v1.36.3-2, and delete the old one when no Cluster needs it"),
    ]
    """Name of the node image in Glance; a Site may have another name for it."""


class Release(Resource):
    """One Kubernetes version that Clusters may run."""

    plural: ClassVar[str] = "releases"
    scope: ClassVar[Literal["Namespaced", "Cluster"]] = "Cluster"
    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="Version", json_path=".spec.version"),
        Column(name="Image", json_path=".spec.image"),
        AGE,
    )

    kind: Literal["Release"] = "Release"
    spec: ReleaseSpec
    """What the version is made of."""

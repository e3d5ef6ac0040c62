"""What a Rollout carries: which kinds of updates, and of a run what each brings."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from kaas.api.model import Model

MAX_IMAGES: Final = 500
MAX_REVISIONS: Final = 16

Image = Annotated[str, Field(min_length=1, max_length=255)]
ClassName = Annotated[str, Field(min_length=1, max_length=253)]


class Kind(StrEnum):
    """A kind of update that a Rollout may carry, named as in `spec.updates` of a Cluster."""

    KUBERNETES = "Kubernetes"
    NODE_IMAGES = "NodeImages"
    CLASS_REVISION = "ClassRevision"


class CarriedImage(Model):
    """The node image that Clusters of one version are brought to."""

    version: Annotated[str, Field(max_length=12)]
    """Version of Kubernetes that the image has, as v1.36.3."""
    image: Image
    """Name of the node image."""
    site: Annotated[str, Field(max_length=63)] | None = None
    """Site that names this image for the version in its `spec.images`; left out for all that name none."""


class LeftOut(Model):
    """A kind of update that a member does not take in this run."""

    kind: Kind
    """The kind."""
    reason: Annotated[str, Field(max_length=128)]
    """Why, as one CamelCase word for programs."""

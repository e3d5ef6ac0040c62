"""What features need of the world, as protocols: their tests give something simpler. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

from kaas.kube.objects import Object, Objects
from kaas.kube.resources import Resource

EventType = Literal["Normal", "Warning"]


class Source(Protocol):
    """Where observed objects are read from: the controller's index, or a few lists for one command."""

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        """The object, None when there is none."""

    def list(self, resource: Resource, namespace: str | None = None) -> Sequence[Object]:
        """All objects of a kind."""

    def of_cluster(self, resource: Resource, namespace: str, cluster: str) -> Sequence[Object]:
        """Objects of a kind that belong to a Cluster API Cluster."""

    def owned_by(self, owner_uid: str, resource: Resource | None = None) -> Sequence[Object]:
        """Objects with an ownerReference to a uid, of one kind or of all, sorted by kind and name."""


class Lister(Protocol):
    """Who lists objects of an API server."""

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str | None = None,
        *,
        field_selector: str | None = None,
    ) -> Objects:
        """Objects of a kind. namespace: None for those of all. KubeError when they cannot be had."""


class Announcer(Protocol):
    """Who tells people what happened to an object."""

    async def emit(self, about: Object, reason: str, message: str, *, event_type: EventType = "Normal") -> bool:
        """Send an Event; one that cannot be sent is the announcer's own business."""


class Times(Protocol):
    """Where the time of day comes from."""

    def now(self) -> datetime:
        """Time of day, with zone UTC."""

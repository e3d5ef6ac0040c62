"""`Release`: one Kubernetes version that Clusters may run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AwareDatetime, Field

from kaas.api.model import AGE, Column, Model, Resource
from kaas.api.rules import Rule
from kaas.api.versions import ExactVersion


def _immutable(field: str, example: str) -> Rule:
    # Each its own text: machines pin what they were made of, and a changed Release would replace them all at once.
    return Rule(
        cel="self == oldSelf",
        message=f"{field} of a Release cannot change, Clusters already run it: make a new Release{example}",
    )


_CHANNELS: Final = ("channels.rapid", "channels.regular", "channels.stable")


def _has(path: str) -> str:
    """In CEL, whether a date is given."""
    parts = path.split(".")
    return " && ".join(f"has(self.{'.'.join(parts[: n + 1])})" for n in range(len(parts)))


def _date(value: dict[str, Any], path: str) -> datetime | None:
    found: Any = value
    for part in path.split("."):
        found = (found or {}).get(part)
    return datetime.fromisoformat(found) if found else None


def _not_before(field: str, others: Sequence[str], message: str) -> Rule:
    """A date is not before any of the others, where they are given."""

    def check(value: dict[str, Any]) -> bool:
        date, earlier = _date(value, field), [_date(value, other) for other in others]
        return date is None or all(d is None or d <= date for d in earlier)

    each = (f"(!({_has(other)}) || self.{other} <= self.{field})" for other in others)
    return Rule(cel=f"!has(self.{field}) || ({' && '.join(each)})", message=message, check=check, field=f".{field}")


class Channels(Model):
    """When a Release enters the channels. In a channel it is also in those before it: rapid, regular, stable."""

    rules: ClassVar[tuple[Rule, ...]] = (
        _not_before("regular", ("rapid",), "regular is before rapid: a Release is in rapid first, set a later date"),
        _not_before(
            "stable",
            ("rapid", "regular"),
            "stable is before rapid or regular: a Release is in those first, set a later date",
        ),
    )
    rapid: AwareDatetime | None = None
    """When it enters `Rapid` (RFC 3339, as 2026-12-01T00:00:00Z)."""
    regular: AwareDatetime | None = None
    """When it enters `Regular`."""
    stable: AwareDatetime | None = None
    """When it enters `Stable`."""


class ReleaseSpec(Model):
    """What the version is made of, and when Clusters are brought to it."""

    rules: ClassVar[tuple[Rule, ...]] = (
        _not_before(
            "deprecated",
            _CHANNELS,
            "deprecated is before the date of a channel: a Release is in its channels first, set a later date",
        ),
        _not_before(
            "expires",
            (*_CHANNELS, "deprecated"),
            "expires is before deprecated or the date of a channel: a Release comes to its end last, set a later date",
        ),
    )
    version: Annotated[ExactVersion, _immutable("version", "")]
    """Kubernetes version, as v1.36.3."""
    image: Annotated[
        str,
        Field(min_length=1, max_length=255),
        _immutable("image", " for the new image, as v1.36.3-2, and delete the old one when no Cluster needs it"),
    ]
    """Name of the node image in Glance; a Site may have another name for it."""
    channels: Channels | None = None
    """When it enters the channels that Clusters follow; before the first it is a preview. Left out: it is in none, and
    only those run it who ask for it."""
    deprecated: AwareDatetime | None = None
    """From when on Clusters are better off with another one."""
    expires: AwareDatetime | None = None
    """From when on Clusters that still run it are updated, even when their owners opted out."""


class Release(Resource):
    """One Kubernetes version that Clusters may run."""

    plural: ClassVar[str] = "releases"
    scope: ClassVar[Literal["Namespaced", "Cluster"]] = "Cluster"
    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="Version", json_path=".spec.version"),
        Column(name="Image", json_path=".spec.image"),
        # Not of type date: kubectl shows a time to come as <invalid>.
        Column(name="Rapid", json_path=".spec.channels.rapid"),
        Column(name="Regular", json_path=".spec.channels.regular"),
        Column(name="Stable", json_path=".spec.channels.stable"),
        Column(name="Deprecated", json_path=".spec.deprecated", priority=1),
        Column(name="Expires", json_path=".spec.expires"),
        AGE,
    )

    kind: Literal["Release"] = "Release"
    spec: ReleaseSpec
    """What the version is made of, and when Clusters are brought to it."""

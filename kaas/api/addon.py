"""`Addon`: objects that kaas puts into Clusters and keeps there, in versions that updates bring."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from kaas.api.fields import ObjectName, pattern_rule
from kaas.api.model import AGE, Column, Conditions, ListMap, Model, Resource, condition_message
from kaas.api.rollout import ClusterSelector
from kaas.api.rules import Rule
from kaas.api.updates import MinorVersion
from kaas.api.versions import minor_of

MAX_ADDON_NAME: Final = 40
"""Characters of an Addon's name: it becomes part of names and labels in the Clusters."""
MOST_ADDONS: Final = 50
"""Add-ons that one Cluster may have."""
_NUMBER: Final = r"(0|[1-9][0-9]{0,8})"

AddonVersionName = Annotated[
    str,
    Field(max_length=40),
    pattern_rule(
        rf"v?{_NUMBER}[.]{_NUMBER}[.]{_NUMBER}(-[1-9][0-9]{{0,8}})?",
        "must be a version of three numbers, as 1.8.2, and -1, -2 behind it for another packing of the same",
    ),
]
"""Version of an add-on: of two the one with the greater numbers is the newer."""


def _range_is_ordered(value: dict[str, Any]) -> bool:
    least, most = value.get("minVersion"), value.get("maxVersion")
    return least is None or most is None or minor_of(least) <= minor_of(most)


class KubernetesRange(Model):
    """Minors of Kubernetes that something supports."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.minVersion) || !has(self.maxVersion) || "
            "int(self.minVersion.split('.')[1]) <= int(self.maxVersion.split('.')[1])",
            message="maxVersion is older than minVersion: no Kubernetes is between them, exchange the two",
            check=_range_is_ordered,
            field=".maxVersion",
        ),
    )
    min_version: MinorVersion | None = None
    """Oldest minor, as `1.34`; left out: any."""
    max_version: MinorVersion | None = None
    """Newest minor, as `1.37`: no Cluster is brought past it by itself while it has this. Left out: any."""


class Manifests(Model):
    """Where the objects of a version are."""

    config_map: ObjectName
    """Name of a ConfigMap in `kaas-system` whose values are YAML documents, applied in the order of its keys. It must
    be `immutable: true`: what runs in Clusters is changed by another version, and can be gone back to."""


class AddonVersion(Model):
    """One version of an add-on."""

    version: AddonVersionName
    """The version, as 1.8.2."""
    kubernetes: KubernetesRange = Field(default_factory=KubernetesRange)
    """Minors of Kubernetes that it supports; left out: all."""
    manifests: Annotated[
        Manifests,
        Rule(
            cel="self == oldSelf",
            message="manifests of a version cannot change, Clusters have it already: add a version, as 1.8.2-1",
        ),
    ]
    """What is put into Clusters."""


class AddonSpec(Model):
    """What is put into which Clusters."""

    clusters: ClusterSelector = Field(default_factory=ClusterSelector)
    """The Clusters that have it; left out: all. One that is not selected any more loses it."""
    order: int = Field(default=0, ge=-1000, le=1000)
    """Those with less of it are put into a Cluster, and updated, before those with more; of equals by their names."""
    max_failures: int = Field(default=1, ge=0, le=1000)
    """How many Clusters may have an update to a version of it stopped. With more, no other Cluster begins with that
    version, new ones neither, until theirs go on or are called off."""
    versions: Annotated[tuple[AddonVersion, ...], Field(min_length=1, max_length=20), ListMap("version")]
    """Versions that there are. A Cluster gets the newest that supports its Kubernetes; one that has an older one gets
    that by an update. A version that Clusters have stays here until they have another."""


class AddonVersionStatus(Model):
    """What was found in the ConfigMap of a version."""

    version: AddonVersionName
    """The version."""
    objects: int | None = Field(default=None, ge=0)
    """How many objects it has; left out while it cannot be used."""
    digest: str | None = Field(default=None, max_length=64)
    """SHA-256 of the data of its ConfigMap, in hexadecimal; left out while it cannot be used."""
    since: datetime | None = None
    """Since when it can be used (UTC): updates bring Clusters to it from then on."""
    message: str | None = Field(default=None, max_length=1024)
    """Why it cannot be used, and the way out; left out when it can."""
    stopped: int | None = Field(default=None, ge=1)
    """Clusters whose update to it has stopped and waits; left out when there are none."""


class AddonClusters(Model):
    """How many Clusters have it."""

    selected: int = Field(ge=0)
    """Clusters that are selected."""
    current: int = Field(ge=0)
    """Of these, those that have the newest version which supports their Kubernetes."""
    failing: int = Field(ge=0)
    """Clusters in which something about it fails."""


class AddonStatus(Model):
    """What the controller found."""

    conditions: Conditions = ()
    """Usable: whether all versions can be used."""
    observed_generation: int | None = Field(default=None, ge=0)
    """The metadata.generation that this status is about."""
    versions: Annotated[tuple[AddonVersionStatus, ...], Field(max_length=20), ListMap("version")] = ()
    """What was found of each version."""
    clusters: AddonClusters | None = None
    """How many Clusters have it."""


class Addon(Resource):
    """Objects that kaas puts into Clusters and keeps there."""

    plural: ClassVar[str] = "addons"
    scope: ClassVar[Literal["Namespaced", "Cluster"]] = "Cluster"
    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="Order", json_path=".spec.order", type="integer", priority=1),
        Column(name="Clusters", json_path=".status.clusters.selected", type="integer"),
        Column(name="Current", json_path=".status.clusters.current", type="integer"),
        Column(name="Failing", json_path=".status.clusters.failing", type="integer"),
        Column(name="Usable", json_path='.status.conditions[?(@.type=="Usable")].status'),
        condition_message("Usable", priority=1),
        AGE,
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"size(self.metadata.name) <= {MAX_ADDON_NAME} && "
            "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
            message=f"metadata.name must have at most {MAX_ADDON_NAME} lower-case letters, digits and '-': it becomes "
            "part of names in the Clusters",
            check=lambda obj: _is_name(obj["metadata"].get("name", "")),
        ),
    )

    kind: Literal["Addon"] = "Addon"
    spec: AddonSpec
    """What is put into which Clusters."""
    status: AddonStatus | None = None
    """What the controller found."""


def _is_name(name: str) -> bool:
    plain = name.replace("-", "a")
    sound = plain.isascii() and plain.isalnum() and plain == plain.lower()
    return sound and len(name) <= MAX_ADDON_NAME and name.strip("-") == name

"""Which updates kaas makes by itself: what Cluster and Site say of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import Field

from kaas.api.fields import pattern_rule
from kaas.api.model import IntOrString, Model
from kaas.api.preflight import PreflightPolicy, SitePreflight
from kaas.api.rules import Rule
from kaas.api.shares import IS_PERCENT, is_percent
from kaas.api.verification import Verification
from kaas.api.versions import MINOR


class Channel(StrEnum):
    """How long a Release has been in use elsewhere before a Cluster takes it."""

    RAPID = "Rapid"
    REGULAR = "Regular"
    STABLE = "Stable"
    NONE = "None"


class KubernetesUpdates(StrEnum):
    """Which newer versions of Kubernetes a Cluster is brought to by itself."""

    PATCH = "Patch"
    MINOR = "Minor"
    NONE = "None"


class CertificateUpdates(StrEnum):
    """Whether the certificates of the control plane are renewed before they end."""

    AUTO = "Auto"
    NONE = "None"


class AddOnUpdates(StrEnum):
    """Whether add-ons are brought to newer versions."""

    AUTO = "Auto"
    NONE = "None"


class KindUpdates(Model):
    """Which updates of one kind a Cluster gets by itself."""

    channel: Channel | None = None
    """Where they come from; left out: the Cluster's own channel. None: no update of this kind by itself."""


class Updates(Model):
    """Which updates a Cluster gets by itself."""

    channel: Channel = Channel.REGULAR
    """Where the Releases come from. Rapid: as soon as they are there. Regular: after a while. Stable: after longer.
    None: no update by itself, but for a version that has expired, for certificates, and for what has a channel of its
    own below."""
    kubernetes: KubernetesUpdates = KubernetesUpdates.PATCH
    """Patch: to the newest patch of the minor that `version` names. Minor: also to the next minor, one at a time;
    `version` is then the lowest minor, and what runs may be newer. None: no update by itself, but for a version that
    has expired."""
    node_images: KindUpdates = Field(default_factory=KindUpdates)
    """Newer node images of the same version of Kubernetes, an exact `version` or not."""
    class_revision: KindUpdates = Field(default_factory=KindUpdates)
    """What kaas makes machines of, which a newer kaas does in another way. Rapid: at once. Regular: a week after the
    newer kaas has begun. Stable: four weeks."""
    certificates: CertificateUpdates = CertificateUpdates.AUTO
    """Auto: machines of the control plane are replaced 60 to 15 days before their certificates end. None: not by kaas;
    Cluster API does it 7 days before the end, in no window."""
    add_ons: AddOnUpdates = AddOnUpdates.AUTO
    """Auto: add-ons are brought to the newest version that supports the Kubernetes of the Cluster, by an update of
    their own or with another one. None: they keep the version that they have."""
    preflight: PreflightPolicy = Field(default_factory=PreflightPolicy)
    """Which findings of the checks before an update are put up with."""
    verification: Verification = Field(default_factory=Verification)
    """What must hold after each step of an update before it goes on."""

    @property
    def image_channel(self) -> Channel:
        """The channel that newer node images come from."""
        return self.channel if self.node_images.channel is None else self.node_images.channel

    @property
    def class_channel(self) -> Channel:
        """The channel that a newer class revision comes from."""
        return self.channel if self.class_revision.channel is None else self.class_revision.channel


MinorVersion = Annotated[
    str,
    Field(max_length=5),
    pattern_rule(MINOR, 'must be a minor version of Kubernetes in quotes, as "1.37"'),
]


class SiteUpdates(Model):
    """Which updates the Clusters of a Site get."""

    max_version: MinorVersion | None = None
    """Newest minor that the Site supports, as `1.37`: no Cluster is brought past it by itself. No limit when left
    out."""
    max_concurrent: Annotated[
        int | str,
        IntOrString(),
        Rule(
            cel=f"type(self) in [int] ? self >= 1 : ({IS_PERCENT})",
            message='must be a number of Clusters from 1, or a percentage in quotes, as "25%"',
            check=lambda v: v >= 1 if isinstance(v, int) else is_percent(v),
        ),
    ] = "25%"
    """How many Clusters of the Site are updated at once by themselves; a percentage of them is rounded down, and at
    least one. Those of which a Rollout says that it is their turn, that leave what has expired, or whose certificates
    end soon, are not put off; they count."""
    preflight: SitePreflight = Field(default_factory=SitePreflight)
    """Which checks before an update block."""


def _minor_needs_a_minor(spec: dict[str, Any]) -> bool:
    return spec.get("updates", {}).get("kubernetes") != KubernetesUpdates.MINOR or not spec["version"].startswith("v")


MINOR_UPDATES_RULE: Final = Rule(
    cel="!has(self.updates) || self.updates.kubernetes != 'Minor' || !self.version.startsWith('v')",
    message="updates.kubernetes: Minor does not go with an exact version, which pins the Cluster: "
    'write the lowest minor as version, as "1.36", or set updates.kubernetes to Patch',
    check=_minor_needs_a_minor,
    field=".updates.kubernetes",
)

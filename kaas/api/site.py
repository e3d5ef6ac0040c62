"""`Site`: one region of a cloud that Clusters run on."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from kaas.api.constants import SYSTEM_NAMESPACE
from kaas.api.fields import DNS_LABEL, Address, FlavorName, LabelKey, NamespaceName, SecretName, Zone, pattern_rule
from kaas.api.maintenance import Maintenance
from kaas.api.model import AGE, Column, Conditions, ListMap, ListSet, Model, Resource, condition_message
from kaas.api.repair import SiteRepair
from kaas.api.rules import Rule
from kaas.api.updates import MinorVersion, SiteUpdates
from kaas.api.versions import ExactVersion


def _is_site_name(site: dict[str, Any]) -> bool:
    name = site["metadata"].get("name", "")
    return len(name) <= 63 and re.fullmatch(DNS_LABEL, name) is not None  # noqa: PLR2004 - the length of a DNS label


def _required_on_openstack(field: str, way_out: str) -> Rule:
    def check(spec: dict[str, Any]) -> bool:
        return spec.get("provider", "openstack") != "openstack" or field in spec

    return Rule(
        cel=f"self.provider != 'openstack' || has(self.{field})",
        message=f"{field} is required with provider openstack: {way_out}",
        check=check,
        field=f".{field}",
    )


class CredentialsSecret(Model):
    """Where the Secret is."""

    namespace: NamespaceName = SYSTEM_NAMESPACE
    """Namespace of the Secret."""
    name: SecretName
    """Name of the Secret."""


class Credentials(Model):
    """How to sign in to the cloud."""

    secret: CredentialsSecret
    """Secret whose key `clouds.yaml` says how to sign in, and whose optional key `cacert` holds the cloud's CA."""
    cloud: str = Field(default="openstack", min_length=1, max_length=253)
    """Name of the cloud within clouds.yaml."""


class ExternalNetwork(Model):
    """The network that floating IPs come from: exactly one of name and id."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.name) != has(self.id)",
            message="externalNetwork takes exactly one of name and id: set one, remove the other",
            check=lambda network: ("name" in network) != ("id" in network),
        ),
    )
    name: str | None = Field(default=None, min_length=1, max_length=255)
    """Name of the network in Neutron."""
    id: str | None = Field(default=None, min_length=1, max_length=64)
    """Id of the network in Neutron."""


class SiteImage(Model):
    """Another name for the node image of one Kubernetes version."""

    version: ExactVersion
    """Kubernetes version, as v1.36.3."""
    name: str = Field(min_length=1, max_length=255)
    """Name of the image in this Site's Glance."""


class GpuFacts(Model):
    """The GPUs of a flavor's machines."""

    model: str = Field(min_length=1, max_length=63)
    """What the GPUs are, as `A100-SXM4-40GB`."""
    count: int = Field(ge=1, le=64)
    """GPUs in a machine."""
    resource: LabelKey = "nvidia.com/gpu"
    """Name of the resource that the nodes offer them under."""


class Flavor(Model):
    """A flavor that users may choose."""

    name: FlavorName
    """Name of the flavor in Nova."""
    gpu: GpuFacts | None = None
    """The GPUs of its machines; left out when there are none."""
    bare_metal: bool = False
    """Whether its machines are whole computers: these are power-cycled when they are sick, and never replaced."""
    max_version: MinorVersion | None = None
    """Newest minor that its machines support, as `1.37`, by the GPU driver in their image: no Cluster that has any is
    brought past it by itself. No limit when left out."""
    startup_timeout_seconds: int | None = Field(default=None, ge=60, le=14400)
    """Seconds that its machines are given to boot and to join: the health checks of its pools, and updates, which stop
    when a new machine has not joined five minutes later. When left out 1800, and 3600 for whole computers and GPUs."""


class SiteZone(Model):
    """An availability zone of Nova that machines may be placed in."""

    name: Zone
    """Name of the zone."""
    control_plane: bool = True
    """Whether control planes may be placed here."""


class LoadBalancer(Model):
    """How the Clusters' API servers are reached."""

    provider: str = Field(default="amphora", min_length=1, max_length=63)
    """Provider of Octavia, as `amphora` or `ovn`."""


class SiteMetrics(Model):
    """Where the metrics of the Site's Clusters are asked for."""

    url: Annotated[
        str,
        Field(min_length=1, max_length=512),
        pattern_rule(
            r"https?://[^/?#@ ]+(/[^?# ]*)?",
            "url must be the base address of an API as Prometheus has it, as https://metrics.example.com/prometheus: "
            "without /api/v1, a question mark or a password",
        ),
    ]
    """Base address of an API as Prometheus has it: `/api/v1/query` is asked below it."""
    secret: CredentialsSecret | None = None
    """Secret whose key `token` is sent as bearer token, and whose optional key `ca.crt` holds the authority of the
    address; left out when it takes neither."""


class SiteSpec(Model):
    """What the platform team says about the region."""

    rules: ClassVar[tuple[Rule, ...]] = (
        _required_on_openstack("credentials", "name the Secret with clouds.yaml in credentials.secret.name"),
        _required_on_openstack("region", "name the region as in clouds.yaml, often RegionOne"),
        _required_on_openstack("externalNetwork", "name the network of the floating IPs in externalNetwork.name"),
    )
    provider: Annotated[
        Literal["openstack", "dev"],
        Rule(
            cel="self == oldSelf",
            message="provider cannot change once the Site exists: make a Site with another name",
        ),
    ] = "openstack"
    """What the Clusters run on. dev is a simulation in memory, for tests."""
    credentials: Credentials | None = None
    """How to sign in to the cloud. Required with openstack."""
    region: str | None = Field(default=None, min_length=1, max_length=255)
    """Region of the cloud. Required with openstack."""
    external_network: ExternalNetwork | None = None
    """The network that floating IPs come from. Required with openstack."""
    images: Annotated[tuple[SiteImage, ...], Field(max_length=100), ListMap("version")] = ()
    """Node images that have another name here than their Release says."""
    flavors: Annotated[tuple[Flavor, ...], Field(min_length=1, max_length=100), ListMap("name")]
    """The flavors that users may choose, with what kaas must know of them."""
    zones: Annotated[tuple[SiteZone, ...], Field(max_length=16), ListMap("name")] = ()
    """The availability zones that users may choose; when left out, the cloud chooses."""
    load_balancer: LoadBalancer = LoadBalancer()
    """How the Clusters' API servers are reached."""
    dns_nameservers: Annotated[tuple[Address, ...], Field(max_length=5), ListSet()] = ()
    """DNS servers of the machines; when left out, those that Neutron gives."""
    repair: SiteRepair = Field(default_factory=SiteRepair)
    """How sick nodes of the Clusters are repaired."""
    maintenance: Maintenance = Field(default_factory=Maintenance)
    """When updates of the Clusters may happen, for Clusters and Namespaces that do not say it themselves."""
    updates: SiteUpdates = Field(default_factory=SiteUpdates)
    """Which updates the Clusters get by themselves."""
    metrics: SiteMetrics | None = None
    """Where the metrics of the Clusters are asked for, by checks after a step of an update; left out when nowhere."""


class SiteStatus(Model):
    """What the controller found."""

    conditions: Conditions = ()
    """What holds and what does not, each with its reason."""
    observed_generation: int | None = Field(default=None, ge=0)
    """The metadata.generation that this status is about."""


class Site(Resource):
    """One region of a cloud that Clusters run on."""

    plural: ClassVar[str] = "sites"
    scope: ClassVar[Literal["Namespaced", "Cluster"]] = "Cluster"
    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="Provider", json_path=".spec.provider"),
        Column(name="Region", json_path=".spec.region"),
        Column(name="Ready", json_path='.status.conditions[?(@.type=="Ready")].status'),
        condition_message("Ready", priority=1),
        AGE,
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"size(self.metadata.name) <= 63 && self.metadata.name.matches('^(?:{DNS_LABEL})$')",
            message="metadata.name must have at most 63 lower-case letters, digits and '-': Clusters refer to it",
            check=_is_site_name,
        ),
    )

    kind: Literal["Site"] = "Site"
    spec: SiteSpec
    """What the platform team says about the region."""
    status: SiteStatus | None = None
    """What the controller found."""

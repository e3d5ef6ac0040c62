"""What a cloud has, as plain data for plans and conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from kaas.openstack.errors import Kind, Problem

DUPLICATE_IMAGE: Final = "duplicate"
"""Status of an image whose name several images have: CAPO refuses to choose among them."""


@dataclass(frozen=True)
class FlavorFacts:
    """A flavor of Nova."""

    vcpus: int
    ram_mb: int
    disk_gb: int


@dataclass(frozen=True)
class Quota:
    """Limit of a project, None when there is none, and how much of it is used."""

    limit: int | None
    used: int

    def lacks(self, wanted: int) -> int:
        """How many of `wanted` more do not fit."""
        return 0 if self.limit is None else max(0, self.used + wanted - self.limit)


@dataclass(frozen=True)
class CloudFacts:
    """What one project sees of its cloud.

    images: name to Glance's status (`active`, …), or DUPLICATE_IMAGE.
    external_networks: id to name.
    zones: Nova's availability zones that are available.
    quotas: by resource: instances, cores, ram_mb, floating_ips, load_balancers, networks, routers, security_groups,
        ports, volumes.
    unknown: what could not be asked, and why: images, flavors, external_networks, zones, compute_quotas,
        network_quotas, load_balancer_quotas, volume_quotas. What is listed here is unknown, not absent.
    error: why nothing is known at all; None when the cloud let us in.
    """

    images: Mapping[str, str] = field(default_factory=dict)
    flavors: Mapping[str, FlavorFacts] = field(default_factory=dict)
    external_networks: Mapping[str, str] = field(default_factory=dict)
    zones: frozenset[str] = frozenset()
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    unknown: Mapping[str, Problem] = field(default_factory=dict)
    error: Problem | None = None

    @property
    def reachable(self) -> bool:
        """Whether the cloud answered, be it with a refusal."""
        return self.error is None or self.error.kind not in (Kind.UNREACHABLE, Kind.TIMEOUT)


@dataclass(frozen=True)
class ServerFault:
    """How Nova sees a server: its status (`ERROR`, …), and its fault in Nova's own words."""

    status: str
    message: str | None


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """A server as Nova shows it to its project.

    status: Nova's, as ACTIVE, ERROR, SHUTOFF, REBOOT, HARD_REBOOT, REBUILD. power: running, paused, shutdown, crashed,
    suspended, "" when Nova does not know. task: what Nova is doing with it (task_state), "" for nothing.
    host: the same for all servers of the project on one hypervisor (hostId), "" before it has one.
    host_status: UP, DOWN, MAINTENANCE, UNKNOWN; "" when the project may not see it, as is usual.
    fault: in Nova's words, which it shows of servers in ERROR only. image: its id; "" for one that boots from a volume.
    """

    id: str
    name: str
    status: str
    power: str = ""
    task: str = ""
    host: str = ""
    host_status: str = ""
    fault: str = ""
    locked: bool = False
    image: str = ""


@dataclass(frozen=True, slots=True)
class ServerAction:
    """One thing that was begun with a server, whoever asked for it.

    action: create, reboot, stop, start, rebuild, …. Nova does not tell a soft reboot from a hard one.
    started: when Nova's API took the request (UTC, the cloud's clock). message: "Error" when it failed, else "".
    """

    action: str
    request_id: str
    started: datetime
    message: str = ""


@dataclass(frozen=True)
class Leftovers:
    """Objects in a project, counted; the default security group aside."""

    servers: int = 0
    ports: int = 0
    networks: int = 0
    routers: int = 0
    load_balancers: int = 0
    floating_ips: int = 0
    security_groups: int = 0
    volumes: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return sum(vars(self).values())

    def __str__(self) -> str:
        found = [f"{name.replace('_', ' ')}: {count}" for name, count in vars(self).items() if count]
        return ", ".join(found) or "nothing"

"""What the agent asks the cloud: servers with their user data, images, ports, floating IPs and load balancers.

openstacksdk blocks; call from a thread. Every call has a time-out, and CloudError says that the cloud did not answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Any

import keystoneauth1.exceptions
import openstack
import openstack.config

MICROVERSION = "2.90"  # flavors embedded (2.47), user data and hostname for administrators (2.3, 2.90)
CALL_SECONDS = 20
BOOT_ACTIONS = ("create", "rebuild", "reboot", "start", "unrescue", "unshelve", "resume", "unpause")
RUNNING = 1  # Nova's power state
CRASHED = "CRASHED"
INSTALL_ACTIONS = ("create", "rebuild")
GPU_ALIAS = "pci_passthrough:alias"
VERSION_PROPERTY = "kube_version"


class Restart(IntEnum):
    """How a machine was started anew, from the mildest to the hardest: each does what those before it do."""

    NONE = 0
    SOFT = 1
    HARD = 2
    POWER_CYCLE = 3
    REBUILD = 4


RESTARTS = {
    "start": Restart.POWER_CYCLE,
    "unshelve": Restart.POWER_CYCLE,
    "unrescue": Restart.HARD,
    "rebuild": Restart.REBUILD,
}
Boots = tuple[tuple[str, Restart], ...]


class CloudError(Exception):
    """A service of the cloud did not answer, or with an error."""


@dataclass(frozen=True)
class Flavor:
    """Size of a server; ram and disk in MiB and GiB, as Nova counts."""

    name: str
    vcpus: int
    ram: int
    disk: int
    gpus: int = 0


@dataclass(frozen=True)
class Server:
    """One server as Nova shows it.

    installed, booted: ids of the actions that did so last. boots: all that booted it, the newest first.
    powered: whether it runs, whatever its status: one whose status was set to ERROR does. host: its hypervisor.
    """

    id: str
    name: str
    status: str
    user_data: str | None = field(default=None, repr=False)
    installed: str = ""
    booted: str = ""
    hostname: str = ""
    project: str = ""
    zone: str = ""
    image: str = ""
    volume: str = ""
    fixed_ip: str = ""
    boots: Boots = ()
    powered: bool = False
    host: str = ""
    flavor: Flavor = field(default_factory=lambda: Flavor("", 1, 1024, 10))


@dataclass(frozen=True)
class Port:
    """A network port of a server."""

    id: str
    network: str
    subnet: str
    fixed_ip: str


@dataclass(frozen=True)
class Image:
    """An image: the Kubernetes version it was made for, empty when it says none."""

    name: str
    version: str


class Cloud:
    """An administrator's view of one cloud, and what its hypervisors noted of reboots."""

    def __init__(self, clouds_yaml: Path, name: str = "admin") -> None:
        self._restarts = clouds_yaml.parent / "restarts"
        config = openstack.config.OpenStackConfig(config_files=[str(clouds_yaml)])
        self._cloud = openstack.connection.Connection(config=config.get_one(name))

    @property
    def region(self) -> str:
        """Name of the cloud's region, as it goes into labels of nodes."""
        return str(self._cloud.config.get_region_name() or "")

    def changed_servers(self, since: str | None) -> list[dict[str, Any]]:
        """Servers of all projects that changed since a time (ISO 8601), deleted ones included; all when None."""
        query = "all_tenants=1" + (f"&changes-since={since}" if since else "")
        found: list[dict[str, Any]] = []
        marker = ""
        while True:
            page = self._get("compute", f"/servers/detail?{query}{marker}")
            found += page["servers"]
            if not page.get("servers_links"):
                return found
            marker = f"&marker={found[-1]['id']}"

    def server(self, raw: Mapping[str, Any]) -> Server:
        """A server with what its actions tell. Raises CloudError."""
        actions = self._get("compute", f"/servers/{raw['id']}/os-instance-actions")["instanceActions"]
        installs = [a for a in actions if a["action"] in INSTALL_ACTIONS]  # newest first
        notes = self._restarts / raw["id"]
        server = parse_server(raw, _request(installs), parse_boots(actions, noted_reboots(notes)))
        return replace(server, powered=server.powered and not has_crashed(notes))

    def ports(self, server: str) -> list[Port]:
        """Ports of a server, in the order in which they were made."""
        found = self._get("network", f"/v2.0/ports?device_id={server}")["ports"]
        ordered = sorted(found, key=lambda p: str(p.get("created_at", "")))
        return [
            Port(p["id"], p["network_id"], ip["subnet_id"], ip["ip_address"]) for p in ordered for ip in p["fixed_ips"]
        ]

    def image(self, server: Server) -> Image:
        """The image that a server was made from, by way of its root volume if it has no image itself."""
        if server.image:
            return parse_image(self._get("image", f"/v2/images/{server.image}"))
        volume = self._get("block-storage", f"/volumes/{server.volume}")["volume"] if server.volume else {}
        facts = volume.get("volume_image_metadata") or {}
        return parse_image({**facts, "name": facts.get("image_name", "")})

    def floating_ips(self) -> list[dict[str, Any]]:
        """All floating IPs."""
        found: list[dict[str, Any]] = self._get("network", "/v2.0/floatingips")["floatingips"]
        return found

    def balancing(self, kind: str) -> list[dict[str, Any]]:
        """All load balancers, listeners or pools, as Octavia lists them."""
        found: list[dict[str, Any]] = self._get("load-balancer", f"/v2/lbaas/{kind}")[kind]
        return found

    def members(self, pool: str) -> list[dict[str, Any]]:
        """Members of one pool."""
        found: list[dict[str, Any]] = self._get("load-balancer", f"/v2/lbaas/pools/{pool}/members")["members"]
        return found

    def _get(self, service: str, path: str) -> dict[str, Any]:
        microversion = MICROVERSION if service == "compute" else None
        try:
            answer = self._cloud.session.get(
                path,
                endpoint_filter={"service_type": service, "interface": "public"},
                microversion=microversion,
                timeout=CALL_SECONDS,
                headers={"Accept": "application/json"},
            )
        except keystoneauth1.exceptions.ClientException as error:
            raise CloudError(f"{service} {path}: {error}") from error
        try:
            parsed: dict[str, Any] = answer.json()
        except ValueError as error:
            raise CloudError(f"{service} {path}: the answer is no JSON: {answer.text[:100]!r}") from error
        return parsed


def noted_reboots(notes: Path) -> dict[str, Restart]:
    """What the hypervisor did of the reboots that were asked for, by request: one that failed is not among them."""
    return {request: Restart[kind] for request, kind in _noted(notes) if kind != CRASHED}


def has_crashed(notes: Path) -> bool:
    """Whether the last reboot left the machine without power, which Nova does not tell."""
    return [kind for _, kind in _noted(notes)][-1:] == [CRASHED]


def _noted(notes: Path) -> list[tuple[str, str]]:
    try:
        lines = [line.split() for line in notes.read_text().splitlines()]
    except FileNotFoundError:
        return []
    return [(request, kind) for request, kind in lines]


def parse_boots(actions: list[dict[str, Any]], reboots: Mapping[str, Restart]) -> Boots:
    """Actions that booted a server, in their order; reboots that the hypervisor did not do are left out."""
    done = [(a["request_id"], a["action"]) for a in actions if a["action"] in BOOT_ACTIONS]
    return tuple(
        (request, reboots.get(request, Restart.NONE) if action == "reboot" else RESTARTS.get(action, Restart.NONE))
        for request, action in done
        if action != "reboot" or request in reboots
    )


def parse_server(raw: Mapping[str, Any], installed: str, boots: Boots) -> Server:
    """A server from Nova's answer."""
    volumes = raw.get("os-extended-volumes:volumes_attached") or [{}]
    image = raw.get("image") or {}
    return Server(
        id=raw["id"],
        name=raw["name"],
        status=raw["status"],
        user_data=raw.get("OS-EXT-SRV-ATTR:user_data"),
        installed=installed,
        booted=boots[0][0] if boots else "",
        boots=boots,
        powered=raw.get("OS-EXT-STS:power_state") == RUNNING,
        host=raw.get("OS-EXT-SRV-ATTR:host") or "",
        hostname=raw.get("OS-EXT-SRV-ATTR:hostname") or raw["name"],
        project=raw.get("tenant_id", ""),
        zone=raw.get("OS-EXT-AZ:availability_zone") or "",
        image=image.get("id", "") if isinstance(image, dict) else "",
        volume=volumes[0].get("id", ""),
        fixed_ip=_fixed_ip(raw.get("addresses") or {}),
        flavor=parse_flavor(raw.get("flavor") or {}),
    )


def parse_flavor(raw: Mapping[str, Any]) -> Flavor:
    """A flavor as embedded in a server; GPUs are the devices of its PCI aliases."""
    alias = str((raw.get("extra_specs") or {}).get(GPU_ALIAS, ""))
    gpus = sum(int(count or 1) for _, _, count in (a.partition(":") for a in alias.split(",") if a))
    return Flavor(
        name=raw.get("original_name", ""),
        vcpus=int(raw.get("vcpus", 1)),
        ram=int(raw.get("ram", 1024)),
        disk=int(raw.get("disk", 10)),
        gpus=gpus,
    )


def parse_image(raw: Mapping[str, Any]) -> Image:
    """The version comes from the property `kube_version`, else from a name that ends with one."""
    name = str(raw.get("name", ""))
    _, found, version = name.rpartition("-v")
    named = f"v{version}" if found and version[:1].isdigit() else ""
    return Image(name, str(raw.get(VERSION_PROPERTY) or named))


def _request(actions: list[dict[str, Any]]) -> str:
    return str(actions[0]["request_id"]) if actions else ""


def _fixed_ip(addresses: Mapping[str, list[Mapping[str, Any]]]) -> str:
    fixed = [a["addr"] for net in addresses.values() for a in net if a.get("OS-EXT-IPS:type", "fixed") == "fixed"]
    return str(fixed[0]) if fixed else ""

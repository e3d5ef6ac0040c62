"""One OpenStack site of a lab: its hosts, the ports and URLs of its services, and where its files are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kaas_lab.layout import Layout

ADDRESS = "127.0.0.1"
REGIONS = ("RegionOne", "RegionTwo")
PASSWORD = "kaas-lab"  # noqa: S105 - of clouds that listen on loopback and hold nothing
PROJECT = USER = "kaas"
FAULTS_FILE = "faults.json"
GPUS_PER_DGX = 8
ZONES = ("az-1", "az-2", "az-3")


@dataclass(frozen=True)
class Service:
    """An OpenStack service: its port within the site, its type in the catalogue and its databases."""

    name: str
    offset: int
    type: str
    suffix: str
    databases: tuple[str, ...]


# The order is that of starting: what others ask while they start comes first.
SERVICES = (
    Service("keystone", 0, "identity", "/v3", ("keystone",)),
    Service("placement", 1, "placement", "", ("placement",)),
    Service("nova", 4, "compute", "/v2.1", ("nova_api", "nova_cell0", "nova")),
    Service("neutron", 3, "network", "", ("neutron",)),
    Service("cinder", 6, "block-storage", "/v3", ("cinder",)),
    Service("octavia", 5, "load-balancer", "", ("octavia",)),
    Service("glance", 2, "image", "", ("glance",)),
)


def service_named(name: str) -> Service:
    """The service of that name. Raises ValueError with the names that there are."""
    for service in SERVICES:
        if service.name == name:
            return service
    raise ValueError(f"no OpenStack service {name!r}: use one of {', '.join(s.name for s in SERVICES)}")


@dataclass(frozen=True)
class Host:
    """A compute host. With `gpus` it is a DGX: it offers that many A100 as PCI devices and its trait."""

    name: str
    zone: str
    gpus: int = 0


def spread_hosts(cpu: int = 3, gpu: int = 2) -> tuple[Host, ...]:
    """`cpu` plain hosts and `gpu` DGX hosts, dealt to the availability zones in turn."""
    plain = [Host(f"cpu-{n}", ZONES[n % len(ZONES)]) for n in range(cpu)]
    dgx = [Host(f"gpu-{n}", ZONES[n % len(ZONES)], GPUS_PER_DGX) for n in range(gpu)]
    return (*plain, *dgx)


@dataclass(frozen=True)
class Site:
    """One cloud. `index` is its number in the lab, 0 or 1, and decides its ports, its region and its networks."""

    layout: Layout
    name: str
    index: int
    hosts: tuple[Host, ...] = spread_hosts()

    @property
    def state(self) -> Path:
        """Directory of everything that the cloud keeps."""
        return self.layout.site_state(self.name)

    @property
    def region(self) -> str:
        """Name of its only region."""
        return REGIONS[self.index]

    @property
    def floating_network(self) -> str:
        """First two octets of the external network."""
        return self.layout.floating_network(self.index)

    @property
    def clouds_file(self) -> Path:
        """The `clouds.yaml` with the clouds `admin` and `kaas`."""
        return self.state / "clouds.yaml"

    @property
    def faults_file(self) -> Path:
        """What is broken at the moment; the services look at it with each request."""
        return self.state / FAULTS_FILE

    @property
    def consoles(self) -> Path:
        """Console logs of servers, `<server uuid>.log`; Nova answers with them."""
        return self.state / "consoles"

    def port(self, service: Service) -> int:
        """Port of a service on 127.0.0.1."""
        return self.layout.site_port(self.index, service.offset)

    def url(self, service: Service, *, suffix: bool = True) -> str:
        """Public URL of a service, with the path that the catalogue gives unless `suffix` is false."""
        return f"http://{ADDRESS}:{self.port(service)}{service.suffix if suffix else ''}"

    def database(self, name: str) -> Path:
        """SQLite file of a database."""
        return self.state / "db" / f"{name}.sqlite"

    def process_name(self, service: Service) -> str:
        """Name under which the process of a service is marked and logs."""
        return f"{self.name}-{service.name}"

    def log(self, service: Service) -> Path:
        """Everything that a service says."""
        return self.layout.logs / f"{self.process_name(service)}.log"

    def ready_file(self, service: Service) -> Path:
        """Made by a service once it listens."""
        return self.state / "run" / f"{service.name}.up"


def describe(site: Site) -> dict[str, Any]:
    """What is written to `site.json`: enough for a service to start, and to find the site again later."""
    return {
        "name": site.name,
        "index": site.index,
        "base_port": site.layout.base_port,
        "lab": str(site.layout.state),
        "state": str(site.state),
        "region": site.region,
        "floating_network": site.floating_network,
        "address": ADDRESS,
        "password": PASSWORD,
        "zones": list(ZONES),
        "hosts": [asdict(host) for host in site.hosts],
        "ports": {s.name: site.port(s) for s in SERVICES},
        "databases": {d: str(site.database(d)) for s in SERVICES for d in s.databases},
    }


def _hosts(described: Sequence[dict[str, Any]]) -> tuple[Host, ...]:
    return tuple(Host(**host) for host in described)


def load(layout: Layout, name: str) -> Site:
    """The site as its last `up` made it. Raises FileNotFoundError when there was none."""
    file = layout.site_state(name) / "site.json"
    if not file.exists():
        raise FileNotFoundError(f"the lab at {layout.state} has no OpenStack site {name!r}: bring it up first")
    known = json.loads(file.read_text())
    return Site(Layout(layout.state, known["base_port"]), name, known["index"], _hosts(known["hosts"]))

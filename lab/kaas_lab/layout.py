"""Where one lab keeps its files, and which ports and loopback networks are its own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

DEFAULT_BASE_PORT = 17000
PORTS_PER_LAB = 1000
PORTS_PER_SITE = 100
DEV_PORTS = 400  # offset; what the management cluster and the sites leave
FIRST_NETWORK = 64  # 127.64.0.0/16: far from the addresses that other programs use on loopback
NETWORKS_PER_LAB = 4
SITES_PER_LAB = 2
# That may run side by side. The kernel gives ports from 32768 up to outgoing connections (ip_local_port_range), and one
# that is given away cannot be listened at.
LABS = 20
FIRST_BASE_PORT = 12000
LAST_BASE_PORT = FIRST_BASE_PORT + (LABS - 1) * PORTS_PER_LAB


@dataclass(frozen=True)
class Layout:
    """One lab. Two labs whose base ports differ by a multiple of 1000 share no port, address or file.

    state: directory of everything that `up` makes; removed by `down --purge`.
    base_port: first of the lab's thousand ports; a multiple of 1000 from 12000 to 31000.
    """

    state: Path
    base_port: int = DEFAULT_BASE_PORT

    def __post_init__(self) -> None:
        if not FIRST_BASE_PORT <= self.base_port <= LAST_BASE_PORT or self.base_port % PORTS_PER_LAB:
            raise ValueError(
                f"--base-port {self.base_port}: use a multiple of {PORTS_PER_LAB} "
                f"from {FIRST_BASE_PORT} to {LAST_BASE_PORT}"
            )

    @property
    def index(self) -> int:
        """Number of this lab among those that may run side by side; the default one's is 0."""
        return (self.base_port - DEFAULT_BASE_PORT) // PORTS_PER_LAB % LABS

    @property
    def logs(self) -> Path:
        """One file a process, `<name>.log`."""
        return self.state / "logs"

    @property
    def certificates(self) -> Path:
        """The management cluster's CA, serving and client certificates."""
        return self.state / "certs"

    @property
    def kubeconfig(self) -> Path:
        """Administrator's kubeconfig of the management cluster."""
        return self.state / "kubeconfig"

    def management_port(self, offset: int) -> int:
        """A port of the management cluster; offsets 0 to 99."""
        return self.base_port + offset

    @property
    def dev_ports(self) -> tuple[int, int]:
        """First and last port of the Dev provider's in-memory clusters, one a cluster."""
        return self.base_port + DEV_PORTS, self.base_port + PORTS_PER_LAB - 1

    def site_port(self, site: int, offset: int) -> int:
        """A port of site 0 or 1 (OpenStack services 0-19, machines 20-99)."""
        return self.base_port + PORTS_PER_SITE * (site + 1) + offset

    def site_state(self, site: str) -> Path:
        """Directory of one OpenStack site, with its `clouds.yaml`."""
        return self.state / "sites" / site

    def floating_network(self, site: int) -> str:
        """First two octets of the site's external network, for example `127.64`; its floating IPs are ours to bind."""
        return f"127.{FIRST_NETWORK + self.index * NETWORKS_PER_LAB + site}"

    def machine_network(self, site: int) -> str:
        """First two octets of the addresses at which the site's machines listen, one address a machine."""
        return f"127.{FIRST_NETWORK + self.index * NETWORKS_PER_LAB + SITES_PER_LAB + site}"


def default_state() -> Path:
    """`$KAAS_LAB_STATE`, else `$XDG_STATE_HOME/kaas/lab`, else `~/.local/state/kaas/lab`."""
    if explicit := os.environ.get("KAAS_LAB_STATE"):
        return Path(explicit).resolve()
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local/state") / "kaas/lab"


def cache() -> Path:
    """What is costly to make and good for every lab: binaries, the OpenStack environment, snapshots.

    `$KAAS_LAB_CACHE`, else `$XDG_CACHE_HOME/kaas-lab`, else `~/.cache/kaas-lab`.
    """
    if explicit := os.environ.get("KAAS_LAB_CACHE"):
        return Path(explicit).resolve()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "kaas-lab"

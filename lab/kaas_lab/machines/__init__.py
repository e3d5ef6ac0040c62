"""The machines of a cloud, played: servers boot, read their user data, and become nodes of real clusters.

An agent for each site knows what a machine knows, nothing of the management cluster: Nova's servers and their user
data, Neutron's ports and floating IPs, Octavia's load balancers. From the user data it starts real etcd and real
Kubernetes components, joins nodes by real TLS bootstrap, and keeps them alive as long as Nova says ACTIVE.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kaas_lab import processes
from kaas_lab.layout import Layout

BOOT_SECONDS = 1.0


def agent_name(site: str) -> str:
    """Name of a site's agent among the processes of a lab, and of its log."""
    return f"machines-{site}"


def start(layout: Layout, site: str, index: int, boot_seconds: float = BOOT_SECONDS) -> subprocess.Popen[bytes]:
    """Start the agent of a site whose OpenStack is up. Machines that ran under an earlier agent are taken up again."""
    argv: list[str | Path] = [
        *(sys.executable, "-m", "kaas_lab.machines", "--state", layout.state, "--base-port", str(layout.base_port)),
        *("--site", site, "--index", str(index), "--boot-seconds", str(boot_seconds)),
    ]
    name = agent_name(site)
    return processes.spawn(layout.state, name, argv, log=layout.logs / f"{name}.log")

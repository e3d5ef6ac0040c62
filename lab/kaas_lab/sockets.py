"""Which addresses are listened at, and by whom, as the kernel says."""

from __future__ import annotations

import ipaddress
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from kaas_lab.layout import NETWORKS_PER_LAB, PORTS_PER_LAB, Layout

_LISTEN = "0A"  # TCP_LISTEN of the kernel's include/net/tcp_states.h


@dataclass(frozen=True, order=True)
class Listener:
    """A TCP socket that accepts connections."""

    host: str
    port: int
    inode: int

    @property
    def address(self) -> str:
        """Host and port as people write it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def listeners() -> list[Listener]:
    """Every listening TCP socket of this machine."""
    found = []
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text().splitlines()[1:]
        except FileNotFoundError:  # a kernel without IPv6
            continue
        rows = (line.split() for line in lines)
        found += [_listener(row) for row in rows if row[3] == _LISTEN]
    return sorted(found)


def _listener(row: list[str]) -> Listener:
    host, port = row[1].split(":")
    # Words of four bytes, each in the machine's order.
    packed = b"".join(struct.pack("=I", int(host[i : i + 8], 16)) for i in range(0, len(host), 8))
    address = ipaddress.ip_address(packed)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return Listener(str(mapped or address), int(port, 16), int(row[9]))


def of_process(pid: int) -> list[Listener]:
    """Listening sockets that a process holds; none when it is gone or not ours to look at."""
    inodes = set()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            target = os.readlink(entry.path)
            if target.startswith("socket:["):
                inodes.add(int(target[8:-1]))
    except OSError:
        pass
    return [listener for listener in listeners() if listener.inode in inodes]


def in_range(layout: Layout) -> list[Listener]:
    """Listeners at what belongs to a lab: its ports at any address that takes them, and any port of its networks."""
    return [listener for listener in listeners() if _belongs(layout, listener)]


def _belongs(layout: Layout, listener: Listener) -> bool:
    first = layout.floating_network(0).split(".")
    octets = listener.host.split(".")
    if octets[0] == first[0] and 0 <= int(octets[1]) - int(first[1]) < NETWORKS_PER_LAB:
        return True
    ours = layout.base_port <= listener.port < layout.base_port + PORTS_PER_LAB
    return ours and listener.host in {"127.0.0.1", "0.0.0.0", "::", "::1"}  # noqa: S104 - compared, not bound

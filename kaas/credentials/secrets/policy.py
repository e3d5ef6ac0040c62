"""What an administrator decides about credentials."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address

# Who asks these gets credentials of the machine itself: link-local addresses (RFC 3927, RFC 4291), the IPv6 metadata
# address of EC2, that of Alibaba Cloud, and what no connection can go to.
METADATA_NETWORKS: Final = ("169.254.0.0/16", "fe80::/10", "fd00:ec2::/32", "100.100.100.200/32", "0.0.0.0/8", "::/128")
METADATA_HOSTS: Final = ("metadata", "metadata.google.internal", "metadata.goog", "instance-data", "*.internal.ec2")
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits
_LABEL: Final = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
# What some C libraries take for an IPv4 address: 2852039166, 0xa9fea9fe, 169.254.43518 (inet_aton).
_NUMBER: Final = re.compile(r"(?:\d+|0x[0-9a-f]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Policy:
    """What is accepted.

    allow_external_account: whether Google configurations without a key are, which exchange the Pod's own token.
    universe_domains: of Google's cloud; others are sovereign clouds.
    endpoint_hosts: hosts that S3 endpoints may have, `*.example.com` for all below a domain; empty accepts any host but
    the forbidden ones. forbidden_hosts, forbidden_networks: refused whatever endpoint_hosts says.
    max_bytes: of all values of a Secret together.
    """

    allow_external_account: bool = True
    universe_domains: tuple[str, ...] = ("googleapis.com",)
    endpoint_hosts: tuple[str, ...] = ()
    forbidden_hosts: tuple[str, ...] = METADATA_HOSTS
    forbidden_networks: tuple[str, ...] = METADATA_NETWORKS
    max_bytes: int = 512 * 1024  # a bundle of all public CAs is some 300 KB

    def __post_init__(self) -> None:
        """ValueError names a network that is none."""
        for network in self.forbidden_networks:
            ip_network(network)

    def admits(self, host: str) -> bool:
        """Whether an endpoint may be at this host, a name in lower case or an address without brackets."""
        address = address_of(host)
        if address is None:
            return not _matches(host, self.forbidden_hosts) and self._listed(host)
        networks = [ip_network(n) for n in self.forbidden_networks]
        forbidden = any(a in n for a in _meant(address) for n in networks)
        return not forbidden and self._listed(host)

    def _listed(self, host: str) -> bool:
        return not self.endpoint_hosts or _matches(host, self.endpoint_hosts)


DEFAULT: Final = Policy()


def address_of(host: str) -> Address | None:
    """The address that a host is written as; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def is_host(host: str) -> bool:
    """Whether this is an address, or a name that nobody can take for an address."""
    if address_of(host):
        return "%" not in host
    return bool(_NAME.fullmatch(host)) and not _NUMBER.fullmatch(host.rpartition(".")[2])


def is_loopback(host: str) -> bool:
    """Whether a connection to the host ends where it began."""
    address = address_of(host)
    return host == "localhost" or host.endswith(".localhost") or bool(address and address.is_loopback)


def _meant(address: Address) -> Iterable[Address]:
    """The address, and the IPv4 address that it carries."""
    yield address
    if isinstance(address, IPv4Address):
        return
    for carried in (address.ipv4_mapped, address.sixtofour):
        if carried is not None:
            yield carried
    if address in _NAT64:
        yield IPv4Address(int(address) & 0xFFFFFFFF)


def _matches(host: str, patterns: Iterable[str]) -> bool:
    return any(host == p or (p.startswith("*.") and host.endswith(p[1:])) for p in map(str.lower, patterns))

"""Which endpoints a load may talk to when somebody else says where it goes: nothing inside of the cluster. Pure.

A name that an administrator allows is trusted wherever it leads, and so are the clouds' own. Any other name is good for
addresses of the public internet and of ranges that an administrator allows, and over TLS only.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Self, TypeAlias

Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"
Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"

CLOUDS: Final = (
    *(f"{service}.{rest}" for service in ("s3", "sts") for rest in ("amazonaws.com", "*.amazonaws.com")),
    *(f"{service}.*.amazonaws.com.cn" for service in ("s3", "sts")),
    "*.googleapis.com",
    "huggingface.co",
)
"""Endpoints whose names nobody but the clouds can point elsewhere. Not all of amazonaws.com: a customer's internal load
balancer has a name there that leads to a private address. Source: AWS General Reference, endpoints of S3 and STS."""
_NEVER: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "168.63.129.16/32",  # Azure, WireServer: public by its number, of the host by its use
            "192.0.0.192/32",  # Oracle Cloud, classic metadata
        ),
    )
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_PATTERN: Final = re.compile(r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")


class PolicyError(ValueError):
    """A list of endpoints that cannot be read. The message quotes the entry."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Endpoints that are allowed. names: hosts, `*.` in front for all below; denied wins over allowed and public."""

    names: tuple[str, ...] = ()
    allowed: tuple[Network, ...] = ()
    denied: tuple[Network, ...] = field(default=_NEVER)

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Self:
        """Of hosts, CIDRs, and CIDRs with `!` before them, which are never allowed."""
        names: list[str] = []
        allowed: list[Network] = []
        denied: list[Network] = []
        for entry in (e.strip().lower() for e in entries if e.strip()):
            network = _network(entry.removeprefix("!"))
            if network is not None:
                (denied if entry.startswith("!") else allowed).append(network)
            elif _PATTERN.fullmatch(entry):
                names.append(entry)
            else:
                raise PolicyError(
                    f"endpoint {entry!r}: write a host, *.domain, a CIDR, or !CIDR for what is never allowed"
                )
        never = tuple(n for n in _NEVER if n not in allowed)
        return cls(tuple(names), tuple(allowed), (*denied, *never))

    def trusts(self, host: str) -> bool:
        """Whether a name may lead anywhere."""
        return any(fnmatchcase(_plain(host), pattern) for pattern in self.names)

    def vouched(self, host: str) -> bool:
        """Whether an administrator has allowed this very host, by its name or its address."""
        literal = address_of(host)
        return self.trusts(host) or (literal is not None and _within(_inner(literal), self.allowed))

    def of_cloud(self, host: str) -> bool:
        """Whether a name is a cloud's own."""
        return any(fnmatchcase(_plain(host), pattern) for pattern in CLOUDS)

    def refusal(self, scheme: str, host: str) -> str | None:
        """Why an endpoint is not allowed by its name alone, or None. Its addresses have to be looked at as well."""
        if self.trusts(host):
            return None
        literal = address_of(host)
        if literal is not None and (why := self.address_refusal(literal)):
            return why
        if scheme == "https" or (literal is not None and _within(literal, self.allowed)):
            return None
        return f"{host} is asked without TLS: use https, or have an administrator allow this host"

    def address_refusal(self, address: Address) -> str | None:
        """Why an address may not be connected to, or None."""
        real = _inner(address)
        if _within(real, self.denied):
            return f"{real} is never allowed"
        if _within(real, self.allowed) or (real.is_global and not real.is_multicast):
            return None
        return f"{real} is no address of the public internet: have an administrator allow it"


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def address_of(host: str) -> Address | None:
    """A host that is an address. Odd ways to write one, as 127.1, are names, whose addresses are looked at."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, or itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)

"""The three networks of a Cluster, and when they fit together."""

from __future__ import annotations

import ipaddress
from itertools import combinations
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from kaas.api.fields import canonical_network
from kaas.api.model import Model
from kaas.api.rules import Rule

# RFC 1918, and RFC 6598 for sites that have run out of it.
PRIVATE: Final = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
# kube-controller-manager gives each node a /24 of the pods and refuses a range more than 16 bits larger;
# kube-apiserver refuses a service range of more than 20 bits; a subnet of Neutron needs room for gateway and DHCP.
PREFIXES: Final = {"pods": (8, 24), "services": (12, 24), "nodes": (16, 28)}
_CANONICAL: Final = "isCIDR(self) && cidr(self).ip().family() == 4 && string(cidr(self).masked()) == self"
_PAIRS: Final = tuple(combinations(PREFIXES, 2))

Cidr = Annotated[
    str,
    Field(max_length=18),
    Rule(
        cel=_CANONICAL,
        message="must be an IPv4 network in CIDR form with no host bits set, as 10.6.0.0/24",
        check=lambda text: canonical_network(text) is not None,
    ),
]


def _networks(value: dict[str, Any]) -> dict[str, ipaddress.IPv4Network]:
    """Those of the three that are well-formed; the others have a violation of their own."""
    found = {name: canonical_network(value[name]) for name in PREFIXES if name in value}
    return {name: network for name, network in found.items() if network is not None}


def _has_size(value: dict[str, Any], name: str) -> bool:
    low, high = PREFIXES[name]
    network = _networks(value).get(name)
    return network is None or low <= network.prefixlen <= high


def _is_private(value: dict[str, Any]) -> bool:
    return all(any(n.subnet_of(private) for private in PRIVATE) for n in _networks(value).values())


def _are_apart(value: dict[str, Any]) -> bool:
    return not any(a.overlaps(b) for a, b in combinations(_networks(value).values(), 2))


def _size_rule(name: str, why: str) -> Rule:
    low, high = PREFIXES[name]
    at = f"self.{name}"
    return Rule(
        cel=f"!isCIDR({at}) || (cidr({at}).prefixLength() >= {low} && cidr({at}).prefixLength() <= {high})",
        message=f"{name} must be a network from /{low} to /{high}: {why}",
        check=lambda value: _has_size(value, name),
        field=f".{name}",
    )


_WELL_FORMED: Final = " && ".join(f"isCIDR(self.{name})" for name in PREFIXES)
_INSIDE: Final = " && ".join(
    "(" + " || ".join(f"cidr('{private}').containsCIDR(self.{name})" for private in PRIVATE) + ")" for name in PREFIXES
)
_OVERLAP: Final = " || ".join(
    f"cidr(self.{a}).containsCIDR(self.{b}) || cidr(self.{b}).containsCIDR(self.{a})" for a, b in _PAIRS
)


class Network(Model):
    """Address ranges of the Cluster. They cannot change once the Cluster exists."""

    rules: ClassVar[tuple[Rule, ...]] = (
        _size_rule("pods", "each node takes a /24 of it"),
        _size_rule("services", "kube-apiserver takes no larger one"),
        _size_rule("nodes", "each machine takes one address of it"),
        Rule(
            cel=f"!({_WELL_FORMED}) || ({_INSIDE})",
            message="network: pods, services and nodes must lie in private ranges: "
            "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10",
            check=_is_private,
        ),
        Rule(
            cel=f"!({_WELL_FORMED}) || !({_OVERLAP})",
            message="network: pods, services and nodes must not overlap: choose separate ranges",
            check=_are_apart,
        ),
    )

    pods: Cidr = "192.168.0.0/16"
    """IPv4 range of the pods; each node takes a /24 of it."""
    services: Cidr = "10.128.0.0/12"
    """IPv4 range of the Services."""
    nodes: Cidr = "10.6.0.0/24"
    """IPv4 range of the machines: a subnet of the Cluster's own in Neutron."""


IMMUTABLE_NETWORK: Final = Rule(
    cel="self == oldSelf",
    message="network cannot change once the Cluster exists: make a new Cluster with the other ranges and move to it",
)

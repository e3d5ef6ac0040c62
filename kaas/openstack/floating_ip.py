"""What Neutron says of a floating IP. Alone here: pure modules use it, and the other facts bring libraries along."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FloatingIP:
    """A floating IP of Neutron. port: the id of the port that it leads to, "" for none."""

    id: str
    address: str
    port: str = ""
    description: str = ""

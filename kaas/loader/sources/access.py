"""How a source is to be asked: where, as whom, and within which bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kaas.loader.sources.policy import Policy

STALL_SECONDS: Final = 60
"""A read that gets no byte for so long has failed."""
CONNECT_SECONDS: Final = 15
PAGE: Final = 1000
"""Objects that a listing gives at once: the most that S3 and Cloud Storage do."""
ATTEMPTS: Final = 8
"""How often a page of a listing is asked for: only the source knows where the last one ended."""
LONGEST_WAIT: Final = 30.0


@dataclass(frozen=True, slots=True)
class Access:
    """What was said about a source beside its address.

    endpoint: URL of a server that speaks the protocol, "" for the cloud's own. policy: which endpoints are allowed,
    None for all: a person at their own machine. pod: in a cluster; then the machine's own identity is never used.
    """

    endpoint: str = ""
    region: str = ""
    anonymous: bool = False
    requester_pays: bool = False
    policy: Policy | None = None
    pod: bool = False

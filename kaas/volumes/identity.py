"""Which load is which: the same claim and `load-id` are one load, whatever happens in between. Pure.

The condition and the Job both name the load, so that neither a lost Job nor a lost controller has it done twice.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self

_JOB_NAME: Final = 63
"""Longest name of a Job whose Pods are to have it as a label. Source: k8s.io/kubernetes/pkg/apis/batch/validation."""
_PREFIX: Final = "load-"
_INDEX: Final = 3  # "-63", which Pods of an Indexed Job have behind it
_MARK: Final = re.compile(r"\(load ([0-9a-f]{10})/([0-9a-f]{8})\)$")


@dataclass(frozen=True, slots=True)
class Load:
    """One load of one claim. token: of claim and `load-id`; digest: of all else that decides what it does."""

    token: str
    digest: str

    @classmethod
    def of(cls, claim_uid: str, load_id: str, digest: str) -> Self:
        """The load of a claim's uid, its `load-id` ("" for the default, which is the uid itself) and a spec."""
        return cls(token_of(claim_uid, load_id), digest)

    @classmethod
    def named_in(cls, message: str) -> Self | None:
        """The load that a condition's message speaks of; None when it names none."""
        found = _MARK.search(message)
        return cls(found[1], found[2]) if found else None

    @property
    def mark(self) -> str:
        """Both, as the Job carries them."""
        return f"{self.token}/{self.digest}"

    def marked(self, message: str, limit: int) -> str:
        """A message of at most `limit` characters with the load named at its end."""
        mark = f"(load {self.mark})"
        room = limit - len(mark) - 1
        short = message if len(message) <= room else message[: room - 1] + "…"
        return f"{short} {mark}"

    def job_name(self, claim: str) -> str:
        """Name of its Job: there can be no second one at the same time."""
        room = _JOB_NAME - len(_PREFIX) - len(self.token) - 1 - _INDEX
        return f"{_PREFIX}{claim.replace('.', '-')[:room].rstrip('-')}-{self.token}"


def token_of(claim_uid: str, load_id: str) -> str:
    """Name of all loads of one claim and `load-id`, "" for the default."""
    return hashlib.sha256(f"{claim_uid}/{load_id or claim_uid}".encode()).hexdigest()[:10]

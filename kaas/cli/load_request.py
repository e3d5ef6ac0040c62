"""What `kaas load` was asked for, read strictly."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kaas.loader import rate
from kaas.loader.address import Address, parse
from kaas.loader.faults import Fault
from kaas.loader.filters import Filter
from kaas.loader.options import Options, Verify
from kaas.loader.owner import Owner
from kaas.loader.report import Reason
from kaas.loader.shards import Shard
from kaas.loader.sources.access import Access
from kaas.loader.sources.policy import Policy

INDEX = "JOB_COMPLETION_INDEX"
"""Which one of an Indexed Job's Pods this is. Source: Kubernetes, Jobs, completion mode."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The options as they were written. allow_endpoints: None when nothing was said."""

    source: str
    destination: Path
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    delete: bool = False
    verify: str = "auto"
    owner: str = ""
    shard: str = ""
    shards: int = 1
    sparse: bool = False
    endpoint: str = ""
    region: str = ""
    anonymous: bool = False
    requester_pays: bool = False
    allow_endpoints: tuple[str, ...] | None = None
    job: bool = False
    delete_excluded: bool = False
    distrust: str = ""
    max_rate: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A load that can begin."""

    address: Address
    destination: Path
    access: Access
    options: Options
    wanted: Filter


def read(asked: Asked, environment: Mapping[str, str] = os.environ) -> Request:
    """The load that is asked for. Fault, by which it is told as every other outcome, when there is something wrong."""
    try:
        wanted = Filter.parse(asked.include, asked.exclude)
        options = Options(
            takes=wanted.takes,
            delete=asked.delete,
            delete_excluded=asked.delete_excluded,
            distrust=asked.distrust,
            verify=_verify(asked.verify),
            owner=Owner.parse(asked.owner) if asked.owner else None,
            shard=_shard(asked, environment),
            sparse=asked.sparse,
            max_rate=_max_rate(asked.max_rate) if asked.max_rate else None,
        )
        return Request(parse(asked.source), asked.destination, _access(asked), options, wanted)
    except ValueError as error:
        raise Fault(Reason.INVALID_SPEC, str(error)) from error


def _verify(text: str) -> Verify:
    try:
        return Verify(text)
    except ValueError:
        raise ValueError(f"verify {text!r}: write {', '.join(Verify)}") from None


def _max_rate(text: str) -> int:
    try:
        return rate.parse(text)
    except ValueError as error:
        raise ValueError(f"max-rate {error}") from None


def _shard(asked: Asked, environment: Mapping[str, str]) -> Shard:
    if asked.shard:
        return Shard.parse(asked.shard)
    if asked.shards == 1:
        return Shard()
    index = environment.get(INDEX, "")
    if not index.isdigit():
        raise ValueError(f"shards {asked.shards}: {INDEX} does not say which one this is: write --shard INDEX/COUNT")
    return Shard(int(index), asked.shards)


def _access(asked: Asked) -> Access:
    allowed = asked.allow_endpoints
    entries = [entry for text in allowed or () for entry in text.split(",")]
    policy = Policy.parse(entries) if asked.job or allowed is not None else None
    return Access(asked.endpoint, asked.region, asked.anonymous, asked.requester_pays, policy, asked.job)

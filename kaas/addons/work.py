"""What is done in a Cluster call by call, how it goes on, and what a refusal means for the whole of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from kaas.addons.hand import Hand, is_unreachable
from kaas.addons.inventory import Inventory, from_object, ref_for, to_object
from kaas.kube.errors import Forbidden, Invalid, KubeError

END_PATIENCE: Final = 30
"""How often an object is looked for that is to end what it has begun before it goes."""
PAUSE: Final = 2.0
"""Seconds between two of these."""


@dataclass(frozen=True, slots=True)
class Pause:
    """It can go on after some seconds. words: what it waits for."""

    seconds: float
    words: str


Work = AsyncGenerator[Pause | None, None]
"""Goes one call further each time that it is asked: None when it can go on at once. It ends when all is done."""


class Refused(Exception):
    """An object could not be put there, or taken out; the words say which, why, and the way out."""


class NotNow(Refused):
    """The same, for a reason that may end by itself soon."""


async def written_down(hand: Hand, addon: str) -> Inventory:
    """What may be there of an add-on. Raises Refused when that cannot be read."""
    try:
        return from_object(await hand.get(ref_for(addon)))
    except ValueError as wrong:
        raise Refused(str(wrong)) from wrong


async def missing_of(hand: Hand, addon: str) -> str:
    """What runs Pods and is not there, of an add-on that was put there; empty when nothing is missing."""
    try:
        there = await written_down(hand, addon)
    except Refused:  # it is told when all is applied again
        return ""
    missing = await hand.missing(there.workloads)
    others = f"; and {len(missing) - 1} others" if len(missing) > 1 else ""
    return f"{missing[0]}: it is missing{others}" if missing else ""


async def write_down(hand: Hand, addon: str, before: Inventory, after: Inventory) -> Work:
    """Write down what may be there from now on, unless that is written already."""
    if before == after:
        return
    try:
        await hand.apply(to_object(addon, after))
    except KubeError as failure:
        raise meaning(failure) from failure
    yield None


def meaning(failure: KubeError) -> Exception:
    """What a failure means for the whole: Refused, NotNow, or itself when nothing was answered."""
    if is_unreachable(failure):
        return failure
    return Refused(_words(failure)) if _is_final(failure) else NotNow(_words(failure))


def refusal(faults: list[KubeError | str]) -> Refused:
    """The first that would be refused again, before those that may not."""
    ordered = sorted(faults, key=lambda fault: not _is_final(fault))
    others = f"; and {len(faults) - 1} other objects" if len(faults) > 1 else ""
    make: Callable[[str], Refused] = Refused if _is_final(ordered[0]) else NotNow
    return make(_words(ordered[0]) + others)


def _is_final(failure: KubeError | str) -> bool:
    """Whether it would be refused again as it is."""
    return isinstance(failure, str | Invalid) or (
        isinstance(failure, Forbidden) and failure.code == HTTPStatus.FORBIDDEN
    )


def _words(fault: KubeError | str) -> str:
    return fault if isinstance(fault, str) else str(fault)[:900]

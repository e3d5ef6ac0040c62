"""When machines take longer than they are given: then the update stops, with the deepest cause there is. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from kaas.updates.ledger.seen import Part

MARGIN: Final = timedelta(minutes=5)
"""Beside the time that a health check gives a machine to join: it has the first word."""
LAYING_OUT: Final = timedelta(minutes=30)
"""What MIG may take to divide GPUs, beside the time that the machine has to join: it may boot it anew."""
LEAVING: Final = timedelta(minutes=30)
"""What a machine may take to go beside its drain: volumes are let go (5 minutes), the server is deleted."""
_MINUTE: Final = timedelta(minutes=1)


def stuck(
    part: Part, since: datetime, now: datetime, *, replaced: datetime | None = None, held: bool = False
) -> tuple[str, str] | None:
    """Reason and words when machines do not come or go in their time; None while they may.

    since: when the step began, or went on after it was held, or is held: no time before that counts against it.
    replaced: when all machines were new and worked for the first time. held: whether no further one is begun, so that
    only those count that were begun before.
    """
    if part.unlaid and (late := _unlaid(part, since, now)):
        return late
    reason, words = next(_stuck(part, since, now, held and not part.replaced), ("", ""))
    if not reason and part.replaced and replaced is not None:
        reason, words = _unsteady(part, replaced, now) or ("", "")
    if not reason:
        return None
    return reason, words + (f": {part.trouble}" if part.trouble else "")


def _unlaid(part: Part, since: datetime, now: datetime) -> tuple[str, str] | None:
    """When a machine waits for one that is there, but not its GPUs: their time does not depend on any drain."""
    words = f"GPUs of a new machine are not laid out: {part.unlaid}"
    if part.unlaid_for_good:
        return ("LayoutFailed", words) if now - max(part.going or since, since) > MARGIN else None
    late = now - max(part.moved or since, since) > part.startup + LAYING_OUT
    return ("LayoutMissing", words) if late else None


def _unsteady(part: Part, replaced: datetime, now: datetime) -> tuple[str, str] | None:
    """When no machine is made or goes any more, and they do not stay Ready until the Cluster is found well.

    Most likely one of them is Ready and not Ready in turns.
    """
    waited = now - replaced
    if waited <= part.startup + MARGIN + part.settle:
        return None
    words = f"all machines were new and worked {waited // _MINUTE} minutes ago, and did not stay so"
    return "NoProgress", f"{words}: {part.ready} of {part.desired} work now"


def _stuck(part: Part, since: datetime, now: datetime, none_is_begun: bool) -> Iterator[tuple[str, str]]:
    joins = part.startup + MARGIN
    if part.coming is not None and (waited := now - max(part.coming, since)) > joins:
        yield "MachineNotJoining", f"a new machine has not joined in {waited // _MINUTE} minutes"
    if part.drain is None:
        return
    leaves = 2 * part.drain + LEAVING  # drained by kaas, with notice, and then by Cluster API
    if part.soak is not None:
        leaves += joins + part.soak  # Cluster API asks it to go when the first new one is there
    if part.going is not None and (waited := now - max(part.going, since)) > leaves:
        yield "MachineNotLeaving", f"an old machine has been on its way out for {waited // _MINUTE} minutes"
    moved = max(part.moved or since, since)
    if not none_is_begun and (waited := now - moved) > joins + leaves:
        yield "NoProgress", f"no machine was replaced in {waited // _MINUTE} minutes"

"""What ends too soon: certificates, and the maintenance window. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from kaas.updates.preflight.facts import Found, PreflightFacts, Unknown, listed, unknown
from kaas.updates.preflight.surge import drain_seconds, replaced
from kaas.updates.windows import NODE_RETURN, minutes

AUTHORITY_LEAST: Final = timedelta(days=30)
"""With less left of a certificate authority no machine is made: nothing that it signs lives longer than itself."""
AUTHORITY_SOON: Final = timedelta(days=365)
"""So long before the end of a certificate authority it is said: the certificates that it signs count for a year."""
SOON: Final = timedelta(days=7)


def certificates(facts: PreflightFacts) -> Iterator[Found]:
    """Those of the control plane's machines count, and their authorities will for long."""
    masters = [m for m in facts.machines if m.control_plane and m.certificates]
    ended = [f"{m.name} ({m.certificates:%Y-%m-%d})" for m in masters if m.certificates and m.certificates <= facts.now]
    if ended:
        yield Found(
            f"certificates of the control plane have ended: Machine {listed(ended)}; renew them on the machine with "
            "`kubeadm certs renew all`, or have the machine repaired"
        )
    soon = [m.name for m in masters if m.certificates and facts.now < m.certificates <= facts.now + SOON]
    if soon:
        yield Found(
            f"certificates of Machine {listed(soon)} end within {SOON.days} days: the update renews them, so it should "
            "not wait",
            warns=True,
        )
    yield from _authorities(facts)


def _authorities(facts: PreflightFacts) -> Iterator[Found]:
    for authority in facts.authorities:
        if isinstance(authority, Unknown):
            yield unknown("a certificate authority", authority)
        elif (left := authority.ends - facts.now) < AUTHORITY_SOON:
            ends = "has ended" if left <= timedelta() else "ends"
            yield Found(
                f"the certificate authority {authority.name} {ends} on {authority.ends:%Y-%m-%d}, and what it signs "
                "counts no longer: replace it, with both in place for a while",
                warns=left >= AUTHORITY_LEAST,
            )


def window_long_enough(facts: PreflightFacts) -> Iterator[Found]:
    """What is left of the open window is enough for one machine of the control plane, and of each pool."""
    if facts.case.least_left is None:
        return
    left = timedelta(seconds=facts.case.least_left)
    if left < NODE_RETURN:
        yield Found(
            f"{minutes(left)} min are left of the maintenance window, and a machine of the control plane takes up to "
            f"{minutes(NODE_RETURN)} min: the update waits for the next window; lengthen durationMinutes"
        )
        return
    slow = {pool.name: timedelta(seconds=drain_seconds(pool, facts.case.site)) for pool in replaced(facts.case)}
    for name, drain in slow.items():
        if left < drain + NODE_RETURN:
            yield Found(
                f"pool {name}: one node takes up to {minutes(drain + NODE_RETURN)} min (its drain "
                f"{minutes(drain)} min, its return {minutes(NODE_RETURN)} min), and {minutes(left)} min are left of "
                "the maintenance window: the pool may have to wait for the next one; lengthen durationMinutes",
                warns=True,
            )

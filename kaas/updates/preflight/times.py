"""What ends too soon: certificates, and the maintenance window. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from kaas.api.cluster import Cluster, NodePool
from kaas.api.patience import DRAIN, joins
from kaas.api.pool_update import Strategy, gives_notice, soak_of
from kaas.api.site import Site
from kaas.gpu.layouts import CONFIG
from kaas.updates.ledger.stuck import LAYING_OUT
from kaas.updates.preflight.facts import Found, PreflightFacts, Unknown, listed, unknown
from kaas.updates.preflight.surge import drain_seconds, gpu_flavors, replaced
from kaas.updates.run import Case
from kaas.updates.windows import minutes

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
    """What is left of the window, or the next has, is enough for a machine of the control plane, and of each pool.

    Counted is what each may take at the most, so this says that something may last longer than the window, not that it
    will: what is never long enough is refused before (see `windows.too_short`).
    """
    if facts.case.least_left is None:
        return
    left, site = timedelta(seconds=facts.case.least_left), facts.case.site
    for name, spans in (_of_control_plane(facts.case.cluster, site), *_of_pools(facts.case)):
        together = sum(spans.values(), timedelta())
        if left < together:
            sums = ", ".join(f"{words} {minutes(span)} min" for words, span in spans.items())
            yield Found(
                f"{name}: one machine takes up to {minutes(together)} min ({sums}), and the maintenance window has "
                f"{minutes(left)} min: what has begun is finished after it, and the rest waits for the next one; "
                "lengthen durationMinutes, or shorten these times"
            )


Spans = dict[str, timedelta]
"""What a machine may take at the most, by what it is taken for."""


def _of_control_plane(cluster: Cluster, site: Site) -> tuple[str, Spans]:
    drains = timedelta(seconds=DRAIN)
    return "the control plane", {"its drain": drains, "its return": _joins(site, cluster.spec.control_plane.flavor)}


def _of_pools(case: Case) -> Iterator[tuple[str, Spans]]:
    """Pools whose drain has a time-out: for the others no window is long enough."""
    for pool in replaced(case):
        if seconds := drain_seconds(pool, case.site):
            yield f"pool {pool.name}", _of_pool(pool, case.site, timedelta(seconds=seconds))


def _of_pool(pool: NodePool, site: Site, drain: timedelta) -> Spans:
    gpus = pool.flavor in gpu_flavors(site)
    spans = {"its drain": drain}
    if gives_notice(pool.update, gpus=gpus):
        spans["its evictions after that"] = drain
    spans["its return"] = _joins(site, pool.flavor)
    if CONFIG in pool.labels:
        spans["the layout of its GPUs"] = LAYING_OUT
    if pool.update.strategy is Strategy.BLUE_GREEN:
        spans["the soak"] = timedelta(seconds=soak_of(pool.update))
    return spans


def _joins(site: Site, flavor: str) -> timedelta:
    return timedelta(seconds=joins(site, flavor))

"""What of an update that stops is rolled back, and what stays and why. Pure.

A rollback replaces no machine: but for add-ons, which go back at once, it decides what is made from now on. Cluster API
knows machines by the template that they were made from, and gives every change of it a new name (cluster-api v1.14,
names.SimpleNameGenerator in exp/topology's reconcileReferencedTemplate): a control plane that is handed its old image
again is replaced once more, machine by machine, and a pool without the strategy OnDelete too. A version it takes back
nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from kaas.api.update_status import THROUGH, RolledBack, Surplus, UpdateStep
from kaas.updates.ledger import add_ons
from kaas.updates.ledger.seen import Brought, Part, Seen
from kaas.updates.ledger.steps import Steps, pool_of
from kaas.updates.run import CONTROL_PLANE

MOST: Final = 420
"""Characters of what is told of it; all of it is in the list."""
_NAMES: Final = {"Version": "version", "Image": "image", "ClassRevision": "ClusterClass"}


def rolled_back(steps: Steps, seen: Seen, now: datetime) -> tuple[RolledBack, ...]:
    """What goes back when the update stops, in the order of what it brings; of pools in their order."""
    kept_away = tuple(_back(b, now) for b in seen.brings if not b.handed)
    return (
        *kept_away,
        *(entry for step, pool, part in _behind(steps, seen) for entry in _of_pool(step, pool, part, seen, now)),
        *add_ons.rolled_back(steps, seen, now),
    )


def still(entries: Sequence[RolledBack], seen: Seen) -> tuple[RolledBack, ...]:
    """Of what was rolled back, what still is: something may have been on its way to Cluster API at that moment."""
    handed = {b.what for b in seen.brings if b.handed}
    return tuple(e for e in entries if e.pool is not None or e.what not in handed)


def told(entries: Iterable[RolledBack]) -> list[str]:
    """What is rolled back, for people."""
    return [_told(e) for e in entries]


def stays(steps: Steps, seen: Seen) -> Iterator[str]:
    """What is not rolled back, and why, for people."""
    handed = {b.what: b for b in seen.brings if b.handed and b.old}
    version = handed.get("Version")
    if handed and any(s.name == CONTROL_PLANE for s in steps):
        yield f"the control plane stays at {_first(handed.values()).new}: {_why_not(version)}"
    if found := handed.get("ClassRevision"):
        yield f"{_NAMES[found.what]} {found.new} stays: it is one for the whole Cluster, the control plane among it"
    new, late = [], []
    for step, pool, part in _behind(steps, seen):
        if step.started is not None and handed and _all_new(part):
            new.append(pool)
        elif step.started is not None and version is not None and part.reached:
            late.append(pool)
    if late and version is not None:
        yield f"pool {', '.join(late)} stays at {version.new}: {_why_not(version)}"
    if new:
        yield f"pool {', '.join(new)} stays: all its machines are new"
    yield from add_ons.stays(steps, seen)


def words(entries: Sequence[RolledBack], staying: Iterable[str]) -> str:
    """Both in one sentence; "" when nothing is to be said."""
    parts = [*(f"rolled back: {t}" for t in told(entries)), *staying]
    return "; ".join(parts)[:MOST]


def _why_not(version: Brought | None) -> str:
    if version is not None:
        return "Cluster API takes no version back"
    return "to go back, Cluster API would replace all its machines again"


def _first(brought: Iterable[Brought]) -> Brought:
    return next(iter(brought))


def _behind(steps: Steps, seen: Seen) -> Iterator[tuple[UpdateStep, str, Part]]:
    """Pools that are not through, with their machines; those that have left the spec aside."""
    for step in steps:
        pool = pool_of(step)
        if pool is not None and step.state not in THROUGH and pool in seen.pools:
            yield step, pool, seen.pools[pool]


def _of_pool(step: UpdateStep, pool: str, part: Part, seen: Seen, now: datetime) -> Iterator[RolledBack]:
    handed = {b.what: b for b in seen.brings if b.handed}
    version, image = handed.get("Version"), handed.get("Image")
    if version is not None and step.started is not None and not part.reached:
        yield _back(version, now, pool)
    if version is None and image is not None and step.started is not None and not _all_new(part):
        yield _back(image, now, pool, part.surplus)


def _all_new(part: Part) -> bool:
    """Whether nothing of a pool is left to be made; a new machine that has not joined is."""
    return part.handed and part.coming is None and part.new >= part.desired


def _back(
    brought: Brought, now: datetime, pool: str | None = None, surplus: Sequence[tuple[str, int]] = ()
) -> RolledBack:
    left = tuple(Surplus(name=name, machines=count) for name, count in surplus)
    to = brought.old or None
    return RolledBack(what=brought.what, pool=pool, from_=brought.new, to=to, since=now, surplus=left)


def _told(entry: RolledBack) -> str:
    if entry.add_on:
        return f"add-on {entry.add_on} goes back from {entry.from_} to {entry.to}"
    whose = f"pool {entry.pool}" if entry.pool else "the Cluster"
    if entry.what == "Certificates":
        return "machines of the control plane are not renewed, Cluster API had not been told to"
    if entry.pool and entry.what == "Image":
        left = sum(s.machines for s in entry.surplus)
        more = f" and has {left} more than wanted" if left else ""
        again = "all of them are replaced when the update goes on"
        return f"{whose} makes machines of {entry.to} again, not of {entry.from_}{more}: {again}"
    return f"{whose} stays on {_NAMES[entry.what]} {entry.to}, Cluster API had not been handed {entry.from_}"

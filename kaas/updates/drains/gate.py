"""Whether a machine that is to go is drained now. Pure.

First its turn: the others of its pool are back, with as many GPUs as before; or, where all new machines come beside the
old ones, all of them have been well together for long enough. Then notice, and the jobs on it. It never waits for what
cannot come, nor for longer than the pool says.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from kaas.gpu.layouts import FAILED, expected, short
from kaas.updates.drains.facts import Departure, Gate, Gpus, Look, Neighbour, Offer, PodSeen, Rules
from kaas.updates.drains.words import DRAIN_NOW, Reason

SILENT: Final = timedelta(minutes=5)
"""A node that is not Ready for so long has no job on it that could end well."""
UNSEEN: Final = timedelta(hours=2)
"""How long a cluster that does not answer is waited for where the pool sets no time-out."""
_NAMED: Final = 5  # Pods, or machines, that a message names


def at_once(departure: Departure, rules: Rules | None, *, deleted: bool) -> Gate | None:
    """That it is drained without a look at its cluster; None when that is needed. deleted: the whole Cluster goes."""
    if departure.now is not None:
        return _drained(Reason.DRAIN_NOW, f"a person asks for it: {departure.now or 'no reason given'}")
    if deleted:
        return _drained(Reason.CLUSTER_DELETED, "the Cluster is deleted")
    if rules is None:
        return _drained(Reason.POOL_REMOVED, "its pool is not in the Cluster any more")
    return _nobody_to_wait_for(departure, rules)


def _nobody_to_wait_for(departure: Departure, rules: Rules) -> Gate | None:
    if not rules.notice and rules.soak is None:
        return _drained(Reason.NOTICE_OFF, f"pool {rules.pool} gives no notice")
    if departure.repaired:
        return _drained(Reason.REPAIR, "it is sick, and is replaced by a repair")
    if departure.node is None:
        return _drained(Reason.NO_NODE, "it never joined: there is nothing to drain")
    return None


def decide(departure: Departure, rules: Rules, look: Look, now: datetime) -> Gate:
    """What is done with a machine, after a look at its cluster. Ask `at_once` first."""
    if look.away is not None:
        return _unseen(departure, rules, look, look.away, now)
    if look.node is None:
        return _drained(Reason.NO_NODE, "its Node is gone: there is nothing to drain")
    if not look.node.ready and now - look.node.since >= SILENT:
        words = f"its Node is not Ready since {_moment(look.node.since)}: no job on it could end well"
        return _drained(Reason.NODE_NOT_READY, words)
    waits = _turn(departure, rules, look, now) if departure.noticed is None else None
    if waits is not None:
        return waits
    if not rules.notice:
        return _drained(Reason.SOAKED, f"the new machines of pool {rules.pool} are well")
    return _pods(departure.noticed or now, rules, look.pods, now)


def _drained(reason: Reason, message: str) -> Gate:
    return Gate(True, reason, message)


def _waits(reason: Reason, message: str, until: datetime | None = None) -> Gate:
    words = f"{message}; to have it drained at once, annotate the Machine with {DRAIN_NOW}: <why>"
    return Gate(False, reason, words, until=until)


def _unseen(departure: Departure, rules: Rules, look: Look, away: datetime, now: datetime) -> Gate:
    """The cluster cannot be asked: it is waited for as long as Pods would be."""
    end = away + (rules.timeout or UNSEEN)
    if departure.noticed is not None and rules.timeout is not None:
        end = min(end, departure.noticed + rules.timeout)
    if now >= end:
        words = f"the cluster does not answer since {_moment(away)} ({look.problem}): its jobs are not waited for"
        return _drained(Reason.OUT_OF_SIGHT, words)
    return _waits(Reason.NOT_SEEN, f"the cluster cannot be asked ({look.problem}), until {_moment(end)}", end)


# --- its turn -----------------------------------------------------------------------------------------------------


def _turn(departure: Departure, rules: Rules, look: Look, now: datetime) -> Gate | None:
    """What it waits for before its own Pods are told; None when it is its turn."""
    if rules.soak is not None and departure.outdated:
        return _soak(rules, rules.soak, look, now)
    missing = [o for o in look.others if not _is_there(o, departure, look)]
    there = len(look.others) - len(missing)
    if there >= rules.replicas - max(1, rules.unavailable):
        return None
    words = f"pool {rules.pool} has {there} of {rules.replicas - 1} other machines"
    why = _listed(_why_missing(o, look.whole) for o in missing)
    waits = f"{words}: it goes when they are back{f' ({why})' if why else ''}"
    return _waits(_reason(missing, look, Reason.OTHERS_MISSING), waits)


def _reason(missing: Iterable[Neighbour], look: Look, otherwise: Reason) -> Reason:
    """Why it waits for machines: it makes a difference whether those without their GPUs get them by themselves."""
    found = [o.node.layout for o in missing if o.node is not None and o.node.ready and lacks(o, look.whole)]
    if any(layout.state == FAILED for layout in found):
        return Reason.LAYOUT_FAILED
    return Reason.LAYOUT_MISSING if any(layout.name for layout in found) else otherwise


def _soak(rules: Rules, soak: timedelta, look: Look, now: datetime) -> Gate | None:
    """All that are to stay have to be well, for long enough, before an old one goes."""
    staying = [o for o in look.others if o.leaving is None and not o.gone and not o.outdated]
    well = [o.node for o in staying if o.node is not None and not lacks(o, look.whole)]
    if len(well) < rules.replicas or len(well) < len(staying):
        missing = [o for o in staying if o.node not in well]
        why = _listed(_why_missing(o, look.whole) for o in missing)
        words = f"pool {rules.pool} has {len(well)} of {rules.replicas} new machines{f' ({why})' if why else ''}"
        return _waits(_reason(missing, look, Reason.NEW_MACHINES_MISSING), words)
    end = max((node.since for node in well), default=now - soak) + soak
    if now < end:
        return _waits(Reason.SOAKING, f"the new machines of pool {rules.pool} soak until {_moment(end)}", end)
    return None


def _is_there(other: Neighbour, departure: Departure, look: Look) -> bool:
    """Whether another machine does its work: one that is to go does, until its turn has come before ours."""
    if other.gone or other.node is None:
        return False
    lacking = bool(lacks(other, look.whole))
    if other.leaving is None:
        return not lacking
    behind = other.leaving.place(lacking=lacking) > departure.place(lacking=bool(look.lacking))
    return other.node.ready and behind


def lacks(other: Neighbour, whole: Iterable[Offer]) -> str:
    """Why a machine of the pool is not back, "" when it is: Ready, laid out, and with as much as its layout has.

    In a layout whose geometry is not known, and without one, at least what one of the pool offered before will do.
    """
    node = other.node
    if node is None:
        return "has not joined"
    if not node.ready:
        return "is not Ready"
    if not node.layout.in_place:
        return f"has GPUs that are not laid out as {node.layout.name} ({node.layout.progress})"
    wanted = expected(node.layout, other.gpus, other.model) if other.gpus else None
    if wanted is not None:
        few = short(wanted, node.gpus)
        return f"offers {_offer(node.gpus)}, layout {node.layout.name} has {_offer(wanted)}" if few else ""
    before = [o.gpus for o in whole if o.layout == node.layout.name]
    if not before or any(covers(node.gpus, gpus) for gpus in before):
        return ""
    return f"offers {_offer(node.gpus)}, before it was {_offer(before[0])}"


def covers(gpus: Gpus, wanted: Gpus) -> bool:
    """Whether there is at least as much of each."""
    return all(gpus.get(name, 0) >= number for name, number in wanted.items())


def _why_missing(other: Neighbour, whole: Iterable[Offer]) -> str:
    lacking = lacks(other, whole)
    if other.gone or (other.leaving is not None and not lacking):
        return f"{other.name} goes first"
    return f"{other.name} {lacking}"


def _offer(gpus: Gpus) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(gpus.items()) if number) or "no GPU"


# --- its Pods -----------------------------------------------------------------------------------------------------


def _pods(noticed: datetime, rules: Rules, pods: Iterable[PodSeen], now: datetime) -> Gate:
    """Its turn has come: whom the drain waits for, and for how long."""
    running = [pod for pod in pods if pod.waited and not _has_checkpoint(pod, noticed)]
    deadline = noticed + rules.timeout if rules.timeout is not None else None
    if not running:
        return Gate(True, Reason.PODS_DONE, "no job is left that it would have to wait for", True, deadline)
    names = _listed(map(str, running))
    if deadline is not None and now >= deadline:
        words = f"its jobs were waited for until {_moment(deadline)}: {names}"
        return Gate(True, Reason.TIMED_OUT, words, True, deadline)
    until = f"until {_moment(deadline)}" if deadline else "without a time-out"
    waits = _waits(Reason.PODS_RUNNING, f"waits {until} for {names}", deadline)
    return Gate(False, waits.reason, waits.message, True, deadline, deadline)


def _has_checkpoint(pod: PodSeen, noticed: datetime) -> bool:
    return pod.checkpoints and pod.checkpointed is not None and pod.checkpointed >= noticed


def _listed(words: Iterable[str]) -> str:
    """The first few, in a stable order, and how many more."""
    ordered = sorted(words)
    more = len(ordered) - _NAMED
    return ", ".join(ordered[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _moment(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"

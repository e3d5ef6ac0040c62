"""Which loads may begin when not all can run at once: namespaces in turn, in each the oldest claim first. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from kaas.volumes.claim import Key


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many loads run at the same time: everywhere, and in one namespace."""

    at_once: int
    per_namespace: int


def admitted(waiting: Mapping[Key, datetime], running: Iterable[Key], bounds: Bounds) -> list[Key]:
    """Claims whose load may begin now, in the order in which they are to.

    waiting: when each claim was made. The namespace with the fewest loads comes first, so that nobody's five hundred
    claims keep another's one from being loaded.
    """
    busy = Counter(namespace for namespace, _ in running)
    free = bounds.at_once - busy.total()
    queues: dict[str, list[Key]] = {}
    for key in sorted(waiting, key=lambda k: (waiting[k], k), reverse=True):
        queues.setdefault(key[0], []).append(key)
    found: list[Key] = []
    while len(found) < free:
        open_ones = [n for n, queue in queues.items() if queue and busy[n] < bounds.per_namespace]
        if not open_ones:
            break
        chosen = min(open_ones, key=lambda n: (busy[n], waiting[queues[n][-1]], n))
        found.append(queues[chosen].pop())
        busy[chosen] += 1
    return found

"""Nodes that fail together are one incident, not many sick nodes. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kaas.repairs.blindness import taken_out
from kaas.repairs.facts import Patient, SiteFacts
from kaas.repairs.reasons import Reason

TOGETHER: Final = timedelta(minutes=5)
"""Within so long of each other nodes fail together; kubelets are missed up to 40 s late, Nova's services up to 60 s."""

FEWEST: Final = 3
"""Fewer are no incident: two nodes of a small hypervisor fail by chance."""

FORGOTTEN: Final = timedelta(days=1)
"""Since so long an ended incident moves no clock."""


@dataclass(frozen=True, slots=True)
class Incident:
    """name: `zone/<name>` or `host/<id>`, within its Site. fallen: how many of `size` nodes failed."""

    site: str
    name: str
    fallen: int
    size: int

    @property
    def reason(self) -> Reason:
        """Which kind it is."""
        return Reason.INCIDENT_OF_ZONE if self.name.startswith("zone/") else Reason.INCIDENT_OF_HOST

    @property
    def message(self) -> str:
        """The numbers, and the way out."""
        return (
            f"{self.fallen} of {self.size} nodes of {self.name} at Site {self.site} failed together; they are left "
            f"alone until fewer are down, or a person confirms: kaas repair confirm --site {self.site} {self.name}"
        )


Incidents = Mapping[tuple[str, str], Incident]
"""By Site and name."""


def incidents(patients: Iterable[Patient], sites: Mapping[str, SiteFacts]) -> Incidents:
    """Those that are going on: of a zone or hypervisor at least half, and at least three, fell within five minutes.

    A zone that the cloud chooses (`""`) is none: its nodes may be anywhere.
    """
    groups: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    for patient in patients:
        when = fell(patient)
        if when is not None:
            for name in places(patient):
                groups[(patient.machine.site, name)].append(when)
    found = (_incident(site, name, times, sites) for (site, name), times in groups.items() if len(times) >= FEWEST)
    return {(i.site, i.name): i for i in found if i is not None}


def fell(patient: Patient) -> datetime | None:
    """Since when a node is silent or down by itself; None when it is not, or a repair took it down."""
    times = [f.since for f in patient.findings if f.silent or f.cloud]
    return min(times) if times and not taken_out(patient) else None


def places(patient: Patient) -> list[str]:
    """The names of the incidents that a node may be part of."""
    found = [f"zone/{patient.machine.zone}"] if patient.machine.zone else []
    return [*found, f"host/{patient.host}"] if patient.host else found


def _incident(name_of_site: str, name: str, times: list[datetime], sites: Mapping[str, SiteFacts]) -> Incident | None:
    site = sites.get(name_of_site)
    if site is None:
        return None
    kind, _, what = name.partition("/")
    size = max((site.zones if kind == "zone" else site.hosts).get(what, 0), len(times))
    need = max(FEWEST, (size + 1) // 2)
    times.sort()
    together = any(last - first <= TOGETHER for first, last in zip(times, times[need - 1 :], strict=False))
    return Incident(name_of_site, name, len(times), size) if together else None


def confirmed(incident: Incident, site: SiteFacts, now: datetime) -> bool:
    """Whether a person has said that its nodes are to be repaired."""
    until = site.confirmed.get(incident.name)
    return until is not None and now < until


def remember(
    ended: Mapping[str, datetime], before: Collection[str], going_on: Collection[str], now: datetime
) -> dict[str, datetime]:
    """`SiteFacts.ended` after one look at a Site: names of its incidents before and now."""
    kept = {name: when for name, when in ended.items() if name not in going_on and now - when < FORGOTTEN}
    return kept | {name: now for name in before if name not in going_on}

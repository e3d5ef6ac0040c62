"""That no more Clusters of a Site begin at once than it says: found out from statuses alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from tests.unit.updates.simulation.member import Key, Member
from tests.unit.updates.simulation.world import World


@dataclass
class Crowd:
    """Watches a world of one Site. most: how many may be updated at once. order: who began, and when."""

    world: World
    most: int
    order: list[tuple[datetime, str]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    fullest: int = 0
    _begun: dict[Key, object] = field(default_factory=dict)
    _held: set[Key] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.world.on_look.append(self.looked)

    def looked(self, member: Member, _again: float | None) -> None:
        """The reconciler has looked."""
        update, now = member.update, self.world.clock.time
        if "hold" in update or any(s["state"] == "Held" for s in member.steps):
            self._held.add(member.key)  # when it goes on, nobody is asked
        if update.get("began") is None or self._begun.get(member.key) == update["began"]:
            return
        self._begun[member.key] = update["began"]
        self._held.discard(member.key)
        self.order.append((now, member.key[1]))
        busy = [m.key[1] for m in self.world.members.values() if _is_busy(m) and m.key not in self._held]
        self.fullest = max(self.fullest, len(busy))
        may_not_wait = update.get("reason") in ("Expired", "CertificatesEnd") or "certificates" in update
        if len(busy) > self.most and not may_not_wait:
            self.broken.append(f"{now:%m-%d %H:%M:%S} {member.key[1]} began although {', '.join(busy)} are updated")

    def holds(self) -> None:
        """Raises AssertionError with all that did not hold."""
        assert not self.broken, "\n".join(self.broken[:20])


def _is_busy(member: Member) -> bool:
    return "stopped" not in member.update and any(s["state"] == "Running" for s in member.steps)

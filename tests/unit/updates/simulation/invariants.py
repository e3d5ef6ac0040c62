"""What must hold of every update: found out from machines and calendars, without asking the planner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from kaas.api.update_status import THROUGH
from kaas.api.versions import KubernetesVersion
from kaas.kube.times import at
from kaas.updates.expiry import expires
from kaas.updates.facts import Change
from kaas.updates.run import CONTROL_PLANE, FINISHED, POOL_PREFIX
from tests.unit.updates.simulation.machines import Begun, Group, Machine
from tests.unit.updates.simulation.member import Key, Member
from tests.unit.updates.simulation.out_of_turn import brought_by, out_of_turn
from tests.unit.updates.simulation.world import World

REACTION: Final = timedelta(minutes=3)
"""Within so long whoever has to react has done so, also one that was killed meanwhile."""
MOST_SKEW: Final = 3
"""Minors by which kubelets may be older than the control plane (Kubernetes version skew policy)."""
PATIENCE: Final = timedelta(days=7)
"""So long what has expired takes the next window; then it goes without one."""
BY_EVENT: Final = frozenset(
    {"RolloutPending", "NotReady", "Paused", "RepairInFlight", "Stopped", "Updating", "Expired"}
)
"""Reasons that end with an event, and need no time to look again."""


@dataclass
class Invariants:
    """Watches a world. broken: what did not hold, with when and where.

    compared: how many machines were made in pools that are in the middle of an update to an image which has stopped.
    """

    world: World
    broken: list[str] = field(default_factory=list)
    compared: int = 0
    unwell: dict[Key, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world.on_begin.append(self.began)
        self.world.on_make.append(self.made)
        self.world.on_look.append(self.looked)

    def holds(self) -> None:
        """Raises AssertionError with all that did not hold."""
        assert not self.broken, "\n".join(self.broken[:20])

    def began(self, member: Member, begun: Begun) -> None:
        """A machine is replaced."""
        group = member.machines.control_plane if not begun.group else member.machines.pools[begun.group]
        for words in (*self._when(member, begun), *self._how(member, group, begun), *self._turn(member, begun)):
            when = f"{begun.at:%Y-%m-%d %H:%M:%S} {'/'.join(member.key)} {begun.group or 'control plane'}"
            self.broken.append(f"{when} {begun.machine}: {words}")

    def made(self, member: Member, group: Group, machine: Machine) -> None:
        """A machine is made in the place of another one, which was lost or never came."""
        now, had = self.world.clock.time, member.update.get("before") or {}
        if not group.name or member.stopped is None or now <= member.stopped + REACTION or not _is_idle(member):
            return
        others = {m.made_of.image for m in group.machines if m is not machine}
        same = member.update.get("target") == had.get("version")  # another version is taken back nowhere
        if not same or had.get("image") not in others:
            return
        self.compared += 1
        if machine.made_of.image != had["image"]:
            when = f"{now:%Y-%m-%d %H:%M:%S} {'/'.join(member.key)} {group.name} {machine.name}"
            self.broken.append(f"{when}: made of {machine.made_of.image} although the update stopped")

    # -- when -------------------------------------------------------------------------------------------------------

    def _when(self, member: Member, begun: Begun) -> Iterator[str]:
        if member.is_by_hand(begun.old.version, begun.new.version):
            return
        if not self._inside(member, begun) and not self._is_emergency(member, begun):
            yield "begun outside of every maintenance window"
        stopped = None if _goes_on(begun) else member.stopped
        if stopped is not None and begun.at > stopped + REACTION and _is_idle(member):
            yield f"begun although the update stopped at {stopped:%m-%d %H:%M}"

    def _inside(self, member: Member, begun: Begun) -> bool:
        if _goes_on(begun):
            return True
        earlier = (begun.at, begun.at - REACTION)
        return any(member.calendar.open_at(change_of(begun), at) is not None for at in earlier)

    def _is_emergency(self, member: Member, begun: Begun) -> bool:
        if member.is_forced and self._has_waited(member, begun):
            return True
        machine_is_old = begun.aged and member.update.get("certificates") is not None
        return machine_is_old and not begun.group

    def _has_waited(self, member: Member, begun: Begun) -> bool:
        """Whether what is left has expired for so long that no window is waited for, and it was said from when on."""
        said, before = member.update.get("forcedFrom"), member.update.get("before") or {}
        left = KubernetesVersion.known(before.get("version"))
        end = expires(left, self.world.releases(), begun.at)
        return said is not None and end is not None and end + PATIENCE <= at(said) <= begun.at

    def _turn(self, member: Member, begun: Begun) -> Iterator[str]:
        """A member of a Rollout begins with what that carries in its turn, when the stages before are through."""
        if begun.group or begun.number > 1:
            return
        if member.is_forced or member.is_by_hand(begun.old.version, begun.new.version):
            return
        said = member.update.get("began")
        began = at(said) if said else None
        for name in self.world.waves.raw:
            rollout = self.world.waves.model(name)
            for kind, brought in brought_by(begun).items():
                yield from out_of_turn(rollout, member.key, kind, brought, began)

    # -- how --------------------------------------------------------------------------------------------------------

    def _how(self, member: Member, group: Group, begun: Begun) -> Iterator[str]:
        plane = member.machines.control_plane
        newest = max(m.made_of.version for m in plane.machines)
        if begun.group:
            yield from self._of_pool(member, group, begun)
        elif begun.new.version.minor - begun.old.version.minor > 1:
            yield f"{begun.old.version} to {begun.new.version}: more than one minor at once"
        for pool in member.machines.pools.values():
            for machine in pool.machines:
                runs = machine.made_of.version
                if newest.minor - runs.minor > MOST_SKEW or runs > newest:
                    yield f"a forbidden skew: control plane {newest}, {pool.name} {runs}"
        minors = {m.made_of.version.minor for g in member.machines.groups() for m in g.machines}
        if len(minors) > 2 and not member.by_hand:
            yield f"two minors at once: {sorted(minors)} run"

    def _of_pool(self, member: Member, group: Group, begun: Begun) -> Iterator[str]:
        plane, now = member.machines.control_plane, begun.at
        is_ahead = plane.is_through(now) and plane.oldest(now) >= begun.new.version
        if begun.new.version > begun.old.version and not is_ahead:
            yield "begun before the control plane was through"
        waits = member.waits.get(group.name) if group.name in (member.update.get("waiting") or ()) else None
        by_hand = member.is_by_hand(begun.old.version, begun.new.version)
        if waits is not None and waits + REACTION < now and not by_hand:
            yield f"begun although the pool waits since {waits:%m-%d %H:%M}"
        down = [m.name for m in group.unready(now) if m.name != begun.machine]
        flying = member.trouble.repairs.get(group.name, 0)
        since = member.trouble.repairs_since.get(group.name)
        if down or (flying and since is not None and since + REACTION < now and not by_hand):
            yield f"beyond the budget of one: {', '.join(down) or 'a repair is in flight'}"

    # -- at every look ----------------------------------------------------------------------------------------------

    def looked(self, member: Member, again: float | None) -> None:
        """The reconciler has looked."""
        update, now = member.update, self.world.clock.time
        problems = [*self._says_why(update, again), *self._rests(member)]
        self.broken += [f"{now:%Y-%m-%d %H:%M:%S} {'/'.join(member.key)}: {words}" for words in problems]
        waiting: list[str] = update.get("waiting") or []
        member.waits = {name: member.waits.get(name, now) for name in waiting}
        if member.stopped is not None and (member.acted or member.stopped) > member.stopped:
            member.stopped = None
        if member.stopped is not None and member.machines_done and not has_failed(member):
            member.stopped = None  # what had only add-ons left may be called off for something else
        if member.stopped is None and has_failed(member):
            member.stopped, member.machines_done = now, _machines_done(update)

    def _says_why(self, update: dict[str, object], again: float | None) -> Iterator[str]:
        if not update.get("reason") or not update.get("message"):
            yield "no reason is given"
        waits = update.get("version") is not None and update.get("target") != update.get("version")
        if waits and again is None and update.get("reason") not in BY_EVENT:
            yield f"waits ({update.get('reason')}), and nobody knows until when"
        if update.get("rolledBack") and not update.get("stopped"):
            yield "rolled back, although it has not stopped"

    def _rests(self, member: Member) -> Iterator[str]:
        """A finished update leaves nothing behind. Whoever undoes it has a moment for that: two looks in a row."""
        if not is_finished(member) or not (left := leftovers(member)):
            self.unwell.pop(member.key, None)
            return
        since = self.unwell.setdefault(member.key, self.world.clock.time)
        if since + REACTION < self.world.clock.time:
            yield f"nothing is under way, and yet {left}"


def _is_idle(member: Member) -> bool:
    """Whether no person has done anything since the update stopped."""
    return member.stopped is None or (member.acted or member.stopped) <= member.stopped


def _goes_on(begun: Begun) -> bool:
    """Whether a control plane goes on that has begun: Cluster API brings it to its end, it is not left half way."""
    return not begun.group and begun.number > 1


def change_of(begun: Begun) -> Change:
    """The largest of what differs between two machines."""
    if begun.old.version.minor != begun.new.version.minor:
        return Change.MINOR
    return Change.PATCH if begun.old.version != begun.new.version else Change.IMAGE


def _machines_done(update: Mapping[str, Any]) -> bool:
    """Whether an update has no machines left to replace."""
    machines = (s for s in update.get("steps") or () if s["name"] == CONTROL_PLANE or s["name"].startswith(POOL_PREFIX))
    return all(s["state"] in THROUGH for s in machines)


def is_finished(member: Member) -> bool:
    """Whether no update is under way, as the status says."""
    steps = member.update.get("steps") or ()
    last = next((s for s in steps if s["name"] == FINISHED), None)
    return last["state"] in ("Done", "Skipped") if last else "hold" not in member.update


def has_failed(member: Member) -> bool:
    """Whether its update has stopped by itself, or should have."""
    failed = [s for s in member.update.get("steps") or () if s["state"] == "Failed"]
    return "stopped" in member.update or bool(failed)


def leftovers(member: Member) -> str:
    """What an update that is through must not leave."""
    paused = [p.name for p in member.machines.pools.values() if p.paused or p.on_delete]
    deferred = [p.name for p in member.machines.pools.values() if p.deferred]
    waiting = list(member.update.get("waiting") or ())
    back = [e.get("pool") or e["what"] for e in member.update.get("rolledBack") or ()]
    own = [*member.machines.topology.kept]
    groups = (("paused", paused), ("deferred", deferred), ("waiting", waiting))
    found = (*groups, ("rolled back", back), ("with images of their own", own))
    return "; ".join(f"{words}: {', '.join(names)}" for words, names in found if names)

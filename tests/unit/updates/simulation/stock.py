"""Who puts add-ons into simulated Clusters: what is to be there is the real feature's word, the hands are played."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Final

from kaas.addons.wanted import Act, Wish, wishes
from kaas.api.addon import Addon
from kaas.api.addon_state import supports, version_of
from kaas.kube import resources
from kaas.kube.objects import Object
from kaas.kube.times import at, stamp
from kaas.updates.facts import Change
from tests.unit.updates.addons import raw_addon
from tests.unit.updates.simulation.invariants import REACTION, Invariants
from tests.unit.updates.simulation.machines import Begun
from tests.unit.updates.simulation.member import Key, Member, model
from tests.unit.updates.simulation.troubles import QUIET, Fate
from tests.unit.updates.simulation.world import CLUSTER_KIND, LOOK, World

Watcher = Callable[[Member, str, str | None, str], None]
WORDS: Final = "Deployment agent/agent: unknown field spec.x"
TAKES: Final = timedelta(minutes=4)


@dataclass
class Stock:
    """The Addons of a world, and who puts them into its Clusters. refused: versions that no Cluster takes now."""

    world: World
    random: Random
    refused: set[tuple[str, str]] = field(default_factory=set)
    on_put: list[Watcher] = field(default_factory=list)
    put: int = 0
    _coming: dict[tuple[Key, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world.on_told.append(self.look)

    def addons(self) -> list[Addon]:
        """All that there are."""
        return [self.world.parsed(Addon.model_validate, raw) for raw in self.world.index.list(resources.ADDON)]

    def add(self, raw: Object) -> None:
        """A person makes an Addon, or adds a version to one."""
        since = stamp(self.world.clock.time)
        for version in raw["status"]["versions"]:
            version["since"] = since
        self.world.put(raw)
        for member in self.world.members.values():
            self.world.soon(member.key, LOOK)
            self.look(member)

    def look(self, member: Member) -> None:
        """What is to be in a Cluster may be something else now."""
        for wish in wishes(model(member.raw(CLUSTER_KIND)), self.addons()):
            if wish.act is Act.PUT and wish.version is not None:
                self._put(member, wish, wish.version)

    def _put(self, member: Member, wish: Wish, version: str) -> None:
        key = (member.key, wish.name)
        if wish.has == version and key not in self._coming:
            self._say(member, wish.name, {"version": version, "state": "Ready"})
            return
        if self._coming.get(key) == version:
            return
        self._coming[key] = version
        now = self.world.clock.time
        if (wish.name, version) in self.refused:
            failed = {"state": "Failed", "wanted": version, "message": WORDS, "since": stamp(now)}
            self._say(member, wish.name, failed | ({"version": wish.has} if wish.has else {}))
        takes = TAKES + timedelta(seconds=self.random.randint(0, 300))
        self.world.call(now + takes, partial(self._done, member, wish.name, version))

    def _done(self, member: Member, name: str, version: str) -> None:
        if self._coming.get((member.key, name)) != version:
            return
        if (name, version) in self.refused:
            self.world.call(self.world.clock.time + TAKES, partial(self._done, member, name, version))
            return
        del self._coming[member.key, name]
        had = member.addons.get(name, {}).get("version")
        self.put += 1
        for watcher in self.on_put:
            watcher(member, name, had, version)
        self._say(member, name, {"version": version, "state": "Ready"})
        self.look(member)

    def _say(self, member: Member, name: str, said: Object) -> None:
        if member.addons.get(name) != (found := {"name": name, **said}):
            member.addons[name] = found
            self.world.show(member)


class Watch:
    """What must hold of add-ons. compared: by what an add-on came."""

    def __init__(self, world: World, stock: Stock, watched: Invariants) -> None:
        self.world, self.stock, self.watched = world, stock, watched
        self.compared = {"first": 0, "update": 0, "back": 0}
        stock.on_put.append(self._put)
        world.on_begin.append(self._began)

    def _put(self, member: Member, name: str, had: str | None, version: str) -> None:
        problems = [*self._unsupported(member, name, version), *self._when(member, name, had, version)]
        when = f"{self.world.clock.time:%Y-%m-%d %H:%M:%S} {'/'.join(member.key)} {name}"
        self.watched.broken += [f"{when}: {had} to {version}: {words}" for words in problems]

    def _unsupported(self, member: Member, name: str, version: str) -> Iterator[str]:
        runs = member.machines.control_plane.oldest(self.world.clock.time)
        addon = next(a for a in self.stock.addons() if a.metadata.name == name)
        said = version_of(addon, version)
        if not member.by_hand and (said is None or not supports(said.kubernetes, runs.minor)):
            yield f"it does not support {runs}"

    def _when(self, member: Member, name: str, had: str | None, version: str) -> Iterator[str]:
        if had is None:
            self.compared["first"] += 1
            return
        update = member.update
        if any(e.get("addOn") == name and e["to"] == version for e in update.get("rolledBack") or ()):
            self.compared["back"] += 1
            return
        self.compared["update"] += 1
        step = next((s for s in member.steps if s["name"] == "AddOns"), {})
        brought = {(c["name"], c["to"]) for c in update.get("addOns") or ()}
        if "started" not in step or (name, version) not in brought:
            yield "it came by no update"
            return
        if member.is_forced or member.by_hand or update.get("retried"):
            return
        largest = Change((update.get("changes") or ["AddOns"])[0])
        if not self._is_open(member, largest, at(step["started"])):
            yield f"its step began outside of every maintenance window, {step['started']}"

    def _is_open(self, member: Member, change: Change, time: datetime) -> bool:
        return any(member.calendar.open_at(change, t) is not None for t in (time, time - REACTION))

    def _began(self, member: Member, begun: Begun) -> None:
        """No control plane goes to a minor that an add-on does not support."""
        if begun.group or begun.old.version.minor == begun.new.version.minor or member.by_hand:
            return
        for name, said in member.addons.items():
            addon = next(a for a in self.stock.addons() if a.metadata.name == name)
            known = version_of(addon, said.get("version"))
            if known is not None and not supports(known.kubernetes, begun.new.version.minor):
                when = f"{begun.at:%Y-%m-%d %H:%M:%S} {'/'.join(member.key)}"
                self.watched.broken.append(f"{when}: {begun.new.version} with {name} {said['version']}")


def supply(stock: Stock, random: Random, most: int = 34) -> None:
    """Some add-ons, newer versions of which come over the year; some support few minors, some are refused for long."""
    world, start = stock.world, stock.world.clock.time
    for name in ("agent", "driver")[: random.randint(1, 2)]:
        versions: list[str | tuple[str, str]] = []
        for number in range(random.randint(2, 6)):
            bound = random.random() < 0.4
            versions.append(
                (f"1.{number}.0", f"1.{most + random.randint(number // 2, number + 2)}") if bound else f"1.{number}.0"
            )
            raw = raw_addon(name, *versions)
            time = start + timedelta(days=random.randint(1, 50) + number * 40)
            if number == 0:
                stock.add(raw)
            else:
                world.call(time, partial(stock.add, raw))
            if number and random.random() < 0.3:
                refused = (name, f"1.{number}.0")
                stock.refused.add(refused)
                world.call(start + QUIET, partial(stock.refused.discard, refused))


def befall(fate: Fate, random: Random) -> None:
    """Some steps of add-ons are found not to be well."""
    for _ in range(random.randint(0, 2)):
        fate.world.call(fate.start + timedelta(days=random.randint(5, 250)), partial(fate.checks_of, "AddOns"))

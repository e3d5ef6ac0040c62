"""All that may happen to add-ons, in any order: when it is over, exactly what is to be there is there."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from kaas.addons.course import DRIFT
from kaas.addons.inventory import from_object
from kaas.kube import resources
from kaas.kube.errors import Invalid, NotFound, Unavailable
from kaas.kube.resources import PAUSED_ANNOTATION
from tests.unit.addons.server import Killed
from tests.unit.addons.test_killed import CONTENT, expect
from tests.unit.addons.world import World, raw_addon, thing, update_to

STEPS = 40
VERSIONS = ("1.0.0", "2.0.0", "3.0.0")
BACK = {"what": "AddOn", "addOn": "exporter", "since": "2026-01-01T00:00:00Z"}
STOPPED = {"since": "2026-01-01T00:00:00Z", "step": "AddOns", "reason": "x", "message": "y"}


class Troubles:
    """A world to which things happen by chance."""

    def __init__(self, seed: int) -> None:
        self.chance, self.world = random.Random(seed), World()  # noqa: S311 - a test
        self.world.server.put(thing("theirs"))
        self.world.addon(raw_addon("exporter", *VERSIONS), **CONTENT)
        self.wanted: str | None = VERSIONS[-1]
        self.has: str | None = None

    @property
    def acts(self) -> list[Callable[[], object]]:
        return [self.looks, self.looks, self.killed, self.silent, self.refused, self.by_hand, self.drifts, self.starts,
                self.updated, self.rolled_back, self.deselected, self.selected, self.paused, self.lost]  # fmt: skip

    async def happen(self) -> None:
        self.chance.choice(self.acts)()
        await self.look()

    async def look(self) -> None:
        try:
            await self.world.examine()
            for _ in range(self.chance.randint(1, 4)):
                again = await self.world.look()
                self.world.clock.step(min(again or 0.0, self.chance.choice([0.0, 10.0, 300.0])))
        except Killed:
            self.world.start()
        self.world.writes.at = -1
        self.has = self.world.entries.get("exporter", {}).get("version")
        if self.wanted is not None and not self.world.cluster["status"].get("update"):
            self.wanted = self.has or self.written or self.wanted

    @property
    def written(self) -> str | None:
        """The version that the Cluster has by what is written down there, whatever is said of it."""
        config_map = self.world.server.objects.get(("", "ConfigMap", "kube-system", "kaas-add-on-exporter"))
        found = from_object(config_map)
        return found.version if found.is_whole else None

    def looks(self) -> None:
        """Nothing happens."""

    def killed(self) -> None:
        self.world.writes.count, self.world.writes.at = 0, self.chance.randint(1, 12)
        self.world.writes.before = self.chance.random() < 0.5

    def silent(self) -> None:
        self.world.server.down = self.chance.choice([None, Unavailable("get", "timed out")])
        self.world.no_way = self.chance.choice([None, None, NotFound("read", "there is no Secret")])

    def refused(self) -> None:
        faults = [Invalid("apply", "unknown field", code=422), Unavailable("apply", "webhook", code=500)]
        names = ("settings", "fresh", "gone", "kaas-add-on-exporter")
        self.world.server.faults = {n: self.chance.choice(faults) for n in names if self.chance.random() < 0.3}

    def by_hand(self) -> None:
        kind, name = self.chance.choice([("ConfigMap", "settings"), ("DaemonSet", "exporter"), ("ConfigMap", "fresh")])
        if f"{kind}/{name}" in self.world.server.names:
            self.world.server.remove(kind, name)

    def drifts(self) -> None:
        self.world.clock.step(DRIFT)

    def starts(self) -> None:
        self.world.start()

    def updated(self) -> None:
        """An update brings what is there to another version."""
        if self.has is not None and self.wanted is not None:
            self.wanted = self.chance.choice(VERSIONS)
            self.world.update(update_to("exporter", self.has, self.wanted, "Running"))

    def rolled_back(self) -> None:
        update = self.world.cluster["status"].get("update")
        if update and self.wanted is not None:
            (change,) = update["addOns"]
            self.wanted = change["from"]
            back = {**BACK, "from": change["to"], "to": change["from"]}
            self.world.update({**update, "stopped": STOPPED, "rolledBack": [back]})

    def deselected(self) -> None:
        if self.wanted is not None and self.chance.random() < 0.3:
            self.wanted = None
            self.world.update(None)
            self.world.unput(resources.ADDON, None, "exporter")

    def selected(self) -> None:
        if self.wanted is None:
            self.wanted = self.has or VERSIONS[-1]
            self.world.addon(raw_addon("exporter", *VERSIONS))

    def paused(self) -> None:
        """Or not any more."""
        meta = {**self.world.cluster["metadata"], "annotations": self.chance.choice([{}, {PAUSED_ANNOTATION: ""}])}
        self.world.put({**self.world.cluster, "metadata": meta})

    def lost(self) -> None:
        """The management cluster is restored, without any status."""
        if self.wanted is not None:
            self.world.put({**self.world.cluster, "status": {"version": "v1.36.1"}})
            self.world.start()

    async def end(self) -> None:
        """Everything works from now on."""
        self.world.put({**self.world.cluster, "metadata": {**self.world.cluster["metadata"], "annotations": {}}})
        self.world.server.faults, self.world.server.down, self.world.no_way = {}, None, None
        await self.world.settle()
        self.world.clock.step(DRIFT)
        await self.world.settle()


@pytest.mark.parametrize("seed", range(60))
async def test_when_it_is_over_all_is_as_it_is_to_be(seed: int) -> None:
    troubles = Troubles(seed)
    for _ in range(STEPS):
        await troubles.happen()
    await troubles.end()
    expect(troubles.world, troubles.wanted)
    made = troubles.world.writes.count
    await troubles.world.settle()
    await troubles.world.settle()
    assert troubles.world.writes.count - made <= 1, "what is counted of it"

"""A pool is replaced as a whole: the real reconciler beside played controllers that take their turns in any order."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, field

import pytest

from kaas.kube import resources
from kaas.kube.objects import Object, is_deleting
from kaas.updates.drains.seen import is_held, is_outdated
from tests.unit.clusters.builders import NAME, NAMESPACE
from tests.unit.updates.drains.clusters import World

BOXES = 4
STEPS = 4000
TIMEOUT = 3600
ANY = -1
"""A seed of its own, other ones each time. Not among the names of tests: those are the same in all processes."""
SEEDS = [*range(12), ANY]


@dataclass
class Rolling:
    """Cluster API, kubelets and jobs, played. asked: old machines that may be asked to go at once."""

    seed: int
    update: Object
    surge: bool = False
    asked: int = 1
    made: int = 0
    told_at: dict[str, float] = field(default_factory=dict)
    hasty: list[str] = field(default_factory=list)
    least: int = BOXES
    together: int = 0

    def __post_init__(self) -> None:
        seed = random.randrange(10**6) if self.seed == ANY else self.seed  # noqa: S311 - a test's
        print(f"seed {seed}")
        self.chance = random.Random(seed)  # noqa: S311 - the same every time
        self.world = World(update={"drainTimeoutSeconds": TIMEOUT, **self.update}, replicas=BOXES)
        for n in range(BOXES):
            self.world.box(f"old-{n}")
            self.world.pod(f"job-{n}", f"old-{n}")
        self.begin = self.world.time

    @property
    def machines(self) -> list[Object]:
        return list(self.world.index.of_cluster(resources.MACHINE, NAMESPACE, NAME))

    def works(self, machine: Object) -> bool:
        """Whether a box serves: Ready, with its GPUs, and neither cordoned nor being drained."""
        node = self.world.workload.objects.get(("Node", machine["metadata"]["name"]))
        if node is None or (is_deleting(machine) and not is_held(machine)):
            return False
        return node["status"]["allocatable"]["nvidia.com/gpu"] == "8" and not node.get("spec", {}).get("unschedulable")

    # -- who takes a turn -------------------------------------------------------------------------------------------

    def make(self) -> None:
        """The MachineDeployment makes what is missing; deleted machines count until they are gone."""
        most = 2 * BOXES if self.surge else BOXES
        new = sum(not is_outdated(m) for m in self.machines)
        if len(self.machines) < most and new < BOXES:
            self.made += 1
            name = f"new-{self.made}"
            self.world.box(name, conditions=[], nodeRef={"name": name})
            self.world.workload.objects.pop(("Node", name))

    def ask(self) -> None:
        """It asks an old machine to go, as long as enough others are there; of GPUs it knows nothing."""
        joined = [m for m in self.machines if ("Node", m["metadata"]["name"]) in self.world.workload.objects]
        staying = [m for m in joined if not is_deleting(m)]
        least = BOXES if self.surge else BOXES - self.asked
        old = [m for m in staying if is_outdated(m)]
        if old and len(staying) > least and (self.surge or len(joined) - len(staying) < self.asked):
            self.world.delete(self.chance.choice(old)["metadata"]["name"])

    def join(self) -> None:
        """A new box joins: its GPUs come later."""
        coming = [m for m in self.machines if ("Node", m["metadata"]["name"]) not in self.world.workload.objects]
        if coming:
            machine = copy.deepcopy(self.chance.choice(coming))
            self.world.box(machine["metadata"]["name"], gpus=0, conditions=[])

    def offer(self) -> None:
        for (kind, _), obj in self.world.workload.objects.items():
            if kind == "Node" and self.chance.random() < 0.3:
                obj["status"]["allocatable"]["nvidia.com/gpu"] = "8"

    def end(self) -> None:
        """Some jobs end when they are told; one never does by itself."""
        for name in list(self.jobs()):
            if name != "job-0" and "drain-reason" in self.world.note(name) and self.chance.random() < 0.2:
                self.world.workload.objects.pop(("Pod", name))

    def drain(self) -> None:
        """Cluster API drains what it may, and the machine is gone."""
        for machine in self.machines:
            if is_deleting(machine) and not is_held(machine) and self.chance.random() < 0.5:
                name = machine["metadata"]["name"]
                self.world.workload.objects.pop(("Node", name), None)
                self.world.index.remove(machine)
                for job in self.jobs(name):
                    told = self.told_at.get(job)
                    if told is None or self.seconds - told < TIMEOUT:
                        self.hasty.append(job)
                    self.world.workload.objects.pop(("Pod", job))

    async def look(self) -> None:
        held = [m["metadata"]["name"] for m in self.machines if is_held(m)]
        if held:
            await self.world.look(self.chance.choice(held))
        for job in self.jobs():
            if "drain-reason" in self.world.note(job):
                self.told_at.setdefault(job, self.seconds)

    async def restart(self) -> None:
        if self.chance.random() < 0.1:
            self.world.start()

    # -- going on ---------------------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        return (self.world.time - self.begin).total_seconds()

    def jobs(self, node: str | None = None) -> list[str]:
        pods = [o for (kind, _), o in self.world.workload.objects.items() if kind == "Pod"]
        return [p["metadata"]["name"] for p in pods if node in (None, p["spec"]["nodeName"])]

    async def run(self) -> None:
        """Until all machines are new, or nobody gets on."""
        turns = (self.make, self.ask, self.join, self.offer, self.end, self.drain)
        for _ in range(STEPS):
            turn = self.chance.randrange(len(turns) + 2)
            if turn < len(turns):
                turns[turn]()
            else:
                await (self.look, self.restart)[turn - len(turns)]()
            self.world.time += self.world.time.resolution * self.chance.randrange(40 * 10**6)
            self.least = min(self.least, sum(self.works(m) for m in self.machines))
            self.together = max(self.together, len(self.machines))
            if self.over:
                return

    @property
    def over(self) -> bool:
        return len(self.machines) == BOXES and all(not is_outdated(m) and self.works(m) for m in self.machines)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("update", "asked", "out"), [({}, 1, 1), ({}, 3, 1), (2, 3, 2)])
async def test_never_more_boxes_are_out_than_the_pool_allows(
    seed: int, update: Object | int, asked: int, out: int
) -> None:
    """asked: so many the zones of a pool ask to go together, each for itself."""
    said = {"strategy": "NoSurge", "maxUnavailable": update} if isinstance(update, int) else update
    rolling = Rolling(seed, said, asked=asked)
    await rolling.run()
    assert rolling.over, "it does not come to its end"
    assert rolling.least >= BOXES - out
    assert rolling.hasty == []
    assert rolling.together == BOXES


@pytest.mark.parametrize("seed", SEEDS)
async def test_old_boxes_serve_until_all_new_ones_do(seed: int) -> None:
    rolling = Rolling(seed, {"strategy": "BlueGreen", "soakSeconds": 300}, surge=True)
    await rolling.run()
    assert rolling.over
    assert rolling.least == BOXES
    assert rolling.hasty == []
    assert rolling.together == 2 * BOXES

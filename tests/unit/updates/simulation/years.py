"""Random fleets: Releases that come and expire, Clusters with windows, exclusions and wishes of their own."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from kaas.api.versions import KubernetesVersion
from kaas.kube.objects import Object
from kaas.kube.times import stamp
from tests.unit.updates.chance import maintenance
from tests.unit.updates.simulation.world import World
from tests.unit.updates.subjects import NOW, raw_cluster, raw_release, raw_site

RULES = ("FREQ=WEEKLY;BYDAY=TU", "FREQ=WEEKLY;BYDAY=SA,SU", "FREQ=MONTHLY;BYDAY=-1FR", "FREQ=DAILY")
ROLLOUTS = 0.3
CARRIED: tuple[Object, ...] = (
    {},
    {"updates": ["Kubernetes", "NodeImages", "ClassRevision"]},
    {"updates": ["NodeImages", "ClassRevision"]},
    {"updates": ["Kubernetes", "ClassRevision"]},
)
"""What a Rollout of all Clusters decides about."""
MINORS = (34, 35, 36, 37)


def a_fleet(random: Random, clusters: int) -> World:
    """Some Clusters, half of whose Releases are there from the beginning."""
    world = World(raw_site(), random=random)
    raw = _releases(random)
    for obj in raw:
        if random.random() < 0.5:
            world.put(obj)
        else:
            date = datetime.fromisoformat(obj["spec"]["channels"]["rapid"]) - timedelta(days=random.randint(0, 20))
            world.call(max(date, NOW), partial(world.release, obj))
    for number in range(random.randint(0, 3)):
        world.call(NOW + timedelta(days=random.randint(1, 290)), partial(world.revise, f"class-{number + 2}"))
    known = sorted(KubernetesVersion.parse(r.spec.version) for r in world.releases())
    for number in range(clusters):
        running = random.choice(known)
        world.add(_cluster(random, number, running), str(running))
    if random.random() < ROLLOUTS:
        stages = [{"name": "first", "selector": {"matchLabels": {"stage": "first"}}, "soakSeconds": 3600}]
        channel = random.choice(("Rapid", "Regular", "Stable"))
        spec = {"channel": channel, "stages": [*stages, {"name": "rest", "maxFailures": 1}]}
        world.roll_out("fleet", spec | random.choice(CARRIED))
    return world


def _releases(random: Random) -> list[Object]:
    found = []
    for minor in MINORS:
        date = NOW + timedelta(days=random.randint(-300, 150))
        for patch in range(random.randint(1, 6)):
            rapid = date
            regular = rapid + timedelta(days=random.randint(0, 20))
            stable = regular + timedelta(days=random.randint(0, 40))
            raw = raw_release(f"v1.{minor}.{patch}", None)
            raw["spec"]["channels"] = {"rapid": stamp(rapid), "regular": stamp(regular), "stable": stamp(stable)}
            ends = stable + timedelta(days=random.randint(30, 300))
            if random.random() < 0.3:
                raw["spec"]["expires"] = stamp(ends)
            found.append(raw)
            if random.random() < 0.3:
                found.append(_image(raw, rapid + timedelta(days=random.randint(1, 30))))
            date += timedelta(days=random.randint(15, 60))
    return found


def _image(release: Object, rapid: datetime) -> Object:
    """The same version with a newer node image."""
    name = f"{release['metadata']['name']}-2"
    channels = {
        "rapid": stamp(rapid),
        "regular": stamp(rapid + timedelta(days=9)),
        "stable": stamp(rapid + timedelta(days=30)),
    }
    spec = {**release["spec"], "channels": channels, "image": f"ubuntu-{name}"}
    spec.pop("expires", None)
    return {**release, "metadata": {"name": name}, "spec": spec}


def _cluster(random: Random, number: int, running: KubernetesVersion) -> Object:
    pinned = random.random() < 0.2
    kubernetes = random.choice(("Patch", "None") if pinned else ("Patch", "Minor", "Minor", "Minor"))
    updates: dict[str, Any] = {"channel": random.choice(("Rapid", "Regular", "Stable")), "kubernetes": kubernetes}
    asked = str(running) if pinned else f"1.{running.minor}"
    raw = raw_cluster(
        asked, name=f"c-{number}", updates=updates, maintenance=maintenance(random, RULES, most=3, days=280, longest=60)
    )
    raw["metadata"] |= {"uid": f"{random.getrandbits(64):016x}", "labels": {"stage": random.choice(("first", "rest"))}}
    raw["spec"]["controlPlane"]["replicas"] = random.choice((1, 3))
    pools = random.sample(("cpu", "big", "dgx"), random.randint(0, 3))
    raw["spec"]["nodePools"] = [_pool(random, name) for name in pools]
    raw["status"] = None
    return raw


def _pool(random: Random, name: str) -> Object:
    update: Object = {"order": random.randint(0, 2)}
    if random.random() < 0.2:
        update["strategy"] = "Manual"
    return {"name": name, "flavor": "cpu-4", "replicas": random.randint(0, 4), "update": update}

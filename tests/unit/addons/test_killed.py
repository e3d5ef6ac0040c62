"""A controller that is killed at any write: the next one ends with exactly what is to be there, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from kaas.addons.inventory import from_object
from kaas.kube import resources
from kaas.kube.objects import Object
from tests.unit.addons.server import Killed
from tests.unit.addons.world import World, raw_addon, thing, update_to

OLD: list[Object] = [
    thing("monitoring", "Namespace"),
    thing("settings", data={"a": "1"}),
    thing("exporter", "DaemonSet", spec={"old": True}),
    thing("gone"),
    thing("gone-too", "Deployment"),
]
NEW: list[Object] = [
    thing("monitoring", "Namespace"),
    thing("settings", data={"a": "2"}),
    thing("exporter", "DaemonSet", spec={"old": False}),
    thing("fresh"),
]
NEWEST: list[Object] = [thing("monitoring", "Namespace"), thing("fresh"), thing("newest")]
CONTENT = {"v1_0_0": OLD, "v2_0_0": NEW, "v3_0_0": NEWEST}
OTHERS = {"ConfigMap/theirs"}


def names(objects: list[Object]) -> set[str]:
    return {f"{o['kind']}/{o['metadata']['name']}" for o in objects}


def world(*versions: str) -> World:
    found = World()
    found.server.put(thing("theirs"))
    content = {f"v{v.replace('.', '_')}": CONTENT[f"v{v.replace('.', '_')}"] for v in versions}
    found.addon(raw_addon("exporter", *versions), **content)
    return found


def expect(found: World, version: str | None) -> None:
    """Exactly that version is there."""
    if version is None:
        assert found.server.names == OTHERS
        assert found.entries == {}
        return
    objects = CONTENT[f"v{version.replace('.', '_')}"]
    assert found.server.names == names(objects) | OTHERS | {"ConfigMap/kaas-add-on-exporter"}
    for obj in objects:
        there = found.server.found(obj["kind"], obj["metadata"]["name"])
        assert {k: there.get(k) for k in ("data", "spec")} == {k: obj.get(k) for k in ("data", "spec")}
    inventory = from_object(found.server.found("ConfigMap", "kaas-add-on-exporter"))
    assert {f"{ref.kind}/{ref.name}" for ref in inventory.refs} == names(objects)
    assert inventory.version == version
    entry = found.entries["exporter"]
    assert (entry["version"], entry.get("wanted"), entry["digest"]) == (version, None, inventory.digest)


async def installs() -> tuple[World, str | None]:
    return world("1.0.0"), "1.0.0"


async def updates() -> tuple[World, str | None]:
    found = world("1.0.0")
    await found.settle()
    found.addon(raw_addon("exporter", "1.0.0", "2.0.0"), v2_0_0=NEW)
    found.update(update_to("exporter", "1.0.0", "2.0.0", "Running"))
    return found, "2.0.0"


async def goes_back() -> tuple[World, str | None]:
    found, _ = await updates()
    await found.settle()
    back = [{"what": "AddOn", "addOn": "exporter", "from": "2.0.0", "to": "1.0.0", "since": "2026-01-01T00:00:00Z"}]
    stopped = {"since": "2026-01-01T00:00:00Z", "step": "Verification", "reason": "x", "message": "y"}
    found.update(update_to("exporter", "1.0.0", "2.0.0", "Done", stopped=stopped, rolledBack=back))
    return found, "1.0.0"


async def goes_out() -> tuple[World, str | None]:
    found = world("1.0.0")
    await found.settle()
    found.unput(resources.ADDON, None, "exporter")
    return found, None


async def is_deselected() -> tuple[World, str | None]:
    found = world("1.0.0")
    await found.settle()
    found.put(raw_addon("exporter", "1.0.0", clusters={"matchLabels": {"tier": "test"}}))
    return found, None


SCENES = [installs, updates, goes_back, goes_out, is_deselected]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("scene", SCENES)
async def test_whoever_is_killed_at_a_write_is_followed_by_one_who_ends_the_same(
    scene: Callable[[], Awaitable[tuple[World, str | None]]], before: bool
) -> None:
    at, killed = 0, True
    while killed:
        at += 1
        found, version = await scene()
        killed = await found.settle_killed(at, before=before)
        expect(found, version)
    assert at > 5


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
async def test_another_version_is_wanted_by_the_time_that_the_next_one_looks(before: bool) -> None:
    """Of the one in the middle, of which the first was killed, nothing stays."""
    at, killed = 0, True
    while killed:
        at += 1
        found, _ = await updates()
        await found.examine()
        found.writes.count, found.writes.at, found.writes.before = 0, at, before
        try:
            await found.settle()
            killed = False
        except Killed:
            killed = True
        found.writes.at = -1
        found.addon(raw_addon("exporter", "1.0.0", "2.0.0", "3.0.0"), v3_0_0=NEWEST)
        has = found.entries["exporter"]["version"]
        found.update(update_to("exporter", has, "3.0.0", "Running"))
        found.start()
        await found.settle()
        expect(found, "3.0.0")
    assert at > 5


async def test_nothing_is_written_when_all_is_as_it_is_to_be() -> None:
    found = world("1.0.0")
    await found.settle()
    await found.examine()
    made = found.writes.count
    calls = found.server.calls
    for _ in range(5):
        await found.look()
    found.start()
    await found.examine()
    await found.look()
    assert (found.writes.count, found.server.calls) == (made, calls)

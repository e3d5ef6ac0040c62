"""What is written and told as time goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from kaas.api.constants import UPDATES_MANAGER
from kaas.kube import resources
from tests.unit.updates.office import KEY, World, release
from tests.unit.updates.subjects import READY, at

OPEN = at("2027-01-05 22:00")


@pytest.fixture(name="world")
def new_world() -> World:
    world = World()
    world.releases(release("v1.36.1"), release("v1.36.3"))
    return world


async def test_announced_begun_and_done(world: World) -> None:
    assert await world.look() == 3600.0  # an hour at the longest
    assert world.told() == ["UpdateAnnounced"]
    assert world.update["version"] == "v1.36.3"
    assert world.update["nextTime"] == "2027-01-05T22:00:00Z"
    assert world.update["nextMaintenance"] == {"start": "2027-01-05T22:00:00Z", "end": "2027-01-06T02:00:00Z"}
    assert "target" not in world.update
    assert (world.condition["status"], world.condition["reason"]) == ("False", "OutsideMaintenance")

    world.clock.time = OPEN
    await world.look()
    assert world.told() == ["UpdateBegun"]
    assert (world.update["target"], world.update["began"]) == ("v1.36.3", "2027-01-05T22:00:00Z")
    assert (world.condition["status"], world.condition["reason"]) == ("False", "Updating")

    world.clock.time += timedelta(hours=1)
    await world.look()
    assert (world.update["target"], world.condition["reason"]) == ("v1.36.3", "Updating")
    world.machines("v1.36.3")
    await world.settle()
    assert world.told() == ["Updated"]
    assert (world.condition["status"], world.condition["reason"]) == ("True", "UpToDate")
    assert world.update["target"] == "v1.36.3"  # whoever follows it must not go back
    assert "version" not in world.update


async def test_who_opts_out_and_in_again_waits_for_the_window(world: World) -> None:
    world.clock.time = OPEN - timedelta(hours=1)
    await world.look()
    world.spec(updates={"channel": "None"})
    await world.look()
    assert (world.update["reason"], "version" in world.update) == ("ChannelNone", False)
    world.clock.time += timedelta(hours=6)
    world.spec(updates={})
    await world.look()
    assert "target" not in world.update
    assert world.update["nextTime"] == "2027-01-12T22:00:00Z"


async def test_the_same_is_written_and_told_once(world: World) -> None:
    for _ in range(3):
        await world.look()
    world.start()
    await world.look()
    assert len(world.writes) == 1
    assert world.writes[0][0] == UPDATES_MANAGER
    assert set(world.writes[0][1]) == {"update", "conditions"}
    assert world.told() == ["UpdateAnnounced"]


async def test_what_was_said_counts_before_the_watch_shows_it(world: World) -> None:
    world.blind = True
    world.clock.time = OPEN
    await world.look()
    world.clock.time += timedelta(seconds=1)
    await world.look()
    assert world.told() == ["UpdateBegun"]
    assert {status["update"]["began"] for _, status in world.writes} == {"2027-01-05T22:00:00Z"}


async def test_held_is_told_when_it_begins(world: World) -> None:
    world.clock.time = OPEN
    world.change(conditions=[])
    await world.look()
    await world.look()
    assert world.told() == ["UpdateHeld"]
    assert "target" not in world.update
    assert world.condition["reason"] == "NotReady"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("windows: [", "annotation kaas.internal/maintenance"),
        ("- FREQ=DAILY", "it must be YAML with windows"),
        ("windows: [{recurrence: FREQ=HOURLY, start: '22:00', durationMinutes: 60, timeZone: UTC}]", "FREQ=DAILY"),
        ("windows: [{recurrence: FREQ=DAILY, start: '22:00', durationMinutes: 5, timeZone: UTC}]", "durationMinutes"),
        ("window: []", "window"),
    ],
)
async def test_maintenance_of_the_namespace_that_cannot_be_read(world: World, said: str, words: str) -> None:
    world.namespace(said)
    world.clock.time = OPEN
    await world.look()
    assert (world.condition["status"], world.condition["reason"]) == ("False", "MaintenanceInvalid")
    assert words in world.condition["message"]
    assert "target" not in world.update
    assert world.events[0][:2] == ("UpdateHeld", "Warning")


async def test_maintenance_of_the_namespace_counts(world: World) -> None:
    world.spec(maintenance={})
    world.namespace("windows: [{recurrence: FREQ=WEEKLY;BYDAY=WE, start: '01:00', durationMinutes: 60, timeZone: UTC}]")
    await world.look()
    assert world.update["nextTime"] == "2027-01-06T01:00:00Z"


async def test_a_window_that_is_never_long_enough(world: World) -> None:
    gpus = {"model": "A100", "count": 8}
    site = world.index.get(resources.SITE, None, "north")
    assert site is not None
    world.put({**site, "spec": {**site["spec"], "flavors": [{"name": "dgx", "gpu": gpus}, {"name": "cpu-2"}]}})
    world.spec(nodePools=[{"name": "dgx", "flavor": "dgx", "gpu": {"drainTimeoutSeconds": 40000}}])
    await world.look()
    assert world.condition["reason"] == "MaintenanceInvalid"
    assert "667 min" in world.condition["message"]


TOO_SHORT = {"recurrence": "FREQ=WEEKLY;BYDAY=TU", "start": "22:00", "durationMinutes": 30, "timeZone": "UTC"}


def too_short(world: World) -> None:
    slow = {"name": "cpu", "flavor": "cpu-4", "update": {"drainTimeoutSeconds": 3600}}
    world.spec(maintenance={"windows": [TOO_SHORT]}, nodePools=[slow])


def unreadable(world: World) -> None:
    world.namespace("windows: [oops]")


@pytest.mark.parametrize("broken", [too_short, unreadable])
async def test_what_has_expired_is_left_also_when_maintenance_is_wrong(broken: Callable[[World], None]) -> None:
    world = World()
    world.releases(release("v1.36.1", expires="2027-03-01"), release("v1.36.3"))
    world.spec(version="v1.36.1")
    broken(world)
    while not world.update or "began" not in world.update:
        assert world.clock.time < at("2027-03-09 00:00")
        await world.look()
        if "began" not in world.update:
            assert world.update["reason"] == "MaintenanceInvalid"
        world.clock.time += timedelta(hours=6)
    assert world.update["began"] == "2027-03-08T00:00:00Z"  # seven days after its end, without a window
    assert (world.update["reason"], world.update["target"]) == ("Expired", "v1.36.3")
    assert "maintenance" in world.condition["message"]
    world.machines("v1.36.3", {"cpu": "v1.36.1"})
    await world.settle(4)
    assert world.step("Pool/cpu")["state"] == "Running"


@pytest.mark.parametrize("broken", [too_short, unreadable])
async def test_certificates_are_renewed_also_when_maintenance_is_wrong(broken: Callable[[World], None]) -> None:
    world = World()
    world.releases(release("v1.36.1"), release("v1.36.3"))
    broken(world)
    world.change(controlPlane={"replicas": 1, "ready": 1, "upToDate": 1, "certificatesEnd": "2027-03-16T12:00:00Z"})
    world.clock.time = at("2027-03-01 11:00")
    await world.look()
    assert (world.update["reason"], world.update["nextTime"]) == ("MaintenanceInvalid", "2027-03-01T12:00:00Z")
    assert "the renewal of certificates is begun 2027-03-01 12:00 UTC all the same" in world.update["message"]
    world.change(conditions=[])
    world.clock.time = at("2027-03-01 12:00")  # 15 days before they end
    await world.look()
    assert world.update["reason"] == "NotReady"  # that is what it waits for now, and no window
    world.change(conditions=[READY])
    await world.look()
    assert (world.update["reason"], world.update["changes"]) == ("CertificatesEnd", ["Certificates"])
    assert "maintenance" in world.condition["message"]


async def test_the_end_of_a_version_is_announced_three_times() -> None:
    world = World()
    world.releases(release("v1.36.1", expires="2027-03-01"), release("v1.36.3"))
    world.spec(version="v1.36.1")
    await world.until(at("2027-03-08 00:00"))
    assert [(r, t) for r, t, _ in world.events] == [
        ("VersionExpires", "Warning"),
        ("VersionExpires", "Warning"),
        ("VersionExpires", "Warning"),
        ("UpdateAnnounced", "Warning"),
        ("UpdateBegun", "Normal"),
        ("UpdateStopped", "Warning"),  # nobody moves its machines
    ]
    days = [message.split("updated ")[1].split(",")[0] for r, _, message in world.events if r == "VersionExpires"]
    assert days == ["in 30 days", "in 7 days", "in 1 day"]
    assert world.update["target"] == "v1.36.3"
    assert world.update["began"] == "2027-03-02T22:00:00Z"


async def test_announcements_are_not_said_again_by_another_controller() -> None:
    world = World()
    world.releases(release("v1.36.1", expires="2027-02-01"), release("v1.36.3"))
    world.spec(version="v1.36.1")
    await world.until(at("2027-01-20 00:00"))
    world.start()
    await world.until(at("2027-01-24 00:00"))
    assert world.told().count("VersionExpires") == 1


async def test_a_cluster_that_is_gone_is_forgotten(world: World) -> None:
    await world.look()
    assert world.registry.get_sample_value("kaas_update_waiting", {"reason": "OutsideMaintenance"}) == 1.0
    assert world.registry.get_sample_value("kaas_update_clusters", {"state": "Waiting"}) == 1.0
    world.index.remove(world.cluster)
    assert await world.look() is None
    assert world.registry.get_sample_value("kaas_update_clusters", {"state": "Waiting"}) == 0.0


async def test_figures_tell_when_the_next_update_begins_until_it_has(world: World) -> None:
    of = {"namespace": KEY[0], "cluster": KEY[1]}
    await world.look()
    begins = at(world.update["nextTime"].removesuffix(":00Z").replace("T", " "))
    assert world.registry.get_sample_value("kaas_update_next_timestamp_seconds", of) == begins.timestamp()
    await world.until(begins + timedelta(minutes=5))
    assert world.update["target"]
    assert world.registry.get_sample_value("kaas_update_next_timestamp_seconds", of) is None


async def test_without_its_site_that_is_said_and_nothing_is_begun(world: World) -> None:
    world.spec(site="south")
    world.clock.time = OPEN
    assert await world.look() == 3600.0
    assert await world.look() == 3600.0
    assert (world.condition["status"], world.condition["reason"]) == ("Unknown", "SiteMissing")
    assert "there is no Site south" in world.update["message"]
    assert (world.told(), "target" in world.update) == (["UpdateHeld"], False)
    waiting = world.registry.get_sample_value("kaas_update_waiting", {"reason": "SiteMissing"})
    assert waiting == 1.0


async def test_the_key_is_the_name_of_a_cluster(world: World) -> None:
    assert KEY == ("tenants", "team")
    world.put({**world.cluster, "metadata": {**world.cluster["metadata"], "deletionTimestamp": "2027-01-01T00:00:00Z"}})
    assert await world.look() is None


async def test_a_window_that_closes_in_the_middle_holds_the_pools_that_have_not_begun(world: World) -> None:
    world.spec(nodePools=[{"name": "cpu", "flavor": "cpu-4"}, {"name": "dgx", "flavor": "cpu-4"}])
    world.machines("v1.36.1", {"cpu": "v1.36.1", "dgx": "v1.36.1"})
    world.clock.time = OPEN
    await world.look()
    assert world.told() == ["UpdateBegun"]
    assert world.update["waiting"] == ["cpu", "dgx"]
    world.clock.time += timedelta(minutes=30)
    world.machines("v1.36.3", {"cpu": "v1.36.3", "dgx": "v1.36.1"})
    await world.settle()
    assert "hold" not in world.update
    assert (world.step("Pool/cpu")["state"], world.step("Pool/dgx")["state"]) == ("Done", "Running")
    world.told()

    world.clock.time = OPEN + timedelta(hours=3, minutes=46)  # too little is left of the window for a machine
    await world.look()
    assert world.told() == ["UpdateHeld"]
    hold = world.update["hold"]
    assert (hold["since"], hold["until"]) == ("2027-01-06T01:46:00Z", "2027-01-12T22:00:00Z")
    assert "pool dgx waits until 2027-01-12 22:00 UTC" in hold["message"]
    assert world.update["waiting"] == ["dgx"]
    world.clock.time += timedelta(days=1)
    await world.look()
    assert (world.told(), world.update["hold"]) == ([], hold)

    world.clock.time = OPEN + timedelta(days=7)
    await world.look()
    assert ("hold" in world.update, "waiting" in world.update) == (False, False)
    world.machines("v1.36.3", {"cpu": "v1.36.3", "dgx": "v1.36.3"})
    await world.settle()
    assert world.step("Finished")["state"] == "Done"
    assert "Updated" in world.told()


async def test_what_a_person_asks_for_is_held_by_no_window(world: World) -> None:
    world.spec(version="v1.36.3")
    world.machines("v1.36.3", {"cpu": "v1.36.1"})
    await world.look()
    assert "hold" not in world.update
    assert "steps" not in world.update

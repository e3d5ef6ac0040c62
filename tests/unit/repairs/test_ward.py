"""What is known in memory: it follows the looks, and forgets what is gone."""

from __future__ import annotations

from kaas.repairs.facts import ServerView
from kaas.repairs.settings import FleetSettings
from kaas.repairs.ward import Ward, changed_servers
from tests.unit.repairs.fake_fleet import KEY, Fleet


async def test_the_same_look_twice_is_no_news() -> None:
    fleet = Fleet()
    fleet.kubelet("m-1", "Unknown")
    await fleet.run(30)
    observed = fleet.ward.observed(KEY)
    assert observed is not None
    assert not fleet.ward.put(observed)
    assert fleet.ward.has_patients(KEY)
    assert fleet.ward.forget(KEY)
    assert not fleet.ward.forget(KEY)
    assert not fleet.ward.has_patients(KEY)


async def test_a_server_that_changes_concerns_the_cluster_that_it_belongs_to() -> None:
    fleet = Fleet()
    await fleet.run(30)
    observed = fleet.ward.observed(KEY)
    assert observed is not None
    assert observed.servers
    assert fleet.ward.clusters_with(set(observed.servers)) == [KEY]
    assert fleet.ward.clusters_with({"another"}) == []


def test_servers_that_came_went_or_are_otherwise_have_changed() -> None:
    before = {
        "gone": ServerView("gone", "ACTIVE"),
        "same": ServerView("same", "ACTIVE"),
        "ill": ServerView("ill", "ACTIVE"),
    }
    after = {"same": ServerView("same", "ACTIVE"), "ill": ServerView("ill", "ERROR"), "new": ServerView("new", "BUILD")}
    assert changed_servers(before, after) == {"gone", "ill", "new"}
    assert not changed_servers(after, after)


async def test_what_came_of_a_step_of_a_node_that_is_forgotten_is_dropped() -> None:
    fleet = Fleet(helps="nothing")
    fleet.kubelet("m-1", "Unknown")
    await fleet.run(400)
    ((node, treatment),) = fleet.ward.treatments.items()
    fleet.ward.forget(KEY)
    fleet.ward.note(node, treatment.progress)
    assert fleet.ward.treatments == {}


def test_node_repairs_that_are_gone_are_forgotten() -> None:
    ward = Ward(FleetSettings())
    for node, repair in ((("a", "m"), "1"), (("a", "n"), "2"), (("b", "m"), "3")):
        ward.close(node, repair)
    ward.forget_closed("a", {"2"})
    assert ward.closed == {("a", "n"): "2", ("b", "m"): "3"}

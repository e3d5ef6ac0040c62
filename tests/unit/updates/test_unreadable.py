"""A Release, Rollout or Site that cannot be read, or a Site that is gone: the others go on, and nothing is guessed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kaas.api.cluster import Cluster
from kaas.api.constants import API_VERSION
from kaas.api.parsed import Parsed, Unreadable
from kaas.api.release import Release
from kaas.cli.explain_view import Asked, explained
from kaas.cli.updating import CurrentTurns
from kaas.kube import resources
from kaas.updates.explain.facts import State
from kaas.updates.planner import plan
from kaas.updates.subject import Subject
from kaas.updates.unread import unread_releases
from tests.unit.updates.explaining import OPEN, a_world, subject
from tests.unit.updates.office import World, release
from tests.unit.updates.subjects import Object, raw_cluster, raw_site, site


def broken(text: str, name: str = "bad", **spec: Any) -> Object:
    """A Release with a field that this version does not know."""
    raw = release(text)
    return {**raw, "metadata": {"name": name}, "spec": {**raw["spec"], "frobs": 1, **spec}}


@pytest.fixture(name="world")
def new_world() -> World:
    world = a_world()
    world.machines("v1.36.1")
    world.clock.time = OPEN
    return world


def metric(world: World, kind: str, name: str) -> float | None:
    return world.registry.get_sample_value("kaas_update_unreadable", {"kind": kind, "name": name})


# --- what can be read -----------------------------------------------------------------------------------------------


def test_what_a_model_or_a_rule_refuses_is_named_with_the_way_out() -> None:
    parsed, good = Parsed(), release("v1.36.1")
    found, unread = parsed.all_sound(Release, [broken("v1.36.3"), good, broken("v1.36.9", "worse", version="1.36")])
    assert [r.spec.version for r in found] == ["v1.36.1"]
    assert [u.name for u in unread] == ["bad", "worse"]
    assert "Release bad cannot be read: spec.frobs: is not a field: remove it" in str(unread[0])


def test_a_rule_of_the_api_server_counts_too_and_is_looked_at_once() -> None:
    raw = release("v1.36.1")
    raw["metadata"]["resourceVersion"] = "7"
    raw["spec"]["version"] = "latest"
    parsed, found = Parsed(), []
    for _ in range(2):
        with pytest.raises(Unreadable, match="must be an exact Kubernetes version") as caught:
            parsed.sound(Release, raw)
        found.append(caught.value)
    assert found[0] is found[1]


# --- a Release -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["v1.36.1", "v1.36.3", "v1.36.4", 7, "newest"])
async def test_a_release_that_may_be_about_the_cluster_holds_it(world: World, text: Any) -> None:
    world.put(broken("v1.36.4", version=text))
    await world.look()
    await world.look()
    assert ("target" in world.update, world.update["reason"]) == (False, "ReleaseUnreadable")
    assert "Release bad cannot be read" in world.condition["message"]
    assert world.condition["status"] == "Unknown"
    assert [e[0] for e in world.events].count("Unreadable") == 1
    assert metric(world, "Release", "bad") == 1.0
    world.put(release("v1.36.4") | {"metadata": {"name": "bad"}})
    await world.look()
    assert (world.update["target"], metric(world, "Release", "bad")) == ("v1.36.4", None)


@pytest.mark.parametrize("text", ["v1.36.0", "v1.35.9", "v1.37.0", "v1.38.2"])
async def test_one_of_another_version_does_not(world: World, text: str) -> None:
    world.put(broken(text))
    await world.look()
    assert world.update["target"] == "v1.36.3"
    assert metric(world, "Release", "bad") == 1.0


async def test_who_follows_minors_is_concerned_by_the_next_one(world: World) -> None:
    world.spec(updates={"kubernetes": "Minor"})
    world.put(broken("v1.37.0"))
    await world.look()
    assert world.update["reason"] == "ReleaseUnreadable"


async def test_it_is_not_said_to_be_up_to_date(world: World) -> None:
    world.machines("v1.36.3")
    world.put(broken("v1.36.4"))
    await world.look()
    assert (world.condition["status"], world.condition["reason"]) == ("Unknown", "ReleaseUnreadable")


async def test_what_is_under_way_goes_on(world: World) -> None:
    await world.look()
    assert world.update["target"] == "v1.36.3"
    world.put(broken("v1.36.3", "v1.36.3"))
    world.machines("v1.36.3")
    await world.settle()
    assert world.step("Finished")["state"] == "Done"


def test_certificates_and_class_revisions_need_no_release(world: World) -> None:
    masters = {"replicas": 1, "ready": 1, "upToDate": 1, "certificatesEnd": "2027-02-01T00:00:00Z"}
    world.change(controlPlane=masters)
    about, _ = subject(world)
    unread = unread_releases([Unreadable(broken("v1.36.4"), ["wrong"])])
    found = plan(
        Subject.of(about.cluster, about.running, about.catalogue.releases, about.site, about.calendar, unread=unread),
        OPEN,
    )
    assert found.target is not None
    assert found.aims is not None
    assert (str(found.target), [*map(str, found.aims.changes)]) == ("v1.36.1", ["Certificates"])


def test_what_has_expired_is_not_left_for_something_unknown(world: World) -> None:
    world.put(release("v1.36.1", expires="2026-11-01"))
    about, _ = subject(world)
    unread = unread_releases([Unreadable(broken("v1.36.4"), ["wrong"])])
    again = Subject.of(
        about.cluster, about.running, about.catalogue.releases, about.site, about.calendar, unread=unread
    )
    assert plan(again, OPEN + timedelta(days=90)).reason == "ReleaseUnreadable"


# --- a Rollout -------------------------------------------------------------------------------------------------------


def rollout(name: str = "bad", created: str = "2027-01-02T00:00:00Z", **spec: Any) -> Object:
    stages = [{"name": "all", "selector": {"names": ["tenants/team"]}}]
    meta = {"name": name, "creationTimestamp": created}
    return {"apiVersion": API_VERSION, "kind": "Rollout", "metadata": meta, "spec": {"stages": stages, **spec}}


OF_TEAM, OF_OTHERS = (
    [{"name": "all", "selector": {"names": ["tenants/team"]}}],
    [{"name": "all", "selector": {"names": ["tenants/x"]}}],
)
PAST_READING: dict[str, Any] = {"version": "v1.36.3", "frobs": 1}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (rollout(**PAST_READING), "RolloutUnreadable"),  # it may be about any Cluster
        ({**rollout(version="v1.36.3"), "status": {"stages": 7}}, "RolloutUnreadable"),
        ({**rollout(version="v1.36.3", stages=OF_OTHERS), "status": {"stages": 7}}, None),
    ],
)
async def test_a_rollout_that_cannot_be_read_holds_whom_it_may_be_about(
    world: World, raw: Object, reason: str | None
) -> None:
    world.put(raw)
    turns = CurrentTurns(world.index, Parsed())
    turn = turns.of(Cluster.model_validate(world.cluster), OPEN).kubernetes
    assert (turn and (turn.reason, turn.allowed)) == (reason and (reason, False))


async def test_an_older_one_that_can_be_read_decides(world: World) -> None:
    world.put(rollout(**PAST_READING))
    world.put(rollout("good", "2027-01-01T00:00:00Z", version="v1.36.3"))
    turn = CurrentTurns(world.index, Parsed()).of(Cluster.model_validate(world.cluster), OPEN).kubernetes
    assert turn is not None
    assert turn.rollout == "good"


def test_who_takes_no_version_is_not_held() -> None:
    cluster = Cluster.model_validate(raw_cluster("v1.36.1"))
    world = World()
    world.put(rollout(**PAST_READING))
    assert not CurrentTurns(world.index, Parsed()).of(cluster, OPEN)


def test_explain_names_it_and_what_can_be_done() -> None:
    cluster = Cluster.model_validate(raw_cluster(status={"update": {"reason": "RolloutPending", "message": "…"}}))
    releases = [Release.model_validate(release(t)) for t in ("v1.36.1", "v1.36.3")]
    _, unread = Parsed().all_sound(Release, [broken("v1.36.4")])
    wave = Unreadable(rollout(**PAST_READING), ["spec.frobs: is not a field"])
    by_rollout = explained(Asked(cluster, site(), None, releases, [], [wave]), OPEN)
    assert (by_rollout.state, by_rollout.reason) == (State.BLOCKED, "RolloutPending")
    assert "kubectl edit rollouts.kaas.internal bad" in [w.command for w in by_rollout.ways]
    by_release = explained(Asked(cluster, site(), None, releases, [], unread), OPEN)
    assert (by_release.state, by_release.reason) == (State.BLOCKED, "ReleaseUnreadable")
    assert "kubectl edit releases.kaas.internal bad" in [w.command for w in by_release.ways]


# --- a Site ----------------------------------------------------------------------------------------------------------


def gone(world: World) -> None:
    found = world.index.get(resources.SITE, None, "north")
    assert found is not None
    world.index.remove(found)


@pytest.mark.parametrize("reason", ["SiteMissing", "SiteUnreadable"])
async def test_in_the_middle_of_an_update_it_holds_says_why_and_goes_on(world: World, reason: str) -> None:
    await world.look()
    world.told()
    if reason == "SiteMissing":
        gone(world)
    else:
        world.put(raw_site(frobs=1))
    calls = len(world.checks.calls)
    for _ in range(3):
        world.clock.time += timedelta(hours=1)
        world.machines("v1.36.3", {"cpu": "v1.36.1"})
        assert await world.look() == 3600.0
    assert [r for r in world.told() if r != "Unreadable"] == ["UpdateHeld"]
    assert (world.update["target"], world.update["reason"]) == ("v1.36.3", reason)
    assert "no further step is begun" in world.update["hold"]["message"]
    assert world.update["waiting"] == ["cpu"]
    assert len(world.checks.calls) == calls
    assert world.condition["status"] == "Unknown"
    world.clock.time = OPEN + timedelta(hours=1)
    world.put(raw_site())
    await world.look()
    assert ("hold" in world.update, world.update["reason"]) == (False, "Updating")
    world.machines("v1.36.3")
    await world.settle()
    assert (world.step("Finished")["state"], metric(world, "Site", "north")) == ("Done", None)

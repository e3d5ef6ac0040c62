"""The parts of Rollouts: selectors, acts, what Clusters show, turns, whom they wake, what metrics say, new versions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from kaas.api.cluster import Cluster
from kaas.api.rollout import ANNOTATION_ROLLOUT_SKIP, ClusterSelector
from kaas.api.rollout_acts import Act, Acts, with_act
from kaas.api.rollout_status import Counts, RolloutMember, RolloutStatus, StageStatus, State
from kaas.api.shares import is_percent, rounded_down, rounded_up
from kaas.api.site import Site, SiteMetrics
from kaas.api.updates import Updates
from kaas.api.versions import KubernetesVersion
from kaas.updates.rollouts.member import Member, Target
from kaas.updates.rollouts.metering import FRESH, Meter
from kaas.updates.rollouts.metrics import RolloutMetrics
from kaas.updates.rollouts.newest import newest, next_date, unfit_release
from kaas.updates.rollouts.scene import Answer, Ask
from kaas.updates.rollouts.selection import selects
from kaas.updates.rollouts.turns import Turns, by_age, ruling_of
from kaas.updates.rollouts.watched import Wakes, concern_of_cluster, concern_of_rollout
from kaas.updates.verify.promql import QueryFailed
from tests.unit.updates.rollouts.fleet import NEW, NOW, FakeCluster, Fleet, clusters, rollout, stage
from tests.unit.updates.subjects import raw_cluster, raw_site, release

ONE = FakeCluster("one", {"stage": "prod", "tier": "gold"}, site="south").member(NOW)
UPDATE: dict[str, Any] = {"reason": "RolloutPending", "message": "Rollout fleet says"}


# --- selectors and numbers ----------------------------------------------------------------------------------------


def requirement(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "holds"),
    [
        ({}, True),
        ({"namespaces": ["team"]}, True),
        ({"namespaces": ["other"]}, False),
        ({"names": ["team/one", "x/y"]}, True),
        ({"names": ["other/one"]}, False),
        ({"sites": ["north", "south"]}, True),
        ({"sites": ["north"]}, False),
        ({"matchLabels": {"stage": "prod", "tier": "gold"}}, True),
        ({"matchLabels": {"stage": "prod", "tier": "tin"}}, False),
        (requirement("stage", "In", "prod", "test"), True),
        (requirement("stage", "In", "test"), False),
        (requirement("stage", "NotIn", "test"), True),
        (requirement("none", "NotIn", "test"), True),
        (requirement("stage", "NotIn", "prod"), False),
        (requirement("tier", "Exists"), True),
        (requirement("none", "Exists"), False),
        (requirement("none", "DoesNotExist"), True),
        (requirement("tier", "DoesNotExist"), False),
        ({"namespaces": ["team"], "sites": ["north"]}, False),
    ],
)
def test_all_that_a_selector_says_must_hold(selector: dict[str, Any], holds: bool) -> None:
    assert selects(ClusterSelector.model_validate(selector), ONE) is holds


@pytest.mark.parametrize(
    ("value", "whole", "down", "up"),
    [(3, 10, 3, 3), ("35%", 10, 3, 4), ("5%", 10, 1, 1), ("0%", 10, 1, 0), ("100%", 7, 7, 7), ("50%", 0, 1, 0)],
)
def test_percentages_are_rounded(value: int | str, whole: int, down: int, up: int) -> None:
    assert (rounded_down(value, whole), rounded_up(value, whole)) == (down, up)


def test_percentages_are_whole_numbers_from_none_to_all() -> None:
    assert [t for t in ("0%", "7%", "100%", "101%", "07%", "7", "%", "-1%", "1.5%") if is_percent(t)] == [
        "0%",
        "7%",
        "100%",
    ]


def test_acts_stand_beside_each_other() -> None:
    one, two = Act(at=NOW, by="anna"), Act(at=NOW + timedelta(days=1), reason="it is to go")
    text = with_act(with_act(None, "a/b", one), "a/c", two)
    assert Acts.of({ANNOTATION_ROLLOUT_SKIP: text}).skip == {"a/b": one, "a/c": two}
    assert with_act("no json", "a/b", one) == with_act(None, "a/b", one)
    assert (one.words, two.words) == ("anna", "somebody (it is to go)")


@pytest.mark.parametrize("text", ["", "team/one", "[1]", '{"a/b": {}}', '{"a/b": {"at": "2027-01-01T00:00:00"}}'])
def test_acts_that_cannot_be_read_say_how_to_write_them(text: str) -> None:
    found = Acts.of({ANNOTATION_ROLLOUT_SKIP: text})
    assert not found.skip
    assert all("write JSON as" in p for p in found.problems)
    assert bool(found.problems) is bool(text)


# --- what a Cluster shows -----------------------------------------------------------------------------------------


def shown(**status: Any) -> Member:
    return Member.of(Cluster.model_validate(raw_cluster(status=status)))


def pool(version: str = "v1.36.3", new: int = 2) -> dict[str, Any]:
    return {"name": "cpu", "replicas": 2, "ready": 2, "upToDate": new, "available": 2, "version": version}


def step(state: str) -> dict[str, Any]:
    return {"name": "Finished", "state": state}


READY = {"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": NOW.isoformat()}


@pytest.mark.parametrize(
    ("status", "through"),
    [
        ({}, True),
        ({"version": "v1.36.4"}, True),
        ({"version": "v1.36.1"}, False),
        ({"nodePools": [pool()]}, True),
        ({"nodePools": [pool("v1.36.1")]}, False),
        ({"nodePools": [pool(new=1)]}, False),
        ({"controlPlane": {"replicas": 3, "ready": 3, "upToDate": 2}}, False),
        ({"update": {"steps": [step("Done")]}}, True),
        ({"update": {"steps": [step("Skipped")]}}, True),
        ({"update": {"steps": [step("Pending")]}}, False),
        ({"update": {"waiting": ["cpu"]}}, False),
        ({"conditions": []}, False),
        ({"conditions": [READY | {"status": "False"}]}, False),
    ],
)
def test_a_member_is_through_when_all_of_it_runs_the_version_and_is_well(status: dict[str, Any], through: bool) -> None:
    assert shown(**{"version": "v1.36.3", **status}).is_through(Target(NEW)) is through


def at(kind: str, status: str, reason: str = "Because") -> dict[str, Any]:
    return {**READY, "type": kind, "status": status, "reason": reason}


@pytest.mark.parametrize(
    ("conditions", "moves"),
    [
        ([], False),
        ([at("UpToDate", "True")], False),
        ([at("UpToDate", "False", "RollingOut")], True),
        ([at("UpToDate", "Unknown", "Settling"), at("WorkersReady", "Unknown")], True),
        ([at("UpToDate", "False", "MachinesNotReady")], False),
        ([at("UpToDate", "False", "RollingOut"), at("WorkersReady", "False")], False),
        ([at("UpToDate", "False", "RollingOut"), at("Theirs", "False"), at("Ready", "False")], True),
    ],
)
def test_a_cluster_that_works_while_its_machines_are_replaced_is_not_unwell(
    conditions: list[dict[str, Any]], moves: bool
) -> None:
    assert shown(conditions=conditions).moves is moves


def test_words_that_quote_a_rollout_are_not_quoted_back() -> None:
    assert shown(update=UPDATE).waits == ""
    assert shown(update={**UPDATE, "reason": "PreflightBlocked"}).waits == "Rollout fleet says"


def test_zones_are_those_of_control_plane_and_pools() -> None:
    raw = raw_cluster()
    raw["spec"]["controlPlane"]["zones"], raw["spec"]["nodePools"][0]["zones"] = ["b", "a"], ["c", "a"]
    assert Member.of(Cluster.model_validate(raw)).zones == ("a", "b", "c")


# --- turns --------------------------------------------------------------------------------------------------------


def test_a_cluster_that_no_rollout_selects_is_as_ever() -> None:
    found = Cluster.model_validate(raw_cluster())
    assert not ruling_of([], found, NOW)
    assert not ruling_of([rollout(stage("prod"))], found, NOW)


def test_before_a_rollout_was_looked_at_its_clusters_wait() -> None:
    fleet = Fleet(rollout(stage("prod")), clusters("prod", 1))
    turn = fleet.turn("prod-0")
    assert turn is not None
    assert (turn.allowed, turn.version, turn.message) == (False, NEW, "Rollout fleet, stage prod: it begins soon")


def test_of_several_rollouts_the_oldest_has_the_say() -> None:
    young = rollout(stage("prod"), name="a-young", created="2027-01-03T00:00:00Z")
    old = rollout(stage("prod"), name="b-old", created="2027-01-02T00:00:00Z", version="v1.36.2")
    member = clusters("prod", 1)[0].member(NOW)
    assert [r.metadata.name for r in by_age([young, old])] == ["b-old", "a-young"]
    assert Turns([young, old]).owners(member, NOW) == {"Kubernetes": "b-old"}
    through = old.model_copy(update={"status": RolloutStatus(state=State.COMPLETED, version="v1.36.2")})
    assert Turns([young, through]).owners(member, NOW) == {"Kubernetes": "a-young"}


@pytest.mark.parametrize(
    ("state", "reason", "expected"),
    [
        (State.NOT_STARTED, "WaitsForOthers", (False, "RolloutPending")),
        (State.PENDING, "OutsideMaintenance", (False, "RolloutPending")),
        (State.RUNNING, "Updating", (False, "RolloutPending")),  # with what it had begun before
        (State.COMPLETED, None, (True, "RolloutReleased")),
        (State.FAILED, "NoProgress", (False, "RolloutPending")),  # at something that its turn had not come for
        (State.SKIPPED, "SkippedByPerson", (False, "RolloutSkipped")),
        (State.SKIPPED, "ChangedByHand", (False, "RolloutSkipped")),
        (State.SKIPPED, "Pinned", None),
        (State.SKIPPED, "TooFarBehind", None),
        (State.STOPPED, "Aborted", (False, "RolloutPending")),
    ],
)
def test_what_is_said_of_a_member(state: State, reason: str | None, expected: tuple[bool, str] | None) -> None:
    one = clusters("prod", 1)[0]
    record = RolloutMember(
        namespace="team", name="prod-0", uid=one.uid, site="north", asked="1.36", state=state, reason=reason
    )
    part = StageStatus(name="prod", state=State.RUNNING, started=NOW, members=(record,))
    status = RolloutStatus(state=State.RUNNING, version=str(NEW), run=1, stages=(part,), stage="prod")
    made = rollout(stage("prod")).model_copy(update={"status": status})
    turn = Turns([made]).of_member(one.member(NOW), NOW).kubernetes
    assert (turn and (turn.allowed, turn.reason)) == expected


def test_who_has_begun_in_its_turn_may_go_on() -> None:
    fleet = Fleet(rollout(stage("prod")), clusters("prod", 1, fails=True))
    fleet.settle()
    for state in ("Running", "Failed"):
        turn = fleet.turn("prod-0")
        assert turn is not None
        assert (fleet.states(), turn.allowed) == ({"prod-0": state}, True)
        fleet.go(times=10)


def test_a_cluster_for_which_a_version_is_none_is_not_held_by_it() -> None:
    one = FakeCluster("one", {"stage": "prod"}, updates=Updates.model_validate({"channel": "None"}))
    assert not Turns([rollout(stage("prod"))]).of_member(one.member(NOW), NOW)


# --- whom it wakes ------------------------------------------------------------------------------------------------


def test_only_clusters_whose_turn_has_changed_are_woken() -> None:
    fleet = Fleet(rollout(stage("prod")), clusters("prod", 5))
    wakes, every = Wakes(), [c.key for c in fleet.clusters] + [("other", "none")]

    def woken(is_there: bool = True) -> list[tuple[str, str]]:
        return sorted(wakes.woken(fleet.rollout.to_json(), every, is_there=is_there))

    fleet.look()
    assert woken() == sorted(every)
    assert woken() == []
    fleet.live()
    fleet.look()
    assert woken() == [("team", "prod-0")]
    fleet.cluster("prod-3").asked = "1.37"
    fleet.look()
    assert woken() == [("team", "prod-3")]
    assert woken(is_there=False) == sorted(every)


def test_what_a_cluster_says_beside_is_no_concern() -> None:
    one = raw_cluster(status={"nodePools": [pool()], "update": {"message": "first", "nextTime": NOW.isoformat()}})
    other = raw_cluster(status={"nodePools": [pool()], "update": {"message": "second"}})
    other["metadata"]["resourceVersion"] = "7"
    assert concern_of_cluster(one) == concern_of_cluster(other)
    for change in ({"version": "v1.36.2"}, {"nodePools": [pool(new=1)]}, {"update": {"target": "v1.36.3"}}):
        changed = raw_cluster(status={"nodePools": [pool()], **change})
        assert concern_of_cluster(one) != concern_of_cluster(changed)


def test_what_a_rollout_says_itself_is_no_concern() -> None:
    one = rollout(stage("prod")).to_json()
    assert concern_of_rollout(one) == concern_of_rollout({**one, "status": {"state": "Running"}})
    assert concern_of_rollout(one) != concern_of_rollout({**one, "spec": {**one["spec"], "paused": True}})


# --- metrics ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "metrics", "expected"),
    [
        (0.5, True, Answer(0.5)),
        (None, True, Answer(None)),
        (QueryFailed("no answer in time"), True, Answer(None, "no answer in time")),
        (0.5, False, Answer(None, "Site north has no spec.metrics: set it")),
        (0.5, None, Answer(None, "there is no Site north")),
    ],
)
async def test_what_metrics_say(said: float | QueryFailed | None, metrics: bool | None, expected: Answer) -> None:
    asked = []

    async def query(site: SiteMetrics, expression: str) -> float | None:
        asked.append((site.url, expression))
        if isinstance(said, QueryFailed):
            raise said
        return said

    spec = {"metrics": {"url": "http://metrics.example.com"}} if metrics else {}
    meter = Meter(query, lambda _: None if metrics is None else Site.model_validate(raw_site(**spec)))
    ask = Ask("north", "errors")
    await meter.ask([ask, ask], NOW)
    assert meter.fresh(NOW) == {ask: expected}
    assert meter.fresh(NOW + FRESH) == {}
    assert asked == ([("http://metrics.example.com", "errors")] if metrics else [])


def test_figures_go_with_their_rollout() -> None:
    registry = CollectorRegistry()
    metrics = RolloutMetrics(registry)
    running = RolloutStatus(state=State.RUNNING, reason="Updating", brings="v1.36.3", stage="prod", run=1)
    running = running.model_copy(update={"version": "v1.36.3"})
    ended = running.model_copy(update={"state": State.COMPLETED, "stage": None, "finished": NOW})
    ended = ended.model_copy(update={"counts": Counts(total=3, completed=2, failed=1)})
    metrics.decided("fleet", RolloutStatus(), running)
    metrics.decided("fleet", running, ended)
    labels = {"rollout": "fleet", "version": "v1.36.3", "brings": "v1.36.3", "reason": "Updating", "stage": ""}
    labels |= {"state": "Completed"}
    assert registry.get_sample_value("kaas_rollout_info", labels) == 1
    assert registry.get_sample_value("kaas_rollout_members", {"rollout": "fleet", "state": "completed"}) == 2
    assert registry.get_sample_value("kaas_rollout_failures_total", {"rollout": "fleet"}) == 1
    assert registry.get_sample_value("kaas_rollout_runs_total", {"state": "Completed"}) == 1
    metrics.forget("fleet")
    left = [s for m in registry.collect() for s in m.samples if "rollout" in s.labels and "fleet" in s.labels.values()]
    assert left == []


# --- the newest version -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"channel": "Regular"}, "v1.37.0"),
        ({"channel": "Stable"}, "v1.36.2"),
        ({"channel": "Regular", "minor": "1.36"}, "v1.36.2"),
        ({"channel": "Regular", "minor": "1.38"}, None),
        ({"version": "v1.36.1"}, None),
    ],
)
def test_the_newest_version_that_is_supported_in_a_channel(spec: dict[str, Any], expected: str | None) -> None:
    releases = [
        release("v1.36.1"),
        release("v1.36.2"),
        release("v1.36.9", expires="2026-12-31"),
        release("v1.37.0", stable="2027-03-01"),
        release("v1.37.1", "2027-02-01"),
    ]
    asked = rollout(stage("prod"), **spec).spec
    found = newest(asked, releases, NOW)
    assert found == (KubernetesVersion.parse(expected) if expected else None)
    assert str(next_date(releases, NOW)) == "2027-02-01 00:00:00+00:00"


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("v1.36.1", ""),
        ("v1.36.2", "is expired"),
        ("v1.36.3", "is preview"),
        ("v1.36.4", "there is no Release of v1.36.4"),
    ],
)
def test_a_version_that_is_brought_to_nobody(version: str, words: str) -> None:
    releases = [release("v1.36.1"), release("v1.36.2", expires="2026-12-31"), release("v1.36.3", "2027-02-01")]
    found = unfit_release(rollout(stage("prod"), version=version).spec, releases, NOW)
    assert words in found.lower() if words and not words.startswith("there") else found.startswith(words)
    assert bool(found) is bool(words)

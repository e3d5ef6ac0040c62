"""`kaas rollout`: what a command is about, what it refuses, and what is shown. The statuses are the real planner's."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from rich.console import Console, RenderableType

from kaas.api.cluster import Cluster
from kaas.api.constants import API_VERSION
from kaas.api.rollout import ANNOTATION_ROLLOUT_ABORT, ANNOTATION_ROLLOUT_APPROVED, ANNOTATION_ROLLOUT_SKIP, Rollout
from kaas.api.rollout_acts import Act, abort_text, with_act
from kaas.api.rollout_status import State
from kaas.cli import rollout_ask, rollout_choice, rollout_show, rollout_status
from kaas.cli.exits import CliError, ExitCode
from kaas.cli.explain_view import Asked, explained
from kaas.cli.settings import Settings
from kaas.kube.objects import Ref
from kaas.kube.resources import Resource
from kaas.updates.rollouts.member import Member
from kaas.updates.rollouts.planner import decide
from tests.unit.cli.running import kaas
from tests.unit.updates.subjects import NOW, Object, at, raw_cluster, release, site

OPEN = {"start": (NOW - timedelta(hours=1)).isoformat(), "end": (NOW + timedelta(hours=3)).isoformat()}
LATER = {"start": at("2027-01-05 22:00").isoformat(), "end": at("2027-01-06 02:00").isoformat()}
STAGES = [
    {"name": "canary", "selector": {"names": ["tenants/one"]}, "afterGates": [{"name": "ok", "type": "Approval"}]},
    {"name": "broad", "maxConcurrency": 2},
]
NAMES = ("one", "two", "three")


def cluster(name: str, running: str = "v1.36.1", **update: Any) -> Cluster:
    said = {"nextMaintenance": OPEN, "message": "it waits", **update}
    pools = [{"name": "cpu", "replicas": 1, "ready": 1, "upToDate": 1, "available": 1, "version": running}]
    status = {"version": running, "phase": "Ready", "nodePools": pools, "update": said}
    raw = raw_cluster(name=name, status=status)
    raw["metadata"]["uid"] = f"uid-of-{name}"
    return Cluster.model_validate(raw)


def fleet(**other: Cluster) -> list[Cluster]:
    return [other.get(name) or cluster(name) for name in NAMES]


def raw_rollout(annotations: Mapping[str, str] | None = None, **spec: Any) -> Object:
    meta = {"name": "fleet", "generation": 1, "annotations": dict(annotations or {})}
    said = {"version": "v1.36.3", "stages": STAGES, **spec}
    return {"apiVersion": API_VERSION, "kind": "Rollout", "metadata": meta, "spec": said}


def looked_at(raw: Object, clusters: Sequence[Cluster], now: datetime = NOW) -> Rollout:
    """After the controller has looked at it, until it says nothing new."""
    found = Rollout.model_validate(raw)
    for _ in range(5):
        status = decide(found, [Member.of(c) for c in clusters], now).status
        found = found.model_copy(update={"status": status})
    return found


def act(reason: str = "all is well") -> Act:
    return Act(at=NOW, by="anna", reason=reason)


def through(name: str) -> Cluster:
    return cluster(name, "v1.36.3", target="v1.36.3")


def stopped(name: str) -> Cluster:
    said = {
        "since": NOW.isoformat(),
        "step": "ControlPlane",
        "reason": "VerificationFailed",
        "message": "etcd is not well",
    }
    steps = [{"name": "ControlPlane", "state": "Failed"}, {"name": "Finished", "state": "Pending"}]
    began = NOW.isoformat()
    return cluster(name, target="v1.36.3", version="v1.36.3", began=began, steps=steps, stopped=said)


@pytest.fixture(name="waiting")
def waits_for_approval() -> Rollout:
    """The first stage is through, and its gate is closed."""
    started = looked_at(raw_rollout(), fleet())
    raw = {**raw_rollout(), "status": started.to_json()["status"]}
    return looked_at(raw, fleet(one=through("one")))


@pytest.fixture(name="failed")
def one_has_failed() -> Rollout:
    started = looked_at(raw_rollout(), fleet())
    raw = {**raw_rollout(), "status": started.to_json()["status"]}
    return looked_at(raw, fleet(one=stopped("one")))


def text(what: RenderableType) -> str:
    out = io.StringIO()
    Console(file=out, width=500, no_color=True).print(what)
    return "\n".join(" ".join(line.split()) for line in out.getvalue().splitlines())


# --- approve ------------------------------------------------------------------------------------------------------


def test_the_only_gate_that_waits_is_meant(waiting: Rollout) -> None:
    assert rollout_choice.gate(waiting, None) == "canary/ok"
    assert rollout_choice.gate(waiting, "canary") == "canary"
    assert rollout_choice.gate(waiting, "canary/ok") == "canary/ok"


@pytest.mark.parametrize("key", ["canary", "canary/ok"])
def test_what_is_approved_goes_on(waiting: Rollout, key: str) -> None:
    assert waiting.status is not None
    assert (waiting.status.state, waiting.status.stage) == (State.PENDING, "canary")
    notes = {ANNOTATION_ROLLOUT_APPROVED: with_act(None, key, act())}
    raw = {**raw_rollout(notes), "status": waiting.status.to_json()}
    found = looked_at(raw, fleet(one=through("one")), NOW + timedelta(minutes=1))
    assert found.status is not None
    assert (found.status.state, found.status.stage) == (State.RUNNING, "broad")
    assert "gate after: ok" in text(rollout_show.story(found, NOW))
    assert "approved by anna (all is well)" in text(rollout_show.story(found, NOW))


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        ("broad", ExitCode.NOT_FOUND, "no gate of type Approval at 'broad'; it has canary/ok"),
        ("canary/other", ExitCode.NOT_FOUND, "it has canary/ok"),
        (
            None,
            ExitCode.FAILED,
            "no gate waits for an approval now; to approve one before its time, name it: canary/ok",
        ),
    ],
)
def test_gates_that_nobody_can_approve(asked: str | None, code: ExitCode, words: str) -> None:
    with pytest.raises(CliError) as wrong:
        rollout_choice.gate(looked_at(raw_rollout(), fleet()), asked)
    assert wrong.value.code == code
    assert words in str(wrong.value)


# --- skip and retry -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "found"), [("one", ("tenants", "one")), ("team-a/one", ("team-a", "one"))])
def test_names_of_members(name: str, found: tuple[str, str]) -> None:
    assert rollout_choice.key(name, "tenants") == found


@pytest.mark.parametrize("name", ["", "/one", "a/", "a/b/c"])
def test_what_is_no_name_of_a_member(name: str) -> None:
    with pytest.raises(CliError, match="write NAMESPACE/NAME"):
        rollout_choice.key(name, "tenants")


def test_only_what_is_not_through_is_skipped(waiting: Rollout) -> None:
    two, gone = ("tenants", "two"), ("tenants", "gone")
    rollout_choice.may_skip(waiting, [two], {two})
    with pytest.raises(CliError, match="there is no Cluster tenants/gone"):
        rollout_choice.may_skip(waiting, [two, gone], {two})
    with pytest.raises(CliError, match="tenants/one is through already"):
        rollout_choice.may_skip(waiting, [("tenants", "one")], {("tenants", "one")})


def test_a_member_that_is_skipped_is_shown_with_the_reason(failed: Rollout) -> None:
    assert failed.status is not None
    notes = {ANNOTATION_ROLLOUT_SKIP: with_act(None, "tenants/one", act("INC-7"))}
    found = looked_at({**raw_rollout(notes), "status": failed.status.to_json()}, fleet(one=stopped("one")))
    assert "- tenants/one Skipped north left out by anna (INC-7)" in text(rollout_show.story(found, NOW))


def test_what_failed_is_tried_again(failed: Rollout) -> None:
    assert rollout_choice.to_retry(failed, []) == [("tenants", "one")]
    assert rollout_choice.to_retry(failed, [("tenants", "one")]) == [("tenants", "one")]
    with pytest.raises(CliError, match="tenants/two is no member"):
        rollout_choice.to_retry(failed, [("tenants", "two")])


def test_what_has_not_failed_is_not_tried_again(waiting: Rollout) -> None:
    with pytest.raises(CliError, match="no member has failed"):
        rollout_choice.to_retry(waiting, [])
    with pytest.raises(CliError, match=r"tenants/one has neither failed nor is skipped \(Completed\)"):
        rollout_choice.to_retry(waiting, [("tenants", "one")])


# --- pause, resume, abort -----------------------------------------------------------------------------------------


def test_only_what_is_paused_is_resumed(failed: Rollout) -> None:
    rollout_choice.is_paused(Rollout.model_validate(raw_rollout(paused=True)))
    with pytest.raises(CliError, match=r"it is not paused: .*failed"):
        rollout_choice.is_paused(failed)


def test_only_a_run_that_is_under_way_is_ended(waiting: Rollout) -> None:
    rollout_choice.may_abort(waiting)
    with pytest.raises(CliError, match=r"no run of it is under way \(NotStarted\)"):
        rollout_choice.may_abort(Rollout.model_validate(raw_rollout()))
    assert waiting.status is not None
    notes = {ANNOTATION_ROLLOUT_ABORT: abort_text(act("the image is bad"))}
    ended = looked_at({**raw_rollout(notes), "status": waiting.status.to_json()}, fleet(one=through("one")))
    assert "the image is bad" in text(rollout_show.story(ended, NOW))
    with pytest.raises(CliError, match="no run of it is under way"):
        rollout_choice.may_abort(ended)


@pytest.mark.parametrize("command", ["skip", "retry", "abort"])
def test_who_acts_against_the_plan_says_why(command: str) -> None:
    members = ["tenants/one"] if command != "abort" else []
    assert kaas("rollout", command, "fleet", *members).exit_code == 2
    result = kaas("rollout", command, "fleet", *members, "--reason", " ")
    assert result.exit_code == 2
    assert "--reason: say why" in result.stderr


# --- what is shown ------------------------------------------------------------------------------------------------


def test_a_table_of_all(waiting: Rollout) -> None:
    lines = text(rollout_show.table([waiting, Rollout.model_validate(raw_rollout())])).splitlines()
    assert lines[0] == "NAME BRINGS STATE STAGE PROGRESS FAILED NEXT WHY"
    assert lines[1].startswith("fleet v1.36.3 Pending canary 1 of 3 0 ")
    assert "waits for a person" in lines[1]
    assert lines[2] == f"fleet v1.36.3 NotStarted {rollout_show.NOT_LOOKED_AT}"


def test_stages_with_gates_and_members(waiting: Rollout) -> None:
    said = text(rollout_show.story(waiting, NOW + timedelta(minutes=5)))
    for words in (
        "… fleet Pending v1.36.3 1 of 3",
        "… canary Pending 1 of 1 completed █ 1 at once",
        "… gate after: ok for 5m waits for a person: approve it with `kaas rollout approve`",
        "… broad NotStarted 2 at once",
    ):
        assert words in said


def test_who_failed_comes_first_and_says_why(failed: Rollout) -> None:
    said = text(rollout_show.story(failed, NOW))
    assert "✘ fleet Stopped v1.36.3" in said
    assert "✘ tenants/one Failed north its update has stopped: etcd is not well" in said
    assert "stopped since 2027-01-04 12:00 UTC TooManyFailures" in said
    assert said.count("1 of 1 members failed, 0 may") == 1
    assert "`kaas rollout retry`" in said


def test_members_beyond_what_fits_are_counted() -> None:
    many = [cluster(f"c{n}", nextMaintenance=LATER) for n in range(40)]
    found = looked_at(raw_rollout(stages=[{"name": "all", "maxConcurrency": 40}]), many)
    said = text(rollout_show.story(found, NOW))
    assert said.count("tenants/c") == rollout_show.MOST_MEMBERS
    assert "and 10 more: 10 Pending" in said
    assert "its next maintenance window opens 2027-01-05 22:00 UTC" in said


def test_what_people_wrote_wrong_is_told() -> None:
    found = Rollout.model_validate(raw_rollout({ANNOTATION_ROLLOUT_APPROVED: "yes"}))
    assert f"not understood the annotation {ANNOTATION_ROLLOUT_APPROVED} cannot be read" in text(
        rollout_show.story(found, NOW)
    )


def test_a_change_that_was_not_looked_at_is_told(waiting: Rollout) -> None:
    newer = waiting.model_copy(update={"metadata": waiting.metadata.model_copy(update={"generation": 2})})
    assert "(a change has not been looked at yet)" in text(rollout_show.story(newer, NOW))


async def test_watched_it_is_drawn_anew(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(rollout_status, "WATCH_SECONDS", 0.0)
    drawn = iter(["1 of 3", "2 of 3"])

    async def look() -> RenderableType:
        word = next(drawn, None)
        if word is None:
            raise KeyboardInterrupt
        return word

    with pytest.raises(KeyboardInterrupt):
        await rollout_status.draw(Settings(no_color=True), look, watch=True)
    assert "2 of 3" in capsys.readouterr().out


class Stored:
    """A session with an API server that has these Rollouts."""

    def __init__(self, *rollouts: Object) -> None:
        self._rollouts, self.client = rollouts, self

    async def get(self, ref: Ref) -> Object | None:
        return next((r for r in self._rollouts if r["metadata"]["name"] == ref.name), None)

    async def list(self, _kind: Resource) -> list[Object]:
        return [*self._rollouts]


async def test_a_rollout_that_cannot_be_read_hides_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = {**raw_rollout(pace="Slow"), "metadata": {"name": "newer"}}

    @asynccontextmanager
    async def session(_: Settings) -> AsyncIterator[Stored]:
        yield Stored(raw_rollout(), newer)

    monkeypatch.setattr(rollout_status, "session", session)
    monkeypatch.setenv("COLUMNS", "300")
    await rollout_status._show_all(Settings(no_color=True), watch=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", "fleet", "newer"]
    assert "Rollout newer cannot be read: spec.pace: is not a field" in lines[2]
    with pytest.raises(CliError, match=r"Rollout newer cannot be read: spec.pace: .*; if a newer kaas has written it"):
        await rollout_status._show(Settings(no_color=True), "newer", watch=False)


def test_nobody_changes_a_rollout_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = {**raw_rollout(pace="Slow"), "metadata": {"name": "newer"}}

    @asynccontextmanager
    async def session(_: Settings) -> AsyncIterator[Stored]:
        yield Stored(newer)

    monkeypatch.setattr(rollout_ask, "session", session)
    with pytest.raises(CliError, match=r"Rollout newer cannot be read: spec.pace: .*; if a newer kaas has written it"):
        rollout_ask.resume(Settings(no_color=True), "newer")


# --- kaas explain -------------------------------------------------------------------------------------------------


def test_explain_tells_whose_turn_it_is(waiting: Rollout) -> None:
    clusters = fleet(one=through("one"))
    releases = [release("v1.36.1"), release("v1.36.3")]
    asked = Asked(clusters[1], site(), None, releases, [waiting])
    found = explained(asked, NOW)
    assert found.reason == "RolloutPending"
    assert found.answer.startswith("Rollout fleet, stage broad: ")
    assert "waits for a person" in found.answer
    assert found.ways[0].command == "kaas rollout approve fleet canary/ok --reason '<reason>'"
    assert found.state == "Blocked"


def test_without_a_gate_that_waits_for_a_person_it_goes_on_by_itself() -> None:
    started = looked_at(raw_rollout(), fleet())
    asked = Asked(cluster("two"), site(), None, [release("v1.36.1"), release("v1.36.3")], [started])
    found = explained(asked, NOW)
    assert (found.state, found.reason) == ("Waits", "RolloutPending")
    assert found.ways[0].command == "kaas rollout status fleet"

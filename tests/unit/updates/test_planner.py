"""What is decided about a Cluster, when, and in which words."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from kaas.api.constants import ANNOTATION_UPDATES_PAUSED
from kaas.updates.expiry import Announced
from kaas.updates.facts import Aims, Change, Ruling, Run, Turn
from kaas.updates.planner import BETWEEN, FORCED_PATIENCE, LEAST_LEFT, plan
from kaas.updates.standing import Standing
from kaas.updates.subject import Subject
from tests.unit.updates import subjects
from tests.unit.updates.subjects import NOW, TUESDAYS, at, calendar, cluster, release, site, subject, version

OLD, NEW, NEXT = release("v1.36.1"), release("v1.36.3"), release("v1.37.0")
OPEN, SHUT = at("2027-01-05 22:00"), at("2027-01-06 02:00")
MINORS = {"kubernetes": "Minor"}


def excluded(since: str, until: str, scope: str = "All", *windows: Any) -> dict[str, Any]:
    exclusion = {"from": f"{since}T00:00:00Z", "until": f"{until}T00:00:00Z", "scope": scope, "reason": "year's end"}
    return {"windows": list(windows) or [TUESDAYS], "exclusions": [exclusion]}


@pytest.mark.parametrize(
    ("now", "target", "reason", "until"),
    [
        (NOW, None, "OutsideMaintenance", OPEN),
        (OPEN, "v1.36.3", "Updating", SHUT - LEAST_LEFT),
        (SHUT - LEAST_LEFT - timedelta(seconds=1), "v1.36.3", "Updating", SHUT - LEAST_LEFT),
        (SHUT - LEAST_LEFT, None, "OutsideMaintenance", OPEN + timedelta(days=7)),
        (SHUT, None, "OutsideMaintenance", OPEN + timedelta(days=7)),
    ],
)
def test_an_update_waits_for_its_window(now: datetime, target: str | None, reason: str, until: datetime) -> None:
    found = plan(subject(None, OLD, NEW), now)
    assert (found.target and str(found.target), found.reason, found.until) == (target, reason, until)
    assert found.choice is not None
    assert found.choice.version == version("v1.36.3")


def test_who_opts_out_meanwhile_is_not_brought_on() -> None:
    of = cluster(updates={"channel": "None"})
    found = plan(subject(of, OLD, NEW, standing=Standing(version("v1.36.3"), OPEN, "Updating")), OPEN)
    assert (found.target, found.reason) == (None, "ChannelNone")


def test_an_exclusion_is_named() -> None:
    of = cluster(maintenance=excluded("2027-01-01", "2027-01-07"))
    found = plan(subject(of, OLD, NEW), NOW)
    assert (found.target, found.reason, found.begins) == (None, "Excluded", at("2027-01-12 22:00"))
    assert "until 2027-01-07 00:00 UTC (year's end)" in found.message


def test_an_exclusion_that_has_not_begun_and_takes_the_next_windows() -> None:
    of = cluster(maintenance=excluded("2027-01-05", "2027-01-21"))
    found = plan(subject(of, OLD, NEW), NOW)
    assert (found.reason, found.begins) == ("Excluded", at("2027-01-26 22:00"))
    assert found.message.startswith(
        "v1.36.3 is begun 2027-01-26 22:00 UTC: an exclusion keeps changes out from 2027-01-05 00:00 UTC until "
        "2027-01-21 00:00 UTC ("
    )


@pytest.mark.parametrize(("since", "until"), [("2027-01-01", "2027-01-05"), ("2027-01-06", "2027-01-31")])
def test_an_exclusion_that_takes_no_window_is_not_why(since: str, until: str) -> None:
    found = plan(subject(cluster(maintenance=excluded(since, until)), OLD, NEW), NOW)
    assert (found.reason, found.begins) == ("OutsideMaintenance", OPEN)
    assert found.message.endswith("then the next maintenance window opens")


def test_the_exclusion_at_the_beginning_of_a_window_is_why_it_begins_late() -> None:
    launch = {"from": "2027-01-05T07:00:00+09:00", "until": "2027-01-06T08:00:00+09:00", "reason": "launch"}
    fair = {"from": "2027-01-06T01:00:00Z", "until": "2027-03-01T00:00:00Z", "reason": "fair"}
    of = cluster(maintenance={"windows": [TUESDAYS], "exclusions": [launch, fair]})
    found = plan(subject(of, OLD, NEW), NOW)
    assert (found.reason, found.begins) == ("Excluded", at("2027-01-05 23:00"))
    assert "from 2027-01-04 22:00 UTC until 2027-01-05 23:00 UTC (launch)" in found.message


def test_what_has_expired_says_which_exclusion_takes_its_window() -> None:
    of = cluster(PINNED, maintenance=excluded("2027-01-05", "2027-01-07"))
    standing = told(at("2026-12-06 00:00"))
    found = plan(subject(of, ENDED, NEW, standing=standing), NOW)
    assert (found.reason, found.begins) == ("Expired", at("2027-01-12 00:00"))  # the next window opens that evening
    assert "an exclusion keeps changes out from 2027-01-05 00:00 UTC until 2027-01-07 00:00 UTC" in found.message
    assert found.message.endswith("), and it has waited for 7 days")


def test_an_exclusion_of_minors_lets_patches_in() -> None:
    of = cluster(maintenance=excluded("2027-01-01", "2027-01-07", "Minor"), updates=MINORS)
    assert plan(subject(of, OLD, NEW, NEXT), OPEN).target == version("v1.36.3")
    assert plan(subject(of, OLD, NEXT), OPEN).reason == "Excluded"


def test_no_window_that_is_left_free() -> None:
    of = cluster(maintenance=excluded("2027-01-01", "2029-01-01"))
    found = plan(subject(of, OLD, NEW), NOW)
    assert (found.target, found.begins) == (None, None)
    assert found.reason == "NoMaintenanceWindow"
    assert "spec.maintenance" in found.message


def test_a_rest_of_a_window_that_is_too_short_is_passed_over() -> None:
    maintenance = excluded("2027-01-01", "2027-01-02")
    maintenance["exclusions"] = [
        {"from": "2027-01-05T22:10:00Z", "until": "2027-01-08T00:00:00Z", "scope": "All", "reason": "launch"}
    ]
    found = plan(subject(cluster(maintenance=maintenance), OLD, NEW), OPEN)
    assert (found.target, found.begins) == (None, OPEN + timedelta(days=7))


def test_a_day_between_two_updates() -> None:
    daily = {**TUESDAYS, "recurrence": "FREQ=DAILY", "durationMinutes": 1440}
    of = cluster(maintenance={"windows": [daily]}, updates=MINORS)
    standing = Standing(version("v1.36.3"), NOW - timedelta(hours=5))
    found = plan(subject(of, OLD, NEW, NEXT, running="v1.36.3", standing=standing), NOW)
    assert (found.target, found.reason, found.begins) == (None, "TooSoon", NOW - timedelta(hours=5) + BETWEEN)


def test_what_is_under_way_goes_on_whatever_the_window() -> None:
    standing = Standing(version("v1.36.3"), OPEN, "Updating", run=Run(Aims(version("v1.36.3"), (Change.PATCH,)), OPEN))
    found = plan(subject(None, OLD, NEW, standing=standing), SHUT + timedelta(days=1))
    assert (found.target, found.choice, found.reason) == (version("v1.36.3"), None, "Updating")


def test_a_control_plane_made_older_after_its_update_waits_for_a_window_again() -> None:
    standing = Standing(version("v1.36.3"), OPEN, "Updating")
    found = plan(subject(None, OLD, NEW, standing=standing), SHUT + timedelta(days=1))
    assert (found.target, found.reason) == (None, "OutsideMaintenance")


@pytest.mark.parametrize(
    ("more", "reason", "words"),
    [
        ({"status": {"conditions": []}}, "NotReady", "the Cluster is not Ready"),
        (
            {"status": {"repair": {"unhealthy": 1, "inFlight": 1, "quarantined": 0, "pools": [
                {"name": "", "inFlight": 1, "unhealthy": 1}]}}},
            "RepairInFlight",
            "the control plane",
        ),
        ({"annotations": {ANNOTATION_UPDATES_PAUSED: "launch"}}, "Paused", "launch"),
        ({"annotations": {"cluster.x-k8s.io/paused": ""}}, "Paused", "cluster.x-k8s.io/paused"),
    ],
)  # fmt: skip
def test_nothing_is_begun_on_a_cluster_in_no_state_for_it(more: dict[str, Any], reason: str, words: str) -> None:
    of = cluster(**more)
    found = plan(Subject.of(of, version("v1.36.1"), [OLD, NEW], site(), calendar(of)), OPEN)
    assert (found.target, found.reason, found.until) == (None, reason, SHUT - LEAST_LEFT)
    assert words in found.message


def test_a_window_that_is_shut_is_named_before_the_state_of_the_cluster() -> None:
    of = cluster(status={"conditions": []})
    found = plan(Subject.of(of, version("v1.36.1"), [OLD, NEW], site(), calendar(of)), NOW)
    assert found.reason == "OutsideMaintenance"


def test_nothing_to_do_is_what_the_choice_says() -> None:
    found = plan(subject(None, OLD), NOW)
    assert (found.target, found.choice, found.reason) == (None, None, "UpToDate")


# --- versions that have expired --------------------------------------------------------------------------------------

ENDED = release("v1.36.1", expires="2027-01-01")
PINNED = "v1.36.1"


def told(first: datetime, days: int = 1) -> Standing:
    return Standing(announced=Announced(version(PINNED), first, days))


def test_nobody_is_moved_who_was_not_told() -> None:
    found = plan(subject(cluster(PINNED), ENDED, NEW), OPEN)
    assert (found.target, found.reason) == (None, "Expired")
    assert found.begins == at("2027-02-09 22:00")  # the first Tuesday 30 days later


def test_a_pinned_cluster_is_moved_in_the_next_window() -> None:
    standing = told(at("2026-12-02 00:00"))
    found = plan(subject(cluster(PINNED), ENDED, NEW, standing=standing), OPEN)
    assert (found.target, found.reason) == (version("v1.36.3"), "Expired")
    assert plan(subject(cluster(PINNED), ENDED, NEW, standing=standing), NOW).begins == OPEN


def test_exclusions_do_not_save_it_for_ever() -> None:
    of = cluster(PINNED, maintenance=excluded("2026-12-01", "2029-01-01"))
    standing = told(at("2026-12-02 00:00"))
    due = at("2027-01-01 00:00") + FORCED_PATIENCE
    before = plan(subject(of, ENDED, NEW, standing=standing), due - timedelta(seconds=1))
    assert (before.target, before.begins) == (None, due)
    assert plan(subject(of, ENDED, NEW, standing=standing), due).target == version("v1.36.3")


def test_who_takes_updates_need_not_be_told() -> None:
    assert plan(subject(None, ENDED, NEW), OPEN).target == version("v1.36.3")


def test_it_is_not_begun_on_a_cluster_that_is_not_well() -> None:
    said = {"version": PINNED, "first": "2026-12-02T00:00:00Z", "daysBefore": 1}
    of = cluster(PINNED, status={"conditions": [], "update": {"announced": said}})
    found = plan(Subject.of(of, version(PINNED), [ENDED, NEW], site(), calendar(of)), OPEN)
    assert (found.target, found.reason) == (None, "NotReady")


@pytest.mark.parametrize(
    ("asked", "running", "target"),
    [("1.36", "v1.36.3", "v1.36.4"), ("1.36", "v1.37.0", None), ("v1.36.4", "v1.36.1", "v1.36.4")],
)
def test_what_a_person_asks_for_counts_more_than_an_old_target(asked: str, running: str, target: str | None) -> None:
    """The target of an update stays in the status; a newer wish than that ends it."""
    of = cluster(asked, status={"update": {"target": "v1.36.3"}})
    found = plan(Subject.of(of, version(running), [OLD, NEW, release("v1.36.4")], site(), calendar(of)), OPEN)
    assert (str(found.target) if found.target else None) == target


def test_the_calendar_of_a_cluster_without_windows() -> None:
    of = cluster(maintenance={})
    assert calendar(of).is_default
    found = plan(subject(of, OLD, NEW), subjects.NOW)
    assert found.begins is not None
    assert found.begins - NOW <= timedelta(days=7)


# --- an update under way ------------------------------------------------------------------------------------------


def under_way(target: str = "v1.36.3", running: str = "v1.36.1", asked: str = "1.36", **update: Any) -> Subject:
    """A Cluster with the steps of an update that are not through, and a newer version in its channel."""
    steps = [{"name": "ControlPlane", "state": "Running"}, {"name": "Finished", "state": "Pending"}]
    said = {"target": target, "began": OPEN.isoformat(), "changes": ["Patch"], "steps": steps, **update}
    of = cluster(asked, status={"version": running, "update": said}, updates=MINORS if asked == "1.36" else {})
    return Subject.of(of, version(running), [OLD, NEW, NEXT], site(), calendar(of))


@pytest.mark.parametrize("running", ["v1.36.1", "v1.36.3"])
def test_while_an_update_is_under_way_nothing_else_begins(running: str) -> None:
    found = plan(under_way(running=running), OPEN + timedelta(days=7))
    assert (found.target, found.choice, found.reason) == (version("v1.36.3"), None, "Updating")
    assert found.aims is not None
    assert [*map(str, found.aims.changes)] == ["Patch"]


def test_an_update_of_machines_alone_is_under_way_too() -> None:
    found = plan(under_way("v1.36.1", changes=["ClassRevision", "Image"], image="new", classRevision="two"), NOW)
    assert found.aims is not None
    assert (found.target, found.aims.image, found.aims.class_revision) == (version("v1.36.1"), "new", "two")


def test_one_that_has_stopped_lets_nothing_begin() -> None:
    stopped = {"since": OPEN.isoformat(), "step": "Pool/cpu", "reason": "NodeNotJoined", "message": "no node came"}
    found = plan(under_way(stopped=stopped), OPEN + timedelta(days=7))
    assert (found.target, found.reason, found.message) == (version("v1.36.3"), "Stopped", "no node came")
    assert found.choice is None


@pytest.mark.parametrize(
    ("last", "goes_on"), [("Pending", True), ("Failed", True), ("Done", False), ("Skipped", False)]
)
def test_when_the_last_step_is_through_the_next_update_may_begin(last: str, *, goes_on: bool) -> None:
    of = under_way(running="v1.36.3", steps=[{"name": "Finished", "state": last}])
    found = plan(of, OPEN + timedelta(days=7))
    assert (found.choice is None) is goes_on
    assert found.target == version("v1.36.3" if goes_on else "v1.37.0")


@pytest.mark.parametrize(
    ("asked", "running", "reason"),
    [
        ("1.37", "v1.36.1", "VersionChanged"),
        ("v1.36.4", "v1.36.1", "Updating"),
        ("v1.36.1", "v1.36.1", "Pinned"),
        ("v1.36.3", "v1.36.3", "Updating"),
    ],
)
def test_a_persons_word_about_the_version_ends_it(asked: str, running: str, reason: str) -> None:
    assert plan(under_way(asked=asked, running=running), OPEN).reason == reason


def test_one_that_nobody_may_put_off_stays_so() -> None:
    of = under_way(running="v1.36.3", reason="Expired")
    assert plan(of, OPEN).reason == "Expired"
    steps = [{"name": "Announced", "state": "Done", "reason": "Expired"}, {"name": "Finished", "state": "Pending"}]
    tried_again = under_way(running="v1.36.3", reason="Stopped", steps=steps)
    assert plan(tried_again, OPEN).reason == "Expired"


# --- the turn of a Rollout ----------------------------------------------------------------------------------------


def turn(to: str = "v1.36.3", *, allowed: bool = True, until: datetime | None = None) -> Turn:
    return Turn("spring", "canary", version(to), allowed, "StageRunning", "stage canary has not begun", until)


def in_rollout(turned: Turn, of: Any = None, *releases: Any, running: str = "v1.36.1") -> Subject:
    return replace(subject(of, *(releases or (OLD, NEW, NEXT)), running=running), ruling=Ruling(kubernetes=turned))


def test_a_turn_that_has_not_come_is_waited_for() -> None:
    found = plan(in_rollout(turn(allowed=False, until=SHUT)), OPEN)
    assert (found.target, found.begins, found.reason) == (None, None, "RolloutPending")
    assert found.choice is not None
    assert found.choice.version == version("v1.36.3")
    assert (found.message, found.until) == ("stage canary has not begun", SHUT)


def test_a_turn_brings_exactly_its_version_in_a_window() -> None:
    newer = release("v1.36.4")
    found = plan(in_rollout(turn(), None, OLD, NEW, newer), OPEN)
    assert (found.target, found.reason) == (version("v1.36.3"), "Updating")
    assert found.message == "Rollout spring brings v1.36.3 in its stage canary, v1.36.1 runs"
    assert plan(in_rollout(turn(), None, OLD, NEW, newer), NOW).begins == OPEN


def test_a_member_that_is_through_goes_no_further_by_itself() -> None:
    found = plan(in_rollout(turn(), None, NEW, release("v1.36.4"), running="v1.36.3"), OPEN)
    assert (found.target, found.reason) == (None, "RolloutDone")
    for held in (turn(allowed=False), replace(turn(allowed=False), version=None)):  # the second has no version yet
        found = plan(in_rollout(held, None, NEW, release("v1.36.4"), running="v1.36.3"), OPEN)
        assert (found.target, found.reason, found.message) == (None, "RolloutPending", held.message)


@pytest.mark.parametrize(
    ("of", "to", "reason", "words"),
    [
        (cluster("v1.36.1"), "v1.36.3", "Pinned", "does not bring v1.36.3: spec.version v1.36.1 pins the Cluster"),
        (cluster(updates={"channel": "None"}), "v1.36.3", "ChannelNone", "spec.updates.channel is None"),
        (cluster(), "v1.37.0", "KubernetesPatch", 'set it to Minor, or spec.version to "1.37"'),
        (cluster(updates=MINORS), "v1.38.0", "MinorSkipped", "bring 1.37 first"),
        (cluster(updates=MINORS), "v1.37.9", "ReleaseUnfit", "there is no Release of it"),
        (cluster(updates=MINORS), "v1.37.1", "ReleaseUnfit", "its Release is preview"),
    ],
)
def test_a_rollout_does_nothing_that_the_owner_does_not_allow(of: Any, to: str, reason: str, words: str) -> None:
    known = (OLD, NEW, NEXT, release("v1.38.0"), release("v1.37.1", "2027-02-01"))
    for allowed in (True, False):
        found = plan(in_rollout(turn(to, allowed=allowed), of, *known), OPEN)
        assert (found.target, found.reason) == (None, reason)
        assert words in found.message


def test_what_has_expired_waits_for_no_turn() -> None:
    found = plan(in_rollout(turn("v1.36.2", allowed=False), None, ENDED, NEW), OPEN)
    assert (found.target, found.reason) == (version("v1.36.3"), "Expired")


def test_what_is_under_way_waits_for_no_turn() -> None:
    assert plan(replace(under_way(), ruling=Ruling(kubernetes=turn(allowed=False))), OPEN).reason == "Updating"


# --- what flavors support ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flavor", "most", "reason"),
    [
        ("cpu-4", "1.36", "SiteLimit"),
        ("cpu-2", "1.36", "SiteLimit"),
        ("other", "1.36", "Updating"),
        ("cpu-4", "1.37", "Updating"),
    ],
)
def test_never_past_what_a_flavor_supports(flavor: str, most: str, reason: str) -> None:
    flavors = [{"name": name} for name in ("cpu-2", "cpu-4", "other") if name != flavor]
    where = site(flavors=[*flavors, {"name": flavor, "maxVersion": most}])
    of = subject(cluster(updates=MINORS), OLD, NEXT, where=where)
    found = plan(of, OPEN)
    assert found.reason == reason
    assert reason != "SiteLimit" or f"flavor {flavor} of " in found.message
    assert plan(replace(of, ruling=Ruling(kubernetes=turn("v1.37.0"))), OPEN).reason == reason

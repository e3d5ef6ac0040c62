"""Node images, class revisions and certificates: when each is due, what goes with what, and what is never done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.api.cluster import Cluster
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.updates.catalogue import catalogue
from kaas.updates.facts import Change, Decision
from kaas.updates.kinds import LARGEST_FIRST, RENEW_AT_LATEST, RENEW_BEFORE, aims, pending, what
from kaas.updates.planner import plan
from kaas.updates.standing import Present, Standing
from kaas.updates.subject import Subject
from tests.unit.updates.subjects import NOW, TUESDAYS, at, cluster, raw_release, release, site, subject, version

OPEN, SHUT = at("2027-01-05 22:00"), at("2027-01-06 02:00")
DAY = timedelta(days=1)
RUNS = version("v1.36.1")
OLD, NEW, NEXT = release("v1.36.1"), release("v1.36.3"), release("v1.37.0")
FIRST = "ubuntu-v1.36.1"
MINORS = {"kubernetes": "Minor"}
DATES = ("rapid", "regular", "stable")


def image(name: str, *dates: str, **spec: Any) -> Release:
    """A Release of the version that runs with another image. dates: of rapid, regular, stable."""
    raw = raw_release("v1.36.1", None)
    channels = {name: f"{date}T00:00:00Z" for name, date in zip(DATES, dates, strict=False)}
    more = {"image": name, "channels": channels, **spec}
    return Release.model_validate({**raw, "metadata": {"name": f"v1.36.1-{name}"}, "spec": {**raw["spec"], **more}})


NEWER = image("newer", "2026-12-20", "2027-01-01", "2027-02-01")


def due(of: Cluster, present: Present, *releases: Release, where: Site | None = None) -> dict[Change, Any]:
    found = pending(of, RUNS, present, catalogue((OLD, *releases)), where or site(), NOW)
    return {d.change: d for d in found.due}


def until(of: Cluster, present: Present, *releases: Release) -> datetime | None:
    return pending(of, RUNS, present, catalogue((OLD, *releases)), site(), NOW).until


# --- node images --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("updates", "releases", "has", "found"),
    [
        ({}, [], FIRST, None),
        ({}, [NEWER], FIRST, "newer"),
        ({}, [NEWER], "newer", None),
        ({"channel": "Stable"}, [NEWER], FIRST, None),
        ({"nodeImages": {"channel": "Stable"}}, [NEWER], FIRST, None),
        ({"channel": "Stable", "nodeImages": {"channel": "Rapid"}}, [NEWER], FIRST, "newer"),
        ({"channel": "None"}, [NEWER], FIRST, None),
        ({"channel": "None", "nodeImages": {"channel": "Regular"}}, [NEWER], FIRST, "newer"),
        ({"nodeImages": {"channel": "None"}}, [NEWER], FIRST, None),
        ({"kubernetes": "None"}, [NEWER], FIRST, "newer"),
        # The one that came last, whatever its name; never one that came before what there is.
        ({}, [NEWER, image("a", "2026-12-21", "2027-01-02")], FIRST, "a"),
        ({"channel": "Stable"}, [image("stable", "2026-12-10", "2026-12-10", "2026-12-10"), NEWER], "newer", None),
        # What is no better is not gone to.
        ({}, [image("old", "2026-12-20", "2026-12-20", "2026-12-20", deprecated="2027-01-01T00:00:00Z")], FIRST, None),
        ({}, [image("gone", "2026-12-20", "2026-12-20", "2026-12-20", expires="2027-01-01T00:00:00Z")], FIRST, None),
        # One that nobody knows is older than any.
        ({}, [NEWER], "unheard-of", "newer"),
    ],
)
def test_image(updates: dict[str, Any], releases: list[Release], has: str, found: str | None) -> None:
    given_all = due(cluster(updates=updates), Present(image=has), *releases)
    assert (given_all[Change.IMAGE].image if given_all else None) == found


def test_an_exact_version_pins_kubernetes_alone() -> None:
    assert due(cluster("v1.36.1"), Present(image=FIRST), NEWER)[Change.IMAGE].image == "newer"


def test_an_image_is_waited_for() -> None:
    assert until(cluster(updates={"channel": "Stable"}), Present(image=FIRST), NEWER) == at("2027-02-01 00:00")


def test_what_the_site_names_counts_for_all_releases() -> None:
    place = site(images=[{"version": "v1.36.1", "name": "special"}])
    assert due(cluster(), Present(image=FIRST), NEWER, where=place)[Change.IMAGE].image == "special"
    assert due(cluster(), Present(image="special"), NEWER, where=place) == {}
    assert due(cluster(updates={"nodeImages": {"channel": "None"}}), Present(image=FIRST), where=place) == {}


def test_nobody_says_since_when_the_site_names_it() -> None:
    """The first time that it is seen counts, which the status remembers."""
    place = site(images=[{"version": "v1.36.1", "name": "special"}])
    assert due(cluster(), Present(FIRST), where=place)[Change.IMAGE].since == NOW
    assert due(cluster(), Present(FIRST, NOW - DAY), where=place)[Change.IMAGE].since == NOW - DAY


# --- class revisions ----------------------------------------------------------------------------------------------


def revision(days: float, own: str | None = "one", newest: str | None = "two") -> Present:
    """A newest revision that is there since so many days."""
    return Present(class_revision=own, newest_revision=newest, newest_revision_since=NOW - days * DAY)


@pytest.mark.parametrize(
    ("updates", "days", "is_due"),
    [
        ({"channel": "Rapid"}, 0, True),
        ({}, 6.9, False),
        ({}, 7, True),
        ({"channel": "Stable"}, 27.9, False),
        ({"channel": "Stable"}, 28, True),
        ({"channel": "Stable", "classRevision": {"channel": "Rapid"}}, 0, True),
        ({"classRevision": {"channel": "None"}}, 100, False),
        ({"channel": "None"}, 100, False),
    ],
)
def test_class_revision(updates: dict[str, Any], days: float, *, is_due: bool) -> None:
    found = due(cluster(updates=updates), revision(days))
    assert (Change.CLASS_REVISION in found) is is_due
    assert not is_due or found[Change.CLASS_REVISION].class_revision == "two"


@pytest.mark.parametrize("present", [revision(100, own="two"), revision(100, own=None), revision(100, newest=None)])
def test_no_class_revision(present: Present) -> None:
    assert due(cluster(), present) == {}


def test_a_class_revision_is_waited_for() -> None:
    assert until(cluster(), revision(3)) == NOW + 4 * DAY


# --- certificates -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("updates", "days", "is_due"),
    [
        ({}, 61, False),
        ({}, 60, True),
        ({}, 1, True),
        ({"certificates": "None"}, 1, False),
        ({"channel": "None"}, 60, True),
    ],
)
def test_certificates(updates: dict[str, Any], days: int, *, is_due: bool) -> None:
    found = due(cluster(updates=updates), Present(certificates_end=NOW + days * DAY))
    assert (Change.CERTIFICATES in found) is is_due


def ending(days: float, **more: Any) -> Subject:
    """A Cluster whose certificates end in so many days."""
    return replace(subject(cluster(**more), OLD), present=Present(certificates_end=NOW + timedelta(days=days)))


EXCLUDED: dict[str, Any] = {
    "windows": [TUESDAYS],
    "exclusions": [
        {"from": "2026-12-01T00:00:00Z", "until": "2028-01-01T00:00:00Z", "scope": "Nodes", "reason": "training"}
    ],
}


def test_certificates_take_a_window() -> None:
    found = plan(ending(50), OPEN)
    assert found.aims is not None
    assert (found.target, found.reason, found.aims.changes) == (RUNS, "Updating", (Change.CERTIFICATES,))
    assert found.aims.certificates == OPEN
    assert plan(ending(50), NOW).begins == OPEN


def test_certificates_wait_for_no_exclusion_at_the_last() -> None:
    of = ending(50, maintenance=EXCLUDED)
    last = NOW + timedelta(days=50) - RENEW_AT_LATEST
    before = plan(of, last - timedelta(seconds=1))
    assert (before.target, before.reason, before.begins) == (None, "Excluded", last)
    found = plan(of, last)
    assert (found.target, found.reason, found.until) == (RUNS, "CertificatesEnd", None)
    assert "certificates of the control plane end on 2027-02-23" in found.message


def test_certificates_wait_until_the_cluster_is_well() -> None:
    of = ending(10)
    ill = Subject.of(cluster(status={"conditions": []}), RUNS, [OLD], site(), of.calendar)
    found = plan(replace(ill, present=of.present), NOW)
    assert (found.target, found.reason) == (None, "NotReady")


# --- together -----------------------------------------------------------------------------------------------------

ALL = Present(FIRST, None, "one", "two", NOW - 100 * DAY, NOW + 50 * DAY)


def begun(of: Cluster, *releases: Release, present: Present = ALL, now: datetime = OPEN) -> Decision:
    return plan(replace(subject(of, OLD, *releases), present=present), now)


@pytest.mark.parametrize(
    ("updates", "releases", "target", "aimed"),
    [
        (MINORS, [NEXT, NEWER], "v1.37.0", (Change.MINOR, Change.CLASS_REVISION, Change.CERTIFICATES)),
        ({}, [NEW, NEWER], "v1.36.3", (Change.PATCH, Change.CLASS_REVISION, Change.CERTIFICATES)),
        ({}, [NEWER], "v1.36.1", (Change.CLASS_REVISION, Change.IMAGE, Change.CERTIFICATES)),
        ({"classRevision": {"channel": "None"}}, [NEWER], "v1.36.1", (Change.IMAGE, Change.CERTIFICATES)),
    ],
)
def test_what_is_due_goes_together(
    updates: dict[str, Any], releases: list[Release], target: str, aimed: tuple[Change, ...]
) -> None:
    found = begun(cluster(updates=updates), *releases)
    assert found.aims is not None
    assert found.choice is not None
    assert (str(found.target), found.aims.changes) == (target, aimed)
    assert found.choice.change is aimed[0]
    assert found.aims.certificates == OPEN
    assert (found.aims.class_revision == "two") is (Change.CLASS_REVISION in aimed)
    assert found.aims.image == {"v1.36.1": "newer"}.get(target, f"ubuntu-{target}")
    assert found.message.count("; with it: ") == len(aimed) - 1


def test_a_new_version_brings_its_own_image() -> None:
    place = site(images=[{"version": "v1.36.3", "name": "special"}])
    found = plan(replace(subject(None, OLD, NEW, where=place), present=Present(image=FIRST)), OPEN)
    assert found.aims is not None
    assert found.aims.image == "special"


def test_a_minor_that_is_kept_out_keeps_nothing_else_out() -> None:
    maintenance = {"windows": [TUESDAYS], "exclusions": [{**EXCLUDED["exclusions"][0], "scope": "Minor"}]}
    found = begun(cluster(updates=MINORS, maintenance=maintenance), NEXT)
    assert found.aims is not None
    assert found.aims.changes == (Change.CLASS_REVISION, Change.CERTIFICATES)
    assert found.target == RUNS


def test_what_is_due_waits_for_a_minor_in_the_same_window() -> None:
    exclusion = {"from": "2026-12-01T00:00:00Z", "until": "2027-01-06T00:00:00Z", "scope": "Minor", "reason": "freeze"}
    of = cluster(updates=MINORS, maintenance={"windows": [TUESDAYS], "exclusions": [exclusion]})
    found = begun(of, NEXT)
    assert (found.target, found.reason, found.begins) == (None, "Excluded", at("2027-01-06 00:00"))
    later = begun(of, NEXT, now=at("2027-01-06 00:00"))
    assert later.aims is not None
    assert later.aims.changes == (Change.MINOR, Change.CLASS_REVISION, Change.CERTIFICATES)


def test_certificates_that_can_wait_no_longer_go_alone_outside_of_windows() -> None:
    present = replace(ALL, certificates_end=NOW + 10 * DAY)
    found = begun(cluster(), NEW, NEWER, present=present, now=NOW)
    assert found.aims is not None
    assert (found.aims.changes, found.target, found.reason) == ((Change.CERTIFICATES,), RUNS, "CertificatesEnd")


def test_a_day_between_updates_of_any_kind() -> None:
    daily = {**TUESDAYS, "recurrence": "FREQ=DAILY", "durationMinutes": 1440}
    of = replace(subject(cluster(maintenance={"windows": [daily]}), OLD, NEWER), present=Present(image=FIRST))
    found = plan(replace(of, standing=Standing(RUNS, NOW - timedelta(hours=5))), NOW)
    assert (found.target, found.reason) == (None, "TooSoon")
    assert "node image newer is begun 2027-01-05 07:00 UTC" in found.message


def test_away_from_what_has_expired_all_that_is_due_goes_along() -> None:
    ended = release("v1.36.1", expires="2027-01-01")
    found = plan(replace(subject(None, ended, NEW), present=ALL), OPEN)
    assert found.aims is not None
    assert (found.reason, found.aims.changes[0], found.aims.class_revision) == ("Expired", Change.PATCH, "two")


def test_what_is_due_does_not_wait_for_an_end_that_is_far() -> None:
    """It was not announced yet, and is left in a month."""
    ended = release("v1.36.1", expires="2027-01-01")
    of = replace(subject(cluster("v1.36.1"), ended, NEW), present=replace(ALL, image=None))
    found = plan(of, OPEN)
    assert found.aims is not None
    assert (found.target, found.aims.changes) == (RUNS, (Change.CLASS_REVISION, Change.CERTIFICATES))
    assert plan(of, NOW).begins == at("2027-02-09 22:00")


# --- whatever is due ----------------------------------------------------------------------------------------------


@st.composite
def presents(draw: st.DrawFn) -> Present:
    days = st.integers(-30, 120)
    return Present(
        draw(st.sampled_from([None, FIRST, "newer", "unheard-of"])),
        None,
        draw(st.sampled_from([None, "one", "two"])),
        draw(st.sampled_from([None, "one", "two"])),
        NOW - draw(days) * DAY,
        draw(st.none() | days.map(lambda d: NOW + d * DAY)),
    )


CHANNELS = st.sampled_from(["Rapid", "Regular", "Stable", "None"])
UPDATES = st.fixed_dictionaries(
    {"channel": CHANNELS, "kubernetes": st.sampled_from(["Patch", "Minor", "None"])},
    optional={
        "nodeImages": st.fixed_dictionaries({"channel": CHANNELS}),
        "classRevision": st.fixed_dictionaries({"channel": CHANNELS}),
        "certificates": st.sampled_from(["Auto", "None"]),
    },
)


@given(UPDATES, presents(), st.lists(st.sampled_from([NEW, NEXT, NEWER]), unique_by=id), st.integers(0, 24 * 14))
def test_invariants(updates: Mapping[str, Any], present: Present, releases: list[Release], hours: int) -> None:
    now = NOW + timedelta(hours=hours)
    of = replace(subject(cluster(updates=dict(updates)), OLD, *releases), present=present)
    found = plan(of, now)
    assert found.until is None or found.until > now
    if found.choice is None:
        assert found.aims is None
        return
    planned = found.choice.aims
    assert planned is not None
    assert planned.changes == tuple(sorted(set(planned.changes), key=LARGEST_FIRST.index))
    assert planned.changes[0] is found.choice.change
    assert what(found.choice)
    spec = of.cluster.spec.updates
    assert Change.CLASS_REVISION not in planned.changes or spec.class_channel != "None"
    assert Change.IMAGE not in planned.changes or spec.image_channel != "None"
    assert Change.CERTIFICATES not in planned.changes or spec.certificates == "Auto"
    assert planned.image is None or planned.image != present.image
    assert planned.class_revision is None or planned.class_revision != present.class_revision
    if found.target is not None:
        opening = of.calendar.openings(found.choice.change, now, now + DAY)
        assert found.reason == "CertificatesEnd" or any(o.start <= now < o.end for o in opening)
        if found.reason == "CertificatesEnd":
            assert present.certificates_end is not None
            assert present.certificates_end - now <= RENEW_AT_LATEST < RENEW_BEFORE


@given(UPDATES, presents(), st.lists(st.sampled_from([NEW, NEXT, NEWER]), unique_by=id))
def test_an_answer_holds_until_it_says(updates: Mapping[str, Any], present: Present, releases: list[Release]) -> None:
    of = replace(subject(cluster(updates=dict(updates)), OLD, *releases), present=present)
    found = plan(of, NOW)
    for hours in range(0, 24 * 40, 7):
        now = NOW + timedelta(hours=hours)
        if found.until is not None and now >= found.until:
            return
        later = plan(of, now)
        assert (later.target is None) is (found.target is None)


def test_what_a_new_version_brings() -> None:
    found = aims(version("v1.37.0"), Change.MINOR, (), "its-own")
    assert (found.changes, found.image, found.class_revision, found.certificates) == (
        (Change.MINOR,),
        "its-own",
        None,
        None,
    )

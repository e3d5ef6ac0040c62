"""Which version a Cluster is brought to: a table, and what holds whatever there is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.api.release import Release
from kaas.api.release_state import ReleaseState, state_of
from kaas.api.updates import Channel, KubernetesUpdates
from kaas.api.versions import KubernetesVersion, matches
from kaas.updates.facts import Change, Choice
from kaas.updates.releases import by_version
from kaas.updates.targets import Refusal, choose
from tests.unit.updates.subjects import cluster, raw_release, site, version

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
DAY = timedelta(days=1)
# Days from now at which a Release enters rapid, regular, stable, is deprecated, expires; None for never.
Dates = tuple[int | None, int | None, int | None, int | None, int | None]
IN_ALL: Dates = (-90, -60, -30, None, None)
RAPID: Dates = (-5, 5, 15, None, None)
REGULAR: Dates = (-20, -10, 15, None, None)
ONLY_RAPID: Dates = (-5, None, None, None, None)
COMING: Dates = (10, 20, 30, None, None)
OLD: Dates = (-90, -60, -30, -10, None)
ENDED: Dates = (-90, -60, -30, -20, -7)
ENDS: Dates = (-90, -60, -30, -10, 25)
MINOR = {"kubernetes": "Minor"}
NONE = {"kubernetes": "None"}


def release(text: str, dates: Dates | None, name: str | None = None) -> Release:
    """None: without channels."""
    raw = raw_release(text, None)
    spec = raw["spec"]
    if dates is not None:
        *channels, deprecated, expires = (NOW + day * DAY if day is not None else None for day in dates)
        spec = spec | {"channels": dict(zip(("rapid", "regular", "stable"), channels, strict=True))}
        spec = spec | {"deprecated": deprecated, "expires": expires}
    return Release.model_validate({**raw, "metadata": {"name": name or text}, "spec": spec})


def chosen(
    asked: str,
    updates: dict[str, Any],
    releases: dict[str, Dates | None],
    running: str | None = "v1.36.1",
    limit: str | None = None,
) -> Choice | Refusal:
    place = site(updates={"maxVersion": limit} if limit else {})
    known = [release(text, dates) for text, dates in releases.items()]
    return choose(cluster(asked, updates=updates), version(running) if running else None, known, place, NOW)


@pytest.mark.parametrize(
    ("asked", "updates", "releases", "found"),
    [
        ("1.36", {}, {"v1.36.1": IN_ALL, "v1.36.2": IN_ALL, "v1.36.3": IN_ALL}, "v1.36.3"),
        ("1.36", {}, {"v1.36.1": IN_ALL, "v1.36.2": REGULAR, "v1.36.3": RAPID}, "v1.36.2"),
        ("1.36", {"channel": "Rapid"}, {"v1.36.1": IN_ALL, "v1.36.2": REGULAR, "v1.36.3": RAPID}, "v1.36.3"),
        ("1.36", {"channel": "Stable"}, {"v1.36.2": IN_ALL, "v1.36.3": REGULAR}, "v1.36.2"),
        ("1.36", {}, {"v1.36.9": IN_ALL, "v1.36.10": IN_ALL}, "v1.36.10"),
        ("1.36", MINOR, {"v1.36.3": IN_ALL, "v1.37.1": IN_ALL}, "v1.36.3"),
        ("1.36", MINOR, {"v1.36.1": IN_ALL, "v1.37.0": IN_ALL, "v1.37.1": IN_ALL, "v1.38.0": IN_ALL}, "v1.37.1"),
        ("1.35", MINOR, {"v1.36.1": IN_ALL, "v1.37.0": IN_ALL}, "v1.37.0"),
        ("1.35", {}, {"v1.36.1": IN_ALL, "v1.36.2": IN_ALL, "v1.37.0": IN_ALL}, "v1.36.2"),
        ("1.36", {}, {"v1.36.1": OLD, "v1.36.2": IN_ALL, "v1.36.3": OLD}, "v1.36.2"),
        ("1.36", {}, {"v1.36.1": OLD, "v1.36.2": OLD}, "v1.36.2"),
        ("1.36", {}, {"v1.36.2": OLD}, "v1.36.2"),  # the Release of what runs is gone: nobody knows how it is
        ("1.36", MINOR, {"v1.36.1": IN_ALL, "v1.36.2": OLD, "v1.37.0": IN_ALL}, "v1.37.0"),
        ("1.36", MINOR, {"v1.36.1": IN_ALL, "v1.36.2": ENDED, "v1.37.0": ENDED, "v1.37.1": IN_ALL}, "v1.37.1"),
    ],
)
def test_newest_of_the_channel(
    asked: str, updates: dict[str, Any], releases: dict[str, Dates | None], found: str
) -> None:
    choice = chosen(asked, updates, releases)
    assert isinstance(choice, Choice)
    assert str(choice.version) == found
    assert choice.change is (Change.PATCH if found.startswith("v1.36") else Change.MINOR)
    assert not choice.forced
    assert choice.wanted


@pytest.mark.parametrize(
    ("asked", "updates", "releases", "reason", "days"),
    [
        ("1.36", {}, {"v1.36.1": IN_ALL}, "UpToDate", None),
        ("1.36", {}, {}, "UpToDate", None),
        ("1.36", {}, {"v1.36.1": IN_ALL, "v1.36.0": IN_ALL, "v1.35.9": IN_ALL}, "UpToDate", None),
        ("1.36", {}, {"v1.36.1": IN_ALL, "v1.36.2": None}, "UpToDate", None),
        ("1.36", {}, {"v1.36.1": IN_ALL, "v1.36.2": OLD}, "UpToDate", None),
        ("1.36", {}, {"v1.36.1": IN_ALL, "v1.36.2": ENDED}, "UpToDate", None),
        ("1.36", {}, {"v1.36.1": IN_ALL, "v1.37.0": IN_ALL}, "UpToDate", None),
        ("1.36", MINOR, {"v1.36.1": IN_ALL, "v1.38.0": IN_ALL}, "UpToDate", None),
        ("1.36", {}, {"v1.36.1": ENDS}, "UpToDate", 25),
        ("1.36", {}, {"v1.36.1": IN_ALL, "v1.36.2": RAPID}, "NotInChannel", 5),
        ("1.36", {}, {"v1.36.1": IN_ALL, "v1.36.2": COMING}, "NotInChannel", 10),
        ("1.36", {}, {"v1.36.1": IN_ALL, "v1.36.2": ONLY_RAPID}, "NotInChannel", None),
        ("1.36", MINOR, {"v1.36.1": IN_ALL, "v1.37.0": RAPID}, "NotInChannel", 5),
        ("v1.36.1", {}, {"v1.36.1": IN_ALL, "v1.36.2": IN_ALL}, "Pinned", None),
        ("v1.36.1", {}, {"v1.36.1": ENDS, "v1.36.2": IN_ALL}, "Pinned", 25),
        ("v1.36.0", {}, {"v1.36.1": IN_ALL, "v1.36.2": IN_ALL}, "AheadOfVersion", None),
        ("v1.35.0", {}, {"v1.36.1": IN_ALL, "v1.36.2": IN_ALL}, "AheadOfVersion", None),
        ("v1.36.9", {}, {"v1.36.1": IN_ALL, "v1.36.2": IN_ALL}, "VersionChanged", None),
        ("1.37", MINOR, {"v1.36.1": IN_ALL, "v1.36.2": IN_ALL}, "VersionChanged", None),
        ("1.37", {}, {"v1.36.1": IN_ALL, "v1.37.0": COMING}, "VersionChanged", 10),
        ("1.38", {}, {"v1.36.1": IN_ALL, "v1.38.0": IN_ALL}, "VersionChanged", None),
        ("1.36", {"channel": "None"}, {"v1.36.1": IN_ALL, "v1.36.2": IN_ALL}, "ChannelNone", None),
        ("1.36", NONE, {"v1.36.1": IN_ALL, "v1.36.2": IN_ALL}, "KubernetesNone", None),
        ("1.36", {}, {"v1.36.1": ENDED, "v1.38.2": IN_ALL}, "ExpiredWithoutNext", None),
        ("1.36", {}, {"v1.36.1": ENDED, "v1.37.2": COMING}, "ExpiredWithoutNext", 10),
        ("1.36", {}, {"v1.36.1": ENDED, "v1.36.2": None}, "ExpiredWithoutNext", None),
    ],
)
def test_why_there_is_nothing(
    asked: str, updates: dict[str, Any], releases: dict[str, Dates | None], reason: str, days: int | None
) -> None:
    refusal = chosen(asked, updates, releases)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.until) == (reason, NOW + days * DAY if days is not None else None)
    assert refusal.message


@pytest.mark.parametrize(
    ("asked", "updates", "releases", "found"),
    [
        ("v1.36.1", {}, {"v1.36.1": ENDED, "v1.36.2": IN_ALL, "v1.36.3": RAPID}, "v1.36.3"),
        ("1.36", NONE, {"v1.36.1": ENDED, "v1.36.2": IN_ALL}, "v1.36.2"),
        ("1.36", {"channel": "None"}, {"v1.36.1": ENDED, "v1.36.2": RAPID}, "v1.36.2"),
        ("1.36", {"channel": "Stable"}, {"v1.36.1": ENDED, "v1.36.2": RAPID}, "v1.36.2"),
        ("v1.36.1", {}, {"v1.36.1": ENDED, "v1.36.2": ENDED, "v1.37.0": IN_ALL, "v1.38.0": IN_ALL}, "v1.37.0"),
        ("v1.36.1", {}, {"v1.36.1": ENDED, "v1.36.2": IN_ALL, "v1.36.3": OLD}, "v1.36.2"),
        ("v1.36.1", {}, {"v1.36.1": ENDED, "v1.36.2": OLD, "v1.37.0": IN_ALL}, "v1.36.2"),
        ("v1.36.1", {}, {"v1.36.1": ENDED, "v1.37.0": COMING, "v1.37.1": OLD}, "v1.37.1"),
        ("v1.35.6", {}, {"v1.36.1": ENDED, "v1.36.2": IN_ALL}, "v1.36.2"),
        ("1.36", {}, {"v1.36.1": ENDED, "v1.37.0": IN_ALL}, "v1.37.0"),
    ],
)
def test_expired_forces(asked: str, updates: dict[str, Any], releases: dict[str, Dates | None], found: str) -> None:
    choice = chosen(asked, updates, releases)
    assert isinstance(choice, Choice)
    assert (str(choice.version), choice.forced, choice.wanted) == (found, True, False)
    assert "has expired" in choice.message


def test_expired_is_left_whatever_a_person_asks_for_in_vain() -> None:
    for asked in ("1.37", "v1.36.9", "1.38"):
        choice = chosen(
            asked, MINOR if asked[0] == "1" else {}, {"v1.36.1": ENDED, "v1.36.2": IN_ALL, "v1.38.0": IN_ALL}
        )
        assert isinstance(choice, Choice)
        assert (str(choice.version), choice.forced, choice.asked) == ("v1.36.2", True, False)


def test_expired_and_wanted_comes_from_the_channel() -> None:
    choice = chosen("1.36", {}, {"v1.36.1": ENDED, "v1.36.2": IN_ALL, "v1.36.3": RAPID})
    assert isinstance(choice, Choice)
    assert (str(choice.version), choice.forced, choice.wanted) == ("v1.36.2", True, True)


@pytest.mark.parametrize(
    ("asked", "releases", "days"),
    [
        ("1.36", {"v1.36.1": IN_ALL, "v1.36.2": REGULAR}, -10),
        ("v1.36.1", {"v1.36.1": ENDED, "v1.36.2": IN_ALL}, -7),
        ("v1.36.1", {"v1.36.1": ENDED, "v1.36.2": ONLY_RAPID}, -5),
    ],
)
def test_since(asked: str, releases: dict[str, Dates | None], days: int) -> None:
    choice = chosen(asked, {}, releases)
    assert isinstance(choice, Choice)
    assert choice.since == NOW + days * DAY


@pytest.mark.parametrize(
    ("asked", "updates", "releases", "limit", "said"),
    [
        ("1.36", MINOR, {"v1.36.1": IN_ALL, "v1.37.0": IN_ALL}, "1.36", "SiteLimit"),
        ("1.36", MINOR, {"v1.36.1": IN_ALL, "v1.37.0": IN_ALL}, "1.37", "v1.37.0"),
        ("1.36", {}, {"v1.36.1": IN_ALL, "v1.36.2": IN_ALL}, "1.35", "SiteLimit"),
        ("v1.36.1", {}, {"v1.36.1": ENDED, "v1.37.0": IN_ALL}, "1.36", "SiteLimit"),
        ("v1.36.1", {}, {"v1.36.1": ENDED, "v1.36.2": IN_ALL}, "1.36", "v1.36.2"),
        ("1.36", {}, {"v1.36.1": IN_ALL}, "1.35", "UpToDate"),
    ],
)
def test_never_past_what_the_site_supports(
    asked: str, updates: dict[str, Any], releases: dict[str, Dates | None], limit: str, said: str
) -> None:
    found = chosen(asked, updates, releases, limit=limit)
    assert (str(found.version) if isinstance(found, Choice) else found.reason) == said


@pytest.mark.parametrize(
    ("asked", "updates", "releases", "found"),
    [
        ("v1.36.2", {}, {"v1.36.1": IN_ALL, "v1.36.2": IN_ALL, "v1.36.3": IN_ALL}, "v1.36.2"),
        ("v1.36.2", {"channel": "None"}, {"v1.36.1": IN_ALL, "v1.36.2": COMING}, "v1.36.2"),
        ("v1.37.1", NONE, {"v1.36.1": ENDED, "v1.36.2": IN_ALL, "v1.37.1": IN_ALL}, "v1.37.1"),
        ("1.37", {}, {"v1.36.1": IN_ALL, "v1.37.0": IN_ALL, "v1.37.1": RAPID, "v1.37.2": COMING}, "v1.37.0"),
        ("1.37", {"channel": "Rapid"}, {"v1.36.1": IN_ALL, "v1.37.0": IN_ALL, "v1.37.1": RAPID}, "v1.37.1"),
        ("1.37", {}, {"v1.36.1": IN_ALL, "v1.37.0": None}, "v1.37.0"),
    ],
)
def test_what_a_person_asks_for(
    asked: str, updates: dict[str, Any], releases: dict[str, Dates | None], found: str
) -> None:
    choice = chosen(asked, updates, releases)
    assert isinstance(choice, Choice)
    assert (str(choice.version), choice.asked, choice.forced) == (found, True, False)
    assert choice.change == ("Patch" if ".36." in found else "Minor")
    assert f"spec.version asks for {asked}" in choice.message


@pytest.mark.parametrize(("asked", "way_out"), [("1.38", "ask for 1.37 first"), ("v1.37.9", "team add a Release")])
def test_what_a_person_cannot_have(asked: str, way_out: str) -> None:
    refusal = chosen(asked, {}, {"v1.36.1": IN_ALL, "v1.37.0": IN_ALL, "v1.38.0": IN_ALL})
    assert isinstance(refusal, Refusal)
    assert way_out in refusal.message


def test_nothing_for_a_cluster_that_does_not_run() -> None:
    found = chosen("1.36", {}, {"v1.36.2": IN_ALL}, running=None)
    assert isinstance(found, Refusal)
    assert found.reason == "NotRunning"


def test_the_way_out_is_told() -> None:
    found = chosen("1.36", {}, {"v1.36.1": IN_ALL, "v1.37.0": IN_ALL})
    assert found.message.endswith('for v1.37.0 set spec.version to "1.37"')
    found = chosen("v1.36.1", {}, {"v1.36.1": IN_ALL})
    assert 'set it to "1.36"' in found.message


def test_of_several_releases_of_a_version_one_in_the_channel_is_enough() -> None:
    of_version = [release("v1.36.2", REGULAR), release("v1.36.2", COMING, "v1.36.2-2")]
    found = choose(cluster("1.36"), version("v1.36.1"), of_version, site(), NOW)
    assert isinstance(found, Choice)
    assert (str(found.version), found.since) == ("v1.36.2", NOW - 10 * DAY)


def test_a_newer_image_keeps_a_version_from_expiring() -> None:
    of_version = [release("v1.36.1", ENDED), release("v1.36.1", REGULAR, "v1.36.1-2"), release("v1.36.2", IN_ALL)]
    found = choose(cluster("v1.36.1"), version("v1.36.1"), of_version, site(), NOW)
    assert isinstance(found, Refusal)
    assert found.reason == "Pinned"


# --- whatever there is --------------------------------------------------------------------------------------------

Question = tuple[str, dict[str, Any], KubernetesVersion, list[Release], str | None]
versions = st.builds(KubernetesVersion, st.integers(35, 38), st.integers(0, 3))


USUAL: tuple[Dates | None, ...] = (IN_ALL, IN_ALL, RAPID, REGULAR, ONLY_RAPID, COMING, OLD, ENDED, ENDED, ENDS, None)


@st.composite
def some_dates(draw: st.DrawFn) -> Dates:
    days = iter(sorted(draw(st.lists(st.integers(-100, 100), min_size=5, max_size=5))))
    given_here = draw(st.lists(st.booleans(), min_size=5, max_size=5))
    rapid, regular, stable, deprecated, expires = (
        d if here else None for d, here in zip(days, given_here, strict=True)
    )
    return rapid, regular, stable, deprecated, expires


@st.composite
def some_releases(draw: st.DrawFn) -> list[Release]:
    dates = st.sampled_from(USUAL) | some_dates()
    size = draw(st.sampled_from([0, 1, 4, 8, 16]))
    found = draw(st.lists(st.tuples(versions, dates), min_size=size, max_size=size))
    return [release(str(v), dates, f"{v}-{n}") for n, (v, dates) in enumerate(found)]


@st.composite
def questions(draw: st.DrawFn) -> Question:
    running = draw(st.builds(KubernetesVersion, st.integers(35, 37), st.integers(0, 2)))
    of_minor = f"1.{running.minor}"
    asked = draw(st.sampled_from([of_minor, of_minor, of_minor, "1.35", str(running), "v1.35.0", "1.36"]))
    kubernetes = draw(st.sampled_from([u for u in KubernetesUpdates if u != "Minor" or not asked.startswith("v")]))
    updates = {"channel": draw(st.sampled_from(list(Channel))), "kubernetes": kubernetes}
    limit = draw(st.sampled_from([None, None, None, "1.35", "1.36", "1.37"]))
    of_running = [release(str(running), dates, "running") for dates in draw(st.sampled_from([[], [IN_ALL], [ENDED]]))]
    return asked, updates, running, draw(some_releases()) + of_running, limit


@given(questions())
def test_invariants(question: Question) -> None:
    asked, updates, running, releases, limit = question
    subject, place = cluster(asked, updates=updates), site(updates={"maxVersion": limit} if limit else {})
    found = choose(subject, running, releases, place, NOW)
    assert found == choose(subject, running, releases[::-1], place, NOW)
    known = by_version(releases)
    expired = running in known and known[running].state(NOW) is ReleaseState.EXPIRED
    opted_out = asked.startswith("v") or "None" in updates.values()
    if isinstance(found, Refusal):
        assert found.until is None or found.until > NOW
        return
    target = found.version
    states = {state_of(r, NOW) for r in known[target].releases}
    assert running < target
    assert target.minor <= running.minor + 1
    assert (found.change is Change.MINOR) is (target.minor > running.minor)
    if found.asked:
        assert matches(asked, target)
        assert not matches(asked, running)
        return
    assert limit is None or target.minor <= int(limit.partition(".")[2])
    assert states & {ReleaseState.SUPPORTED, ReleaseState.DEPRECATED}
    assert found.forced is expired
    assert not opted_out or expired
    assert found.since <= NOW
    channel = Channel.RAPID if not found.wanted else subject.spec.updates.channel
    better = [v for v, r in known.items() if running < v and r.state_in(channel, NOW) is ReleaseState.SUPPORTED]
    of_minor = [v for v in better if v.minor == target.minor]
    assert not of_minor or target == max(of_minor)
    assert found.change is Change.PATCH or not any(v.minor == running.minor for v in better)
    if found.change is Change.MINOR and found.wanted:
        assert updates["kubernetes"] == "Minor"


@given(questions())
def test_it_ends(question: Question) -> None:
    """Brought to what is chosen again and again, a Cluster comes to rest, and by steps that only go up."""
    asked, updates, running, releases, limit = question
    subject, place = cluster(asked, updates=updates), site(updates={"maxVersion": limit} if limit else {})
    for _ in range(len(releases) + 1):
        found = choose(subject, running, releases, place, NOW)
        if isinstance(found, Refusal):
            return
        running = found.version
    raise AssertionError(f"still at it: {running}")


@given(questions(), st.integers(0, 200))
def test_an_answer_holds_until_it_says(question: Question, days: int) -> None:
    asked, updates, running, releases, limit = question
    subject, place = cluster(asked, updates=updates), site(updates={"maxVersion": limit} if limit else {})
    found, later = (choose(subject, running, releases, place, t) for t in (NOW, NOW + days * DAY))
    if isinstance(found, Refusal) and (found.until is None or NOW + days * DAY < found.until):
        assert later == found

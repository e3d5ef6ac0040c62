"""How often a calendar looks: dates that change nothing are left out, and what is foretold is the same without that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from kaas.api.release import Release
from kaas.updates import forecast as module
from kaas.updates.catalogue import Catalogue, catalogue
from kaas.updates.facts import Change, Choice
from kaas.updates.forecast import forecast
from kaas.updates.merging import with_due
from kaas.updates.planner import plan, plan_and_notice
from kaas.updates.standing import Present, Standing
from kaas.updates.subject import Subject
from kaas.updates.targets import Refusal
from tests.unit.updates.subjects import NOW, TUESDAYS, at, cluster, raw_release, release, site, subject, version

MINORS = {"kubernetes": "Minor"}
VERSIONS = ("v1.36.1", "v1.36.2", "v1.36.3", "v1.37.0", "v1.37.1")
OLD = release("v1.36.1")
LATER = release("v1.36.2", "2027-03-01", rapid="2027-01-10", stable="2027-03-20", expires="2028-01-01")
EVEN_LATER = release("v1.36.3", "2027-03-02", rapid="2027-02-10", stable="2027-03-21", expires="2028-01-02")


def looks(of: Subject) -> list[datetime]:
    """The times at which is looked."""
    with patch.object(module, "plan_and_notice", side_effect=plan_and_notice) as looked:
        forecast(of, NOW)
    return [call.args[1] for call in looked.call_args_list]


def test_a_date_of_another_channel_is_no_reason_to_look() -> None:
    pinned = subject(cluster("v1.36.1"), OLD, LATER, EVEN_LATER)
    assert looks(pinned) == [NOW]
    assert looks(subject(None, OLD, LATER, EVEN_LATER))[:2] == [NOW, at("2027-03-01 00:00")]


def test_what_is_refused_says_until_when_it_stays() -> None:
    known, of = catalogue([OLD, LATER, EVEN_LATER]), cluster()
    each, lasting = (k.choose(of, version("v1.36.1"), site(), NOW) for k in (known, known.lasting))
    assert isinstance(each, Refusal)
    assert isinstance(lasting, Refusal)
    assert (lasting.reason, lasting.message) == (each.reason, each.message)
    assert (each.until, lasting.until) == (at("2027-01-10 00:00"), at("2027-03-01 00:00"))


def test_the_end_of_what_runs_is_looked_at_though_the_same_is_refused() -> None:
    """Its first Release is a preview until then, so nothing was known of its end."""
    preview = release("v1.36.1", "2027-01-20", expires="2027-02-01")
    assert at("2027-01-20 00:00") in looks(subject(cluster("v1.36.1"), preview))
    assert forecast(subject(cluster("v1.36.1"), preview), NOW)[0].kind == "Warning"


def test_a_minor_that_waits_for_its_turn_after_a_patch_is_looked_at_when_it_begins() -> None:
    """Dates at which nothing else is chosen do not count, though the window of the patch is still open."""
    began, minor = at("2027-01-05 22:00"), release("v1.37.0")
    of = subject(cluster(updates=MINORS), OLD, minor, release("v1.38.0", "2027-01-08"), standing=Standing(began=began))
    assert plan(of, began).until == at("2027-01-12 22:00")
    soon = release("v1.36.2", "2027-01-08")
    newer = subject(cluster(updates=MINORS), OLD, minor, soon, standing=Standing(began=began))
    assert plan(newer, began).until == at("2027-01-08 00:00")


def test_what_comes_with_a_choice_is_put_together_once() -> None:
    choice = Choice(version("v1.36.2"), Change.PATCH, NOW, forced=False, message="why")
    assert with_due(choice, (), "image") is with_due(replace(choice), (), "image")
    assert with_due(choice, (), "image") != with_due(choice, (), "another")


# --- the same is foretold -----------------------------------------------------------------------------------------


def day(number: int) -> str:
    return f"{NOW + timedelta(days=number):%Y-%m-%d}"


@st.composite
def releases(draw: st.DrawFn) -> list[Release]:
    found = []
    for text in draw(st.lists(st.sampled_from(VERSIONS), min_size=1, unique=True)):
        rapid = draw(st.integers(-90, 90))
        regular, stable = rapid + draw(st.integers(0, 30)), rapid + draw(st.integers(30, 60))
        expires = draw(st.none() | st.integers(stable, stable + 90))
        ends = None if expires is None else day(expires)
        raw = raw_release(text, day(regular), ends, rapid=day(rapid), stable=day(stable))
        found.append(Release.model_validate(raw))
    return found


def exclusions(days: Sequence[int], scope: str) -> list[dict[str, Any]]:
    return [
        {"from": f"{day(d)}T00:00:00Z", "until": f"{day(d + 9)}T00:00:00Z", "scope": scope, "reason": "r"} for d in days
    ]


@settings(max_examples=60, deadline=None)
@given(
    releases(),
    st.sampled_from(("1.36", "v1.36.1")),
    st.sampled_from(("Rapid", "Regular", "Stable", "None")),
    st.sampled_from(("Patch", "Minor")),
    st.lists(st.integers(-5, 80), max_size=2),
    st.sampled_from(("All", "Minor")),
    st.none() | st.integers(1, 90),
)
def test_it_foretells_what_is_foretold_when_every_date_is_looked_at(
    known: list[Release], asked: str, channel: str, kinds: str, without: list[int], scope: str, ends: int | None
) -> None:
    windows = {"windows": [TUESDAYS], "exclusions": exclusions(without, scope)}
    of = cluster(asked, updates={"channel": channel, "kubernetes": kinds}, maintenance=windows)
    present = Present("ubuntu-v1.36.1", certificates_end=None if ends is None else NOW + timedelta(days=ends))
    there = replace(subject(of, *known), present=present)
    with patch.object(Catalogue, "lasting", property(lambda each: each)):
        expected = forecast(there, NOW)
    assert forecast(there, NOW) == expected

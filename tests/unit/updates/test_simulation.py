"""Years of random Clusters: what must hold whenever something is begun, where each ends, and what was foretold."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaas.api.updates import Channel, KubernetesUpdates
from kaas.api.versions import KubernetesVersion, minor_of
from kaas.updates.facts import Change
from kaas.updates.forecast import DAYS
from kaas.updates.planner import BETWEEN
from tests.unit.updates.subjects import NOW
from tests.unit.updates.virtual_year import YEAR, Begun, Year

SEEDS = range(150)


def lived(seed: int, *, faults: bool) -> Year:
    year = Year(Random(seed), faults)  # noqa: S311 - the same again for the same seed
    year.run()
    return year


def check(year: Year) -> None:
    for begun in year.begun:
        is_allowed(year, begun)
    for one, other in zip(year.begun, year.begun[1:], strict=False):
        assert other.at - one.at >= BETWEEN
    ends_well(year)
    for time, events in year.forecasts:
        until = min(time + timedelta(days=DAYS), NOW + YEAR)
        said = [(e.at, e.version) for e in events if e.kind == "Update" and e.at < until]
        assert said == [(b.at, b.target) for b in year.begun if time <= b.at < until], f"foretold on {time}"
        warned = [(e.at, e.version) for e in events if e.kind == "Warning" and e.at < until]
        assert warned == [(t, version) for t, version, _ in year.warnings if time <= t < until], f"foretold on {time}"


def is_allowed(year: Year, begun: Begun) -> None:
    spec = year.cluster.spec
    assert begun.target > begun.running
    assert begun.target.minor - begun.running.minor <= 1
    limit = year.site.spec.updates.max_version
    assert limit is None or begun.target.minor <= minor_of(limit) or begun.change == "Patch"
    change = Change(begun.change)
    inside = year.calendar.open_at(change, begun.at) and not year.calendar.excluded_by(change, begun.at)
    opted_out = spec.version.startswith("v") or spec.updates.channel is Channel.NONE
    opted_out |= spec.updates.kubernetes is KubernetesUpdates.NONE
    if opted_out:
        assert begun.forced
        assert begun.warned == (30, 7, 1)
        assert begun.first_warning is not None
        assert begun.at - begun.first_warning >= timedelta(days=30)
    if not inside:
        assert begun.forced
        assert begun.reason == "Expired"
        assert begun.warned == (30, 7, 1)


def ends_well(year: Year) -> None:
    """It runs the newest that its channel allows, or a reason says why not."""
    time, last = year.looks[-1]
    assert last.reason
    assert last.message
    if last.reason != "UpToDate":
        return
    spec, running = year.cluster.spec, year.running
    there = {Channel.RAPID: "rapid", Channel.REGULAR: "regular", Channel.STABLE: "stable"}[spec.updates.channel]
    for release in year.releases:
        found, version = release.spec, KubernetesVersion.parse(release.spec.version)
        date = getattr(found.channels, there) if found.channels else None
        ended = [d for d in (found.deprecated, found.expires) if d is not None and d <= time]
        ahead = (0, 1) if spec.updates.kubernetes is KubernetesUpdates.MINOR else (0,)
        if date is not None and date <= time and not ended and version.minor - running.minor in ahead:
            assert version <= running, f"{version} is in {there}, {running} runs and is said to be up to date"


@pytest.mark.parametrize("faults", [False, True])
def test_years_of_fixed_seeds(faults: bool) -> None:
    begun: list[Begun] = []
    for seed in SEEDS:
        year = lived(seed, faults=faults)
        check(year)
        begun += year.begun
    assert {b.change for b in begun} == {"Patch", "Minor"}  # the seeds show what they are to show
    assert {b.forced for b in begun} == {True, False}
    assert {b.reason for b in begun} == {"Updating", "Expired"}


@settings(max_examples=40)
@given(seed=st.integers(min_value=1000), faults=st.booleans())
def test_years_of_random_seeds(seed: int, faults: bool) -> None:
    check(lived(seed, faults=faults))

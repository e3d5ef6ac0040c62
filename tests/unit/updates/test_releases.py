"""Where Releases and versions stand at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kaas.api.release import Release
from kaas.api.release_state import ReleaseState, dates_of, entered, is_in, state_of
from kaas.api.updates import Channel
from kaas.updates.releases import by_version
from tests.unit.updates.subjects import raw_release, version

JANUARY, FEBRUARY, MARCH, APRIL, MAY = (datetime(2027, month, 1, tzinfo=UTC) for month in range(1, 6))
MOMENT = timedelta(seconds=1)
ALL: dict[str, Any] = {
    "channels": {"rapid": JANUARY, "regular": FEBRUARY, "stable": MARCH},
    "deprecated": APRIL,
    "expires": MAY,
}


def release(text: str = "v1.36.1", name: str | None = None, **spec: Any) -> Release:
    raw = raw_release(text, None)
    meta = {"name": name or text}
    return Release.model_validate({**raw, "metadata": meta, "spec": {**raw["spec"], **spec}})


@pytest.mark.parametrize(
    ("spec", "now", "state"),
    [
        (ALL, JANUARY - MOMENT, "preview"),
        (ALL, JANUARY, "supported"),
        (ALL, APRIL - MOMENT, "supported"),
        (ALL, APRIL, "deprecated"),
        (ALL, MAY - MOMENT, "deprecated"),
        (ALL, MAY, "expired"),
        ({}, JANUARY, "supported"),
        ({"channels": {}}, MAY, "preview"),
        ({"channels": {"stable": MARCH}}, JANUARY, "preview"),
        ({"channels": {"stable": MARCH}}, MARCH, "supported"),
        ({"deprecated": APRIL}, APRIL, "deprecated"),
        ({"expires": MAY}, MAY, "expired"),
        ({"channels": {}, "expires": MAY}, MAY, "expired"),
    ],
)
def test_state(spec: dict[str, Any], now: datetime, state: str) -> None:
    assert state_of(release(**spec), now) == ReleaseState(state)


@pytest.mark.parametrize(
    ("channels", "found"),
    [
        ({"rapid": JANUARY, "regular": FEBRUARY, "stable": MARCH}, (JANUARY, FEBRUARY, MARCH, None)),
        ({"rapid": JANUARY}, (JANUARY, None, None, None)),
        ({"stable": MARCH}, (MARCH, MARCH, MARCH, None)),
        ({"rapid": JANUARY, "stable": MARCH}, (JANUARY, MARCH, MARCH, None)),
        ({}, (None, None, None, None)),
        (None, (None, None, None, None)),
    ],
)
def test_what_is_stable_is_in_the_channels_before_too(
    channels: dict[str, Any] | None, found: tuple[datetime | None, ...]
) -> None:
    subject = release(channels=channels)
    assert tuple(entered(subject, channel) for channel in Channel) == found
    for channel, date in zip(Channel, found, strict=True):
        assert date is None or not is_in(subject, channel, date - MOMENT)
        assert is_in(subject, channel, MAY) is (date is not None)


def test_times_are_told_in_utc() -> None:
    subject = release(channels={"rapid": "2027-01-01T09:00:00+09:00"}, expires="2027-05-01T02:00:00+02:00")
    assert [date.isoformat() for date in dates_of(subject)] == [
        "2027-01-01T00:00:00+00:00",
        "2027-05-01T00:00:00+00:00",
    ]
    assert str(entered(subject, Channel.RAPID)) == "2027-01-01 00:00:00+00:00"


def test_a_version_is_as_the_best_of_its_releases() -> None:
    first, second = release(**ALL), release(name="v1.36.1-2", channels={"rapid": APRIL, "regular": MAY})
    (found,) = by_version([first, second]).values()
    assert found.version == version("v1.36.1")
    assert found.releases == (first, second)
    assert [found.state(t) for t in (JANUARY - MOMENT, JANUARY, APRIL, MAY)] == [
        "preview",
        "supported",
        "supported",
        "supported",
    ]
    assert found.entered(Channel.REGULAR, JANUARY) == FEBRUARY
    assert found.entered(Channel.REGULAR, MAY) == MAY  # the first has expired
    assert found.state_in(Channel.REGULAR, APRIL) == "deprecated"  # the second is in Rapid only
    assert found.state_in(Channel.REGULAR, MAY) == "supported"
    assert found.state_in(Channel.NONE, MAY) is None


def test_what_is_in_preview_makes_nothing_better_that_has_expired() -> None:
    (found,) = by_version([release(**ALL), release(name="v1.36.1-2", channels={})]).values()
    assert found.state(MAY) == "expired"


def test_versions_are_apart() -> None:
    releases = [release("v1.36.1"), release("v1.37.0"), release("v1.36.1", "v1.36.1-2")]
    found = by_version(releases)
    assert {str(v): len(r.releases) for v, r in found.items()} == {"v1.36.1": 2, "v1.37.0": 1}
    assert by_version(()) == {}

"""What a person wrote into annotations: pauses end, what cannot be read is safe."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kaas.repairs.pauses import confirm, confirmed, pause, paused

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, ""),
        ("", "nobody said why"),
        ("moving racks", "moving racks"),
        (pause("moving", NOW + HOUR), "moving, until 2026-01-01T01:00:00+00:00"),
        (pause("moving", NOW), ""),
        ("until=tomorrow moving", "until=tomorrow moving"),
        ("until=2026-01-01T00:00:00 moving", "until=2026-01-01T00:00:00 moving"),  # of no zone
    ],
)
def test_pauses(value: str | None, why: str) -> None:
    assert paused(value, NOW) == why


def test_confirmations_are_added_and_end() -> None:
    first = confirm(None, "zone/az-1", NOW + HOUR, NOW)
    second = confirm(first, "host/h", NOW + 3 * HOUR, NOW + 2 * HOUR)
    assert confirmed(first) == {"zone/az-1": NOW + HOUR}
    assert confirmed(second) == {"host/h": NOW + 3 * HOUR}


@pytest.mark.parametrize("value", [None, "", "{", "[]", '{"a": 7}', '{"a": "2026-01-01T00:00:00"}'])
def test_what_cannot_be_read_confirms_nothing(value: str | None) -> None:
    assert confirmed(value) == {}

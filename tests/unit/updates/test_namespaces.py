"""What the annotation of a Namespace says, and what is said of one that cannot be used."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from kaas.api.constants import ANNOTATION_MAINTENANCE
from kaas.api.maintenance import Exclusion, Maintenance, Window
from kaas.updates.namespaces import MaintenanceInvalid, of_namespace

WINDOW = 'recurrence: FREQ=WEEKLY;BYDAY=TU, start: "22:00", durationMinutes: 240, timeZone: Asia/Tokyo'
EXCLUSION = "from: 2027-01-01T00:00:00Z, until: 2027-01-05T09:00:00+09:00, reason: new year"


def said(text: str | None) -> Maintenance | None:
    annotations = {} if text is None else {ANNOTATION_MAINTENANCE: text}
    return of_namespace({"metadata": {"name": "team-a", "annotations": annotations}})


def test_windows_and_exclusions() -> None:
    found = said(f"windows: [{{{WINDOW}, from: 2027-01-05}}]\nexclusions: [{{{EXCLUSION}}}]")
    assert found is not None
    assert found.windows == (
        Window(
            recurrence="FREQ=WEEKLY;BYDAY=TU",
            start="22:00",
            duration_minutes=240,
            time_zone="Asia/Tokyo",
            from_=date(2027, 1, 5),
        ),
    )
    new_year = Exclusion(
        from_=datetime(2027, 1, 1, tzinfo=UTC), until=datetime(2027, 1, 5, tzinfo=UTC), reason="new year"
    )
    assert found.exclusions == (new_year,)


@pytest.mark.parametrize("text", [None, ""])
def test_nothing(text: str | None) -> None:
    assert said(text) is None


@pytest.mark.parametrize("text", ["{}", "# later", "windows: []"])
def test_neither_windows_nor_exclusions(text: str) -> None:
    assert said(text) == Maintenance()


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("- a", "it must be YAML with windows and exclusions, as windows: [{recurrence: FREQ=WEEKLY;BYDAY=TU"),
        ("windows: []\n---\nwindows: []", "it must be YAML with windows and exclusions"),
        ("windows: [", "not YAML"),
        ("windows: []\nwindows: []", "'windows' is written twice: remove one"),
        ("window: []", "window: is not a field"),
        (f"windows: [{{{WINDOW.replace(chr(34), '')}}}]", "windows[0].start: must be text: put it in quotes"),
        (f"windows: [{{{WINDOW.replace('Tokyo', 'Tokio')}}}]", "windows[0].timeZone: timeZone must be a name from"),
        (f"windows: [{{{WINDOW.replace('=TU', '=TU;INTERVAL=2')}}}]", "windows[0].from: from is required with an"),
        (f"windows: [{{{WINDOW}, from: 2027-02-30}}]", "windows[0].from: must be a date, as 2027-01-05"),
        (f"exclusions: [{{{EXCLUSION.replace('until: 2027', 'until: 2026')}}}]", "exclusions[0].until: until must be"),
        (f"exclusions: [{{{EXCLUSION.replace('T00:00:00Z', '')}}}]", "exclusions[0].from: must be a time with its"),
        (f"exclusions: [{{{EXCLUSION.replace('00Z', '00')}}}]", "exclusions[0].from: must say its time zone"),
        (f"exclusions: [{{{EXCLUSION.partition(', reason')[0]}}}]", "exclusions[0].reason: is required: set it"),
    ],
)
def test_refused_with_object_field_and_way_out(text: str, way_out: str) -> None:
    with pytest.raises(MaintenanceInvalid) as refusal:
        said(text)
    assert str(refusal.value).startswith("Namespace 'team-a': annotation kaas.internal/maintenance: ")
    assert way_out in str(refusal.value)

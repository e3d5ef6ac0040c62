"""The page says what the code does: its tables are the code's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kaas.repairs.signals import SIGNALS
from kaas.repairs.tables import TABLES, duration, renewed
from kaas.repairs.xids import XIDS, Bucket

PAGE = Path(__file__).parents[3] / "docs" / "repairs-signals.md"


def test_the_page_has_the_tables_of_the_code() -> None:
    text = PAGE.read_text()
    assert renewed(text) == text, "run: python -m kaas.repairs.tables docs/repairs-signals.md"


def test_the_page_lists_every_signal_and_no_other() -> None:
    section = PAGE.read_text().partition("<!-- signals:")[2].partition("<!-- end -->")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")][2:]
    told = [(name.strip("| "), tolerated, entry) for name, _, tolerated, entry, *_ in rows]
    assert told == [
        (
            s.name,
            " / ".join(dict.fromkeys(duration(s.tolerated(metal=m)) for m in (False, True))),
            " / ".join(dict.fromkeys(s.entered(metal=m) for m in (False, True))),
        )
        for s in SIGNALS
    ]


def test_the_page_lists_every_xid_and_no_other() -> None:
    text = PAGE.read_text()
    faults = text.partition("<!-- xids:")[2].partition("<!-- end -->")[0]
    told = {int(n) for n in re.findall(r"^\| (\d+) \|", faults, re.MULTILINE)}
    assert told == {x.number for x in XIDS.values() if x.bucket is not Bucket.IGNORE}
    harmless = text.partition("<!-- harmless:")[2].partition("<!-- end -->")[0]
    assert {int(n) for n in re.findall(r"(\d+) \(", harmless)} == {n for n in XIDS if n not in told}


def test_a_page_without_its_marks_is_not_written() -> None:
    with pytest.raises(ValueError, match="0 tables signals instead of one"):
        renewed("nothing")
    assert len(TABLES) == 7


@pytest.mark.parametrize(("seconds", "told"), [(0, "0 s"), (90, "90 s"), (5400, "90 min"), (7200, "2 h")])
def test_durations_for_a_person(seconds: int, told: str) -> None:
    assert duration(seconds) == told

from __future__ import annotations

import pytest

from kaas.loader.faults import exit_code, of_source
from kaas.loader.meter import Meter
from kaas.loader.report import Exit, Phase, Progress, Reason
from kaas.loader.source import Changed, Denied, NotThere, Refused, SourceError, Unreachable
from kaas.loader.space import size


def test_progress() -> None:
    meter = Meter(0.0, 0.0)
    assert (meter.progress(0.0).rate, meter.progress(0.0).remaining) == (0, None)
    meter.bytes_total, meter.files_total, meter.phase = 1000, 10, Phase.LOADING
    meter.there(200)
    for second in range(1, 5):
        meter.came(100, second)
        found = meter.progress(second)
    assert (found.bytes_done, found.files_done, found.rate, found.remaining) == (600, 1, 100, 4)
    for second in range(5, 60):
        found = meter.progress(second)
    assert found.rate < 1
    assert found.remaining is None


def test_what_goes_on_without_a_byte_is_told() -> None:
    meter = Meter(0.0, 0.0)
    meter.listed, meter.moved = 3000, 130.0
    listing = meter.progress(131.26)
    assert (listing.phase, listing.listed, listing.still, listing.files_done) == (Phase.LISTING, 3000, 1.3, 0)
    assert meter.progress(400.0).still == 270
    assert Progress.parse(listing.line()) == listing


def test_no_two_lines_are_alike_while_it_runs() -> None:
    meter = Meter(5.0, 5.0)
    lines = []
    for second in (7.0, 9.0, 11.0):
        meter.moved = second
        lines.append(meter.progress(second))
    assert [line.elapsed for line in lines] == [2, 4, 6]
    assert {line.still for line in lines} == {0}


def test_a_second_listing_has_totals_of_its_own() -> None:
    meter = Meter(0.0, 0.0, bytes_total=10, files_total=1, listed=7)
    meter.listed_anew()
    assert (meter.listed, meter.progress(1.0).bytes_total, meter.progress(1.0).files_total) == (0, None, None)


def test_counts_of_a_source_that_is_listed_twice() -> None:
    meter = Meter(0.0, 0.0)
    meter.there(1)
    meter.finished("md5")
    meter.finished("size")
    assert (meter.files, meter.loaded, meter.skipped) == (3, 2, 1)
    meter.listed_anew()
    for _ in range(3):
        meter.there(1)
    meter.finished("md5")
    assert (meter.files, meter.loaded, meter.skipped) == (4, 3, 1)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_an_exit_code(reason: Reason) -> None:
    temporary = {"Stalled", "SourceUnreachable", "Interrupted", "Failed", "SourceChanged", "ChecksumMismatch"}
    wanted = Exit.DONE if reason is Reason.LOADED else Exit.RETRY if reason in temporary else Exit.PERMANENT
    assert exit_code(reason) is wanted


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NotThere("x"), Reason.SOURCE_NOT_FOUND),
        (Denied("x"), Reason.ACCESS_DENIED),
        (Refused("x"), Reason.INVALID_SPEC),
        (Changed("x"), Reason.CHANGED),
        (Unreachable("x"), Reason.UNREACHABLE),
        (SourceError("x"), Reason.FAILED),
    ],
)
def test_errors_of_sources(error: SourceError, reason: Reason) -> None:
    assert of_source(error).reason is reason


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 2**30, "5.0 GiB"), (2**50, "1024.0 TiB")]
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text

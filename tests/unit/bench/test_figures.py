"""Limits, what counts as missed, and how figures are shown."""

from __future__ import annotations

import io
import json
import math

import pytest
from rich.console import Console

from tests.bench import __main__ as command
from tests.bench import machine
from tests.bench.bench import Bench
from tests.bench.catalogue import BENCHMARKS
from tests.bench.figures import Figure, Limit, Result, as_json, number, table

NAN = float("nan")
RESULTS = [
    Result("one", 1.0, [Figure("held", 2.0, "s", Limit(3.0)), Figure("plain", 4.0, "MB", note="a remark")]),
    Result("two", 2.0, [Figure("over", 5.0, "ms", Limit(4.0, below=True))]),
    Result("three", 3.0, error="it broke"),
]


@pytest.mark.parametrize(
    ("value", "below", "missed"),
    [(2.9, False, False), (3.0, False, False), (3.1, False, True), (3.0, True, True), (NAN, False, True)],
)
def test_limit(value: float, below: bool, missed: bool) -> None:
    assert Figure("f", value, "s", Limit(3.0, below)).missed is missed


def test_what_has_no_limit_is_not_missed() -> None:
    assert not Figure("f", 1e9, "s").missed
    assert not Figure("f", NAN, "s").missed


def test_results() -> None:
    assert [r.missed for r in RESULTS] == [False, True, True]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.234, "1.23"), (12.34, "12.3"), (1234.5, "1,234"), (60.0, "60"), (100.0, "100"), (NAN, "?")],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


def test_table() -> None:
    shown = io.StringIO()
    Console(file=shown, width=200).print(table(RESULTS))
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.getvalue().splitlines() if "│" in line]
    assert rows == [
        ["one", "held", "2 s", "≤ 3 s", "holds", ""],
        ["", "plain", "4 MB", "", "", "a remark"],
        ["two", "over", "5 ms", "< 4 ms", "missed", ""],
        ["three", "it broke", "", "", "failed", ""],
    ]


def test_json() -> None:
    found = as_json([*RESULTS, Result("four", 1.0, [Figure("unknown", NAN, "s", Limit(1.0))])])
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert [[f["holds"] for f in r["figures"]] for r in found] == [[True, None], [False], [], [False]]
    assert found[2]["error"] == "it broke"
    assert found[3]["figures"][0]["value"] is None


def _benchmark(value: float) -> object:
    return lambda bench: [Figure("f", value * bench.size(1.0, 0.1), "s", Limit(1.0))]


def _fails(bench: Bench) -> list[Figure]:
    raise ValueError(f"no luck with {bench.directory('x').name}")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--only", "good"], 0),
        (["--only", "slow"], 1),
        (["--only", "slow", "--quick"], 0),
        (["--only", "slow", "--no-fail"], 0),
        (["--only", "good", "broken"], 1),
    ],
)
def test_exit_code(words: list[str], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, run in (("good", _benchmark(1.0)), ("slow", _benchmark(2.0)), ("broken", _fails)):
        monkeypatch.setitem(BENCHMARKS, name, run)
    assert command.main(words) == code


def test_output_for_machines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(BENCHMARKS, "broken", _fails)
    assert command.main(["--only", "broken", "-o", "json", "--quick"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["quick"]
    assert found["machine"]["cores"] >= 1
    assert found["results"][0]["error"] == "ValueError: no luck with x"


def test_machine() -> None:
    said = machine.describe()
    assert str(said["cores"]) in machine.header(said)
    assert machine.warning(machine.BUSY) == ""
    assert "3.0" in machine.warning(3.0)
    assert math.isfinite(said["memoryGiB"])

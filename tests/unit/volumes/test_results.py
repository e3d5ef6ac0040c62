"""Results as termination messages, which are cut at 4096 bytes and may be anything."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.loader.report import LARGEST, Phase, Progress, Reason, Result


@given(st.text(max_size=5000))
def test_a_result_always_fits(message: str) -> None:
    text = Result(Reason.FAILED, message, digest="d" * 64).text()
    assert len(text.encode(errors="replace")) <= LARGEST
    assert Result.parse(text) is not None


@pytest.mark.parametrize("message", ["\x01" * 5000, "\U0001f600" * 5000, "ä" * 5000])
def test_characters_that_take_several_bytes(message: str) -> None:
    text = Result(Reason.FAILED, message).text()
    assert len(text.encode()) <= LARGEST
    read = Result.parse(text)
    assert read is not None
    assert read.message.endswith("…")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[" * 100_000,
        '{"result": {"reason": "Loaded"}}',
        '{"result": {"reason": "Nonsense", "message": ""}}',
        '{"result": {"reason": "Loaded", "message": "", "bytes": "1"}}',
        '{"result": {"reason": "Loaded", "message": "", "verified": {"crc32c": "x"}}}',
        '{"result": {"reason": "Loaded", "message": "", "verified": []}}',
        '{"result": {"reason": "Loaded", "message": "", "seconds": Infinity}}',
        Result(Reason.LOADED, "x").text()[:-2],
    ],
)
def test_anything_else_is_no_result(text: str) -> None:
    assert Result.parse(text) is None


def test_what_a_newer_loader_says_beside_is_left_out() -> None:
    result = Result(Reason.LOADED, "all", 10, 1, verified={"md5": 1})
    assert Result.parse(_with_more(result.text(), "result")) == result
    progress = Progress(Phase.LOADING, 5, 0, 10, 1, still=0.1, elapsed=4.0)
    assert Progress.parse(_with_more(progress.line(), "progress")) == progress


def _with_more(text: str, key: str) -> str:
    found = json.loads(text)
    found[key] |= {"unheard": {"of": [1]}, "phases": None}
    return json.dumps(found)

"""Clusters that did not answer keep nobody waiting."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from kaas.addons.absence import FULL, LONGEST, MOST, SHORTEST, Absence


def absent(*keys: int) -> Absence:
    made = Absence()
    for key in keys:
        made.lost(key, "signs", "it does not answer", 0.0)
    return made


def test_one_that_did_not_answer_is_asked_again_after_a_while() -> None:
    made = absent(1)
    assert SHORTEST <= made.until(1, 0.0) <= LONGEST
    assert made.why(1, "signs", SHORTEST - 1) == "it does not answer"
    assert made.why(1, "signs", LONGEST) == ""
    assert made.why(2, "signs", 0.0) == ""


def test_it_is_asked_at_once_when_something_else_is_told_of_it() -> None:
    assert absent(1).why(1, "other signs", 0.0) == ""


def test_one_that_answers_is_forgotten() -> None:
    made = absent(1)
    made.forget(1)
    assert made.why(1, "signs", 0.0) == ""
    assert made.until(1, 7.0) == 7.0


def test_few_of_them_are_asked_at_once_and_others_all_the_time() -> None:
    made = absent(*range(MOST + 1))
    with ExitStack() as asked:
        for key in range(MOST):
            assert made.why(key, "signs", LONGEST) == ""
            asked.enter_context(made.asking(key))
        assert made.why(MOST, "signs", LONGEST) == "it does not answer"
        assert made.until(MOST, LONGEST) == LONGEST + FULL
        assert made.why("another", "signs", LONGEST) == ""
    assert made.why(MOST, "signs", LONGEST + FULL) == ""


def test_a_place_is_free_again_whatever_becomes_of_it() -> None:
    made = absent(*range(MOST + 1))
    for key in range(MOST):
        with pytest.raises(RuntimeError), made.asking(key):
            raise RuntimeError
    assert made.why(MOST, "signs", LONGEST) == ""


def test_one_that_answers_meanwhile_gives_its_place_back() -> None:
    made = absent(*range(MOST + 1))
    with made.asking(0):
        made.forget(0)
    with ExitStack() as asked:
        for key in range(1, MOST):
            asked.enter_context(made.asking(key))
        assert made.why(MOST, "signs", LONGEST) == ""

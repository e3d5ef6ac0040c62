"""Which key comes next, checked against the rules for random sequences."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from kaas.runtime.backlog import Backlog, Backoff

KEYS = st.sampled_from("abcd")


def drain(backlog: Backlog[str], now: float) -> list[str]:
    taken = []
    while (key := backlog.take(now)) is not None:
        taken.append(key)
    return taken


def test_a_key_is_given_out_once() -> None:
    backlog: Backlog[str] = Backlog()
    for key in "abab":
        backlog.add(key, 0)
    assert backlog.depth == 2
    assert drain(backlog, 0) == ["a", "b"]
    assert backlog.working == 2


def test_added_while_worked_on_comes_again_once() -> None:
    backlog: Backlog[str] = Backlog()
    backlog.add("a", 0)
    assert drain(backlog, 0) == ["a"]
    backlog.add("a", 1)
    backlog.add("a", 2)
    assert drain(backlog, 2) == []
    backlog.done("a", 3)
    assert drain(backlog, 3) == ["a"]
    backlog.done("a", 4)
    assert drain(backlog, 4) == []


def test_urgent_keys_go_first_and_are_given_out_once() -> None:
    backlog: Backlog[str] = Backlog()
    for key in "abc":
        backlog.add(key, 0)
    backlog.add("d", 1, urgent=True)
    backlog.add("c", 2, urgent=True)
    backlog.add("d", 3)
    assert (backlog.depth, backlog.oldest(3)) == (4, 3)
    assert drain(backlog, 3) == ["d", "c", "a", "b"]


def test_what_becomes_urgent_while_it_is_worked_on_goes_first_afterwards() -> None:
    backlog: Backlog[str] = Backlog()
    backlog.add("a", 0)
    assert drain(backlog, 0) == ["a"]
    backlog.add("b", 1)
    backlog.add("a", 1)
    backlog.add("a", 2, urgent=True)
    backlog.add("a", 3)
    backlog.done("a", 4)
    assert drain(backlog, 4) == ["a", "b"]
    backlog.add("a", 5)
    backlog.done("a", 6)
    backlog.add("c", 6, urgent=True)
    assert drain(backlog, 6) == ["c", "a"]


def test_the_earliest_due_time_counts() -> None:
    backlog: Backlog[str] = Backlog()
    backlog.add_after("a", 10, 0)
    backlog.add_after("a", 5, 0)
    backlog.add_after("a", 20, 0)
    assert backlog.next_due() == 5
    assert drain(backlog, 4.9) == []
    assert drain(backlog, 5) == ["a"]
    backlog.done("a", 5)
    assert backlog.next_due() is None
    assert drain(backlog, 100) == []


def test_requeue_after() -> None:
    backlog: Backlog[str] = Backlog()
    backlog.add("a", 0)
    drain(backlog, 0)
    backlog.done("a", 1, requeue_after=60)
    assert backlog.next_due() == 61


def test_failures_wait_longer_each_time_and_a_success_forgets_them() -> None:
    backlog: Backlog[str] = Backlog(Backoff(first=1, longest=5), chance=lambda: 0.5)
    now, delays = 0.0, []
    for _ in range(5):
        backlog.add_after("a", 0, now)
        assert drain(backlog, now) == ["a"]
        delays.append(backlog.failed("a", now))
        now += delays[-1]
    assert delays == [1, 2, 4, 5, 5]
    assert backlog.failures("a") == 5
    assert drain(backlog, now) == ["a"]
    backlog.done("a", now)
    assert backlog.failures("a") == 0


def test_an_event_does_not_wait_for_the_pause_after_a_failure() -> None:
    backlog: Backlog[str] = Backlog()
    backlog.add("a", 0)
    drain(backlog, 0)
    backlog.add("a", 0)
    backlog.failed("a", 0)
    assert drain(backlog, 0) == ["a"]


def test_age_of_the_oldest() -> None:
    backlog: Backlog[str] = Backlog()
    assert backlog.oldest(9) == 0
    backlog.add("a", 1)
    backlog.add("b", 5)
    assert backlog.oldest(9) == 8
    backlog.take(9)
    assert backlog.oldest(9) == 4


@pytest.mark.parametrize(("failures", "plain"), [(1, 1), (2, 2), (9, 256), (10, 300), (10_000, 300)])
def test_backoff(failures: int, plain: float) -> None:
    backoff = Backoff()
    assert backoff.delay(failures, 0.5) == plain
    assert backoff.delay(failures, 0.0) == pytest.approx(plain * 0.8)
    assert backoff.delay(failures, 1.0) == pytest.approx(plain * 1.2)


class Rules(RuleBasedStateMachine):
    """Whatever happens in whatever order: one at a time per key, and nothing that was added is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.backlog: Backlog[str] = Backlog(chance=lambda: 0.5)
        self.now = 0.0
        self.working: set[str] = set()
        self.owed: dict[str, float] = {}  # key: when it has to be given out at the latest

    taken = Bundle("taken")

    @initialize()
    def start(self) -> None:
        self.now = 100.0

    def owe(self, key: str, due: float) -> None:
        self.owed[key] = min(due, self.owed.get(key, due))

    @rule(key=KEYS, urgent=st.booleans())
    def add(self, key: str, urgent: bool) -> None:
        self.backlog.add(key, self.now, urgent=urgent)
        self.owe(key, self.now)

    @rule(key=KEYS, seconds=st.integers(0, 50))
    def add_after(self, key: str, seconds: int) -> None:
        self.backlog.add_after(key, seconds, self.now)
        self.owe(key, self.now + seconds)

    @rule(seconds=st.integers(0, 100))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(target=taken)
    def take(self) -> str:
        key = self.backlog.take(self.now)
        if key is None:
            assert not [k for k, due in self.owed.items() if due <= self.now and k not in self.working]
            return ""
        assert key not in self.working
        assert self.owed.pop(key) <= self.now
        self.working.add(key)
        return key

    @rule(key=consumes(taken), again=st.none() | st.integers(0, 30))
    def done(self, key: str, again: int | None) -> None:
        if key:
            self.backlog.done(key, self.now, again)
            self.working.discard(key)
            if again is not None:
                self.owe(key, self.now + again)

    @rule(key=consumes(taken))
    def failed(self, key: str) -> None:
        if key:
            self.owe(key, self.now + self.backlog.failed(key, self.now))
            self.working.discard(key)

    @invariant()
    def counts(self) -> None:
        assert self.backlog.working == len(self.working)
        due = self.backlog.next_due()
        waiting = [d for k, d in self.owed.items() if d > self.now]
        if not self.working and waiting and self.backlog.depth == 0:
            assert due is not None
            assert due <= min(waiting)


TestRules = Rules.TestCase
TestRules.settings = settings(max_examples=150, stateful_step_count=40)

"""A Cluster whose machines are replaced one after the other, as the ledger sees it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from kaas.updates.facts import Aims, Change
from kaas.updates.ledger.advance import Ledger, Progress, advance
from kaas.updates.ledger.seen import Part, Seen, Window
from kaas.updates.ledger.steps import begin
from kaas.updates.run import Verdict
from tests.unit.updates.subjects import NOW, version

WELL = Verdict(True, "all is well")
AIMS = Aims(version("v1.36.3"), (Change.PATCH,))
LATER = NOW + timedelta(days=7)
HALF_PAST = NOW + timedelta(minutes=30)
FAILED: dict[str, Any] = {"unlaid": "b has failed", "unlaid_for_good": True}


def old(desired: int = 3) -> Part:
    return Part(desired, desired, 0, 0, desired)


def new(desired: int = 3) -> Part:
    return Part(desired, desired, desired, desired, desired)


@dataclass
class Course:
    """One update, moved on by hand. verdicts: what is found after a step; WELL for those that are not there."""

    pools: tuple[str, ...] = ("cpu", "dgx")
    time: datetime = NOW
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = Ledger(begin(AIMS, self.pools, self.time))
        self.seen = Seen("v1.36.3", old(1), {p: old() for p in self.pools})

    def look(self, after: timedelta = timedelta(seconds=6)) -> Progress:
        """Look once, some time later, and verify what is to be verified."""
        self.time += after
        found = advance(self.ledger, self.seen, self.time)
        while found.wants:
            self.asked.append(found.wants)
            verdict = self.verdicts.get(found.wants, WELL)
            step = found.wants
            found = advance(found.ledger, replace(self.seen, verdict=(step, verdict)), self.time)
            if verdict.passed is None:
                break
        self.ledger = found.ledger
        return found

    def settle(self) -> Progress:
        """Look until nothing changes any more."""
        for _ in range(50):
            before = self.ledger
            found = self.look()
            if found.ledger == before:
                return found
        raise AssertionError(f"it does not come to rest: {self.states}")

    def control_plane(self, part: Part) -> None:
        self.seen = replace(self.seen, control_plane=part)

    def pool(self, name: str, part: Part) -> None:
        self.seen = replace(self.seen, pools={**self.seen.pools, name: part})

    def window(self, *, is_open: bool, changes: datetime | None = None) -> None:
        self.seen = replace(self.seen, window=Window(is_open, changes))

    @property
    def states(self) -> dict[str, str]:
        return {s.name: s.state for s in self.ledger.steps}

    def reason(self, step: str) -> str | None:
        return next(s.reason for s in self.ledger.steps if s.name == step)


def at_pools(course: Course) -> Course:
    """Its control plane is through."""
    course.control_plane(new(1))
    course.settle()
    return course

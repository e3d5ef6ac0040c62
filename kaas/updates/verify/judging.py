"""From what the checks found to a verdict. Pure.

A Cluster has time to settle: what does not hold is looked at again until then, and the first look at which all holds
is enough. Whoever looks needs time too: after a start of the controller, what is late already gets a little more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kaas.updates.run import Verdict
from kaas.updates.verify.facts import Outcome

GRACE: Final = timedelta(seconds=120)
"""The least time from the first look to a bad verdict: enough to measure how the API server answers."""
LONGEST: Final = 1024  # characters: what a step's message takes


@dataclass(frozen=True, slots=True)
class Times:
    """since: when the machines of the step were through. first: when it was looked at first.

    settle: how long all may take. own: how long single checks may, by name.
    """

    since: datetime
    first: datetime
    settle: timedelta
    own: Mapping[str, timedelta]

    def deadline(self, check: str) -> datetime:
        """Until when a check may fail to hold."""
        return max(self.since + self.own.get(check, self.settle), self.first + GRACE)


def judge(outcomes: Sequence[Outcome], times: Times, now: datetime) -> Verdict:
    """True when all hold; False when one cannot any more; None while it may come right."""
    wrong = [o for o in outcomes if not o.holds]
    if not wrong:
        return Verdict(True, _told(o.message for o in outcomes))
    words = _told(f"{o.check}: {o.message}" for o in wrong)
    late = [times.deadline(o.check) for o in wrong if not o.running]
    if any(o.final for o in wrong) or (late and now >= min(late)):
        return Verdict(False, words, tuple(o.check for o in wrong))
    settling = f"until {min(late):%Y-%m-%d %H:%M:%S} UTC it may settle: " if late else ""
    return Verdict(None, f"{settling}{words}"[:LONGEST])


def _told(messages: Iterable[str]) -> str:
    return "; ".join(messages)[:LONGEST]

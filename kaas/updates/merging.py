"""Of several things that are due at once: which leads, and what comes with it, so that machines go once. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Final

from kaas.updates.facts import Change, Choice
from kaas.updates.kinds import LARGEST_FIRST, Due, aims

MOST_REMEMBERED: Final = 2048
"""Choices with what comes with them: Clusters that run the same are mostly brought to the same."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that is due, and when it may be begun.

    begins: the first moment; None while no maintenance window is in sight. opens, closes: of the window in which that
    is, as far as something may be begun in it; None outside of any.
    """

    part: Choice | Due
    begins: datetime | None = None
    opens: datetime | None = None
    closes: datetime | None = None

    @property
    def change(self) -> Change:
        """What it changes."""
        return self.part.change

    def is_open(self, time: datetime) -> bool:
        """Whether it may be begun then."""
        if self.opens is None or self.closes is None:
            return self.begins is not None and self.begins <= time
        return self.opens <= time < self.closes


def largest(offers: Sequence[Offer]) -> Offer:
    """The largest of them."""
    return min(offers, key=lambda o: LARGEST_FIRST.index(o.change))


def lead_of(offers: Sequence[Offer]) -> Offer | None:
    """The one that is begun next: the largest of those that may be begun in the next window; None when none may be."""
    possible = [(o.begins, o) for o in offers if o.begins is not None]
    if len(possible) < 2:  # noqa: PLR2004 - nothing to compare
        return possible[0][1] if possible else None
    time, first = min(possible, key=lambda pair: pair[0])
    until = max(time, first.closes) if first.closes else time
    return largest([o for begins, o in possible if begins == time or begins < until])


def merged(lead: Offer, offers: Sequence[Offer], image: str | None, time: datetime) -> Choice:
    """What is begun with the one that leads: all that may be begun at the same time. image: of a new version."""
    together = [o.part for o in offers if o is lead or o.is_open(time)]
    return with_due(as_choice(lead.part), tuple(p for p in together if isinstance(p, Due)), image)


@lru_cache(maxsize=MOST_REMEMBERED)
def with_due(choice: Choice, due: tuple[Due, ...], image: str | None) -> Choice:
    """A choice with all that is due beside it. Its own words come first. image: of the version, if it is a new one."""
    version = choice.change if choice.change in (Change.PATCH, Change.MINOR) else None
    found = aims(choice.version, version, due, image)
    others = [d.message for d in due if d.change in found.changes and d.change is not choice.change]
    return replace(choice, aims=found, message="; with it: ".join([choice.message, *others]))


def as_choice(part: Choice | Due) -> Choice:
    """What is begun, as a choice: what is due beside the version keeps the version."""
    if isinstance(part, Choice):
        return part
    return Choice(part.version, part.change, part.since, forced=False, message=part.message)

"""Rules, and what they find. A rule's words are fixed, so that no value can come into them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

Severity = Literal["deny", "warn"]
DENY: Final = "deny"
WARN: Final = "warn"

F = TypeVar("F")

_LONGEST_KEY: Final = 32  # characters; what is longer may be a value in the place of a key


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of a Secret. rule: id of the broken rule, as the documentation lists it."""

    severity: Severity
    key: str
    message: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Rule(Generic[F]):
    """One rule over facts of type F.

    key: of the Secret, followed by the field inside the key's file where it has fields; empty for any key.
    broken: must not raise, whatever the facts hold, and False where another rule says what is wrong already.
    """

    id: str
    key: str
    severity: Severity
    fault: str
    way_out: str
    broken: Callable[[F], bool]

    @property
    def message(self) -> str:
        """What a person reads after the key."""
        return f"{self.fault}: {self.way_out}"

    def finding(self, key: str = "") -> Finding:
        """The finding, at another key where the rule is about any."""
        return Finding(self.severity, self.key or key, self.message, self.id)


def broken(rules: Iterable[Rule[F]], facts: F, key: str = "") -> Iterator[Finding]:
    """What the rules find."""
    return (rule.finding(key) for rule in rules if rule.broken(facts))


def first_broken(rules: Iterable[Rule[F]], facts: F, key: str = "") -> list[Finding]:
    """What the first broken rule finds: for rules of which one explains the others."""
    return next(([rule.finding(key)] for rule in rules if rule.broken(facts)), [])


def denied(findings: Iterable[Finding]) -> bool:
    """Whether the Secret is refused."""
    return any(f.severity == DENY for f in findings)


def shown(key: str) -> str:
    """A key that a person chose, unless it may be a value."""
    return key if len(key) <= _LONGEST_KEY and key.isprintable() else f"(a key of {len(key)} characters)"

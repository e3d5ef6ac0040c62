"""What a benchmark is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Bench:
    """quick: a smoke test, whose figures say little. state: directory for labs. say: tells the one who waits."""

    quick: bool
    state: Path
    say: Callable[[str], None]

    def size(self, full: T, quick: T) -> T:
        """One of the two sizes."""
        return quick if self.quick else full

    def directory(self, name: str) -> Path:
        """State directory of a lab of this benchmark."""
        found = self.state / name
        found.mkdir(parents=True, exist_ok=True)
        return found

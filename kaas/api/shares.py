"""Numbers that may be written as a percentage of something. Pure."""

from __future__ import annotations

import re
from typing import Final

PERCENT: Final = r"(100|[1-9]?[0-9])%"
_DIGIT: Final = "self.charAt({0}) >= '0' && self.charAt({0}) <= '9'"
# As the expression above, by comparisons with short words: the API server takes text of this type for as long as a
# request may be, and refuses a regular expression over it, or `type(self) == int`, in each of fifty pools as costly.
IS_PERCENT: Final = (
    "self == '100%' || (size(self) in [2, 3] && self.endsWith('%') && "
    f"{_DIGIT.format(0)} && (size(self) == 2 || (self.charAt(0) != '0' && {_DIGIT.format(1)})))"
)
"""In CEL, whether a text is a percentage from 0% to 100%."""


def is_percent(text: str) -> bool:
    """Whether a text is a percentage from 0% to 100%."""
    return re.fullmatch(PERCENT, text) is not None


def rounded_down(value: int | str, whole: int, least: int = 1) -> int:
    """A number as it is, a percentage of a whole rounded down; at least `least`."""
    return max(least, value if isinstance(value, int) else int(value.removesuffix("%")) * whole // 100)


def rounded_up(value: int | str, whole: int) -> int:
    """A number as it is, a percentage of a whole rounded up."""
    return value if isinstance(value, int) else -(-int(value.removesuffix("%")) * whole // 100)

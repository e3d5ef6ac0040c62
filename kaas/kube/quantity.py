"""Amounts as Kubernetes writes them, `20Gi` or `1500m`. Pure. Source: k8s.io/apimachinery/pkg/api/resource.Quantity."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from typing import Final

_NUMBER: Final = re.compile(r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?")
_MOST: Final = 2**63 - 1
_SUFFIXES: Final = {
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)},
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", 1)},
    **{"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3")},
}


def whole(text: str) -> int:
    """The amount, rounded up to a whole number of its unit (bytes, cores). Raises ValueError for what is none."""
    suffix = next((s for s in _SUFFIXES if text.endswith(s)), "")
    number = text.removesuffix(suffix)
    try:
        if not _NUMBER.fullmatch(number):
            raise ValueError("no number")
        found = Decimal(number) * _SUFFIXES.get(suffix, Decimal(1))
        if abs(found) > _MOST:
            raise ValueError("more than there can be")
        return int(found.to_integral_value(ROUND_CEILING))
    except (ArithmeticError, ValueError) as error:
        raise ValueError(f"{text!r} is no amount: write one like 20Gi") from error

"""Requirements of selectors, as Kubernetes has them for labels and for nodes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")


def holds(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a requirement holds for labels. Source: Kubernetes, LabelSelectorRequirement, NodeSelectorRequirement."""
    return fulfils(labels.get(requirement["key"]), requirement["operator"], requirement.get("values") or ())


def fulfils(value: str | None, operator: str, values: Sequence[str]) -> bool:
    """The same of one label's value, None for a label that is not there."""
    match operator:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:  # Gt, Lt: whole numbers
            numbers = [int(n) for n in (value, *values) if n is not None and _WHOLE.fullmatch(n)]
            return len(numbers) > 1 and (numbers[0] > numbers[1] if operator == "Gt" else numbers[0] < numbers[1])

"""Objects as models for what shows them: one that cannot be read is told, and hides no other. Pure.

A newer kaas may have written what this one does not know, or someone around the rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from pydantic import ValidationError

from kaas.api.load import faults_of
from kaas.api.model import Resource
from kaas.api.parsed import Unreadable
from kaas.cli.exits import CliError
from kaas.kube.objects import Object

M = TypeVar("M", bound=Resource)


def readable(model: type[M], objects: Iterable[Object]) -> tuple[list[M], list[Unreadable]]:
    """Models of all that can be read, whether they keep the rules of their kind or not; and what cannot be."""
    found: list[M] = []
    others: list[Unreadable] = []
    for obj in objects:
        try:
            found.append(model.model_validate(obj))
        except ValidationError as error:
            others.append(Unreadable(obj, faults_of(error)))
    return found, others


def read(model: type[M], obj: Object) -> M:
    """The model of the one object that is asked for. Raises CliError when it cannot be read, with its fields."""
    found, others = readable(model, [obj])
    if others:
        raise CliError(f"{others[0]}; if a newer kaas has written it, use that one")
    return found[0]

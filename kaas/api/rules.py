"""A rule of the API: CEL for the API server and the same in Python for work without one, side by side.

`Rule` is put on a type with `Annotated` or on a whole model through `Model.rules`. The CRD generator writes it out as
`x-kubernetes-validations`; `violations` walks an object along its CRD schema and runs the Python twins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

VALIDATIONS: Final = "x-kubernetes-validations"

JSON = Any  # what json.loads gives: CEL and the Python twins see the same plain values
Schema = dict[str, Any]

_RULES: dict[tuple[str, str], Rule] = {}


@dataclass(frozen=True)
class Rule:
    """One rule. Those with the same CEL and message are the same rule and have the same twin.

    cel: expression over `self`, and `oldSelf` where it judges a change.
    message: names the field and the way out; shown as it is, by `kubectl` and by `kaas` alike.
    check: the Python twin over plain JSON; None for a rule about a change, which only the API server can judge.
    field: path below the place of the rule which the message is about, as `.pods`; empty for the place itself.
    """

    cel: str
    message: str
    check: Callable[[JSON], bool] | None = None
    field: str = ""

    def __post_init__(self) -> None:
        if _RULES.setdefault((self.cel, self.message), self).check is not self.check:
            raise ValueError(f"two Python twins for one rule: {self.cel}: {self.message}")

    def as_validation(self) -> dict[str, str]:
        """Its entry in `x-kubernetes-validations`."""
        where = {"fieldPath": self.field} if self.field else {}
        return {"rule": self.cel, "message": self.message, **where}

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        schema.setdefault(VALIDATIONS, []).append(self.as_validation())
        return schema


@dataclass(frozen=True)
class Violation:
    """A broken rule: where (`spec.network.pods`), and what to do about it."""

    path: str
    message: str


def violations(value: JSON, schema: Schema, path: str = "") -> Iterator[Violation]:
    """Every rule of `schema` that `value` breaks, as the API server would find it.

    The value must already have the types of the schema (its model parsed it); unknown keys are passed over.
    """
    if isinstance(value, list) and (twice := _repeated(value, schema)):
        yield Violation(path.lstrip("."), f"{twice} is there twice: remove one, or give it another name")
    for entry in schema.get(VALIDATIONS, ()):
        check = _RULES[entry["rule"], entry["message"]].check
        if check is not None and not check(value):
            yield Violation((path + entry.get("fieldPath", "")).lstrip("."), entry["message"])
    yield from _below(value, schema, path)


def _repeated(items: list[JSON], schema: Schema) -> str:
    """The first item that a list of type map or set holds twice; empty when there is none."""
    if "x-kubernetes-list-type" not in schema:
        return ""
    keys, seen = schema.get("x-kubernetes-list-map-keys"), set()
    for item in items:
        identity = " ".join(str(item.get(key)) for key in keys) if keys else str(item)
        if identity in seen:
            return identity
        seen.add(identity)
    return ""


def _below(value: JSON, schema: Schema, path: str) -> Iterator[Violation]:
    if isinstance(value, Mapping):
        fields = schema.get("properties", {})
        for key, child in value.items():
            inner = fields.get(key) or schema.get("additionalProperties")
            if isinstance(inner, dict) and child is not None:
                yield from violations(child, inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from violations(child, schema["items"], f"{path}[{index}]")

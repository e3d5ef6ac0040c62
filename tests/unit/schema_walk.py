"""A walk along the schema of a kind."""

from __future__ import annotations

from collections.abc import Iterator

from kaas.api.rules import Schema


def leaves(schema: Schema, path: str) -> Iterator[str]:
    """Paths of all fields below which there are no more: with [] for items of a list, {} for values of a map."""
    if "properties" in schema:
        for name, child in schema["properties"].items():
            yield from leaves(child, f"{path}.{name}")
    elif schema.get("type") == "array":
        yield from leaves(schema["items"], f"{path}[]")
    elif isinstance(schema.get("additionalProperties"), dict):
        yield from leaves(schema["additionalProperties"], f"{path}{{}}")
    else:
        yield path

"""Manifests from YAML text, checked as the API server would, without one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kaas.api.constants import API_VERSION
from kaas.api.crd import KINDS, schema
from kaas.api.model import Model, Resource
from kaas.api.rules import Schema, Violation, violations

M = TypeVar("M", bound=Model)

# metav1.ObjectMeta: what the API server takes, refused when misspelt.
_METADATA: Final = frozenset(
    {
        "name",
        "generateName",
        "namespace",
        "labels",
        "annotations",
        "finalizers",
        "ownerReferences",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
    }
)
_WAYS_OUT: Final = {
    "missing": "is required: set it",
    "extra_forbidden": "is not a field: remove it, or correct its spelling (see `kubectl explain`)",
    "string_type": "must be text: put it in quotes",
    "int_type": "must be a whole number, without quotes",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list: begin each item with a dash",
    "model_type": "must have fields",
    "timezone_aware": "must say its time zone: as 2027-01-05T22:00:00Z or 2027-01-05T22:00:00+09:00",
    **dict.fromkeys(
        ("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "datetime_object_invalid"),
        "must be a time with its zone, as 2027-01-05T22:00:00Z",
    ),
    **dict.fromkeys(
        ("date_type", "date_parsing", "date_from_datetime_parsing", "date_from_datetime_inexact"),
        "must be a date, as 2027-01-05",
    ),
}


class ManifestError(Exception):
    """A manifest that cannot be used. One line a fault: file, document, object, field and the way out."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class _Loader(yaml.CSafeLoader):
    """Keeps timestamps as text, as JSON does, and refuses a key that is written twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep=True)
        if len(mapping) != len(node.value):
            keys = [key.value for key, _ in node.value]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise yaml.MarkedYAMLError(problem=f"{twice!r} is written twice: remove one", problem_mark=node.start_mark)
        return mapping


def load_file(path: Path) -> list[Resource]:
    """Every object of a YAML file. Raises ManifestError with all faults, OSError when the file cannot be read."""
    return load(path.read_text(), str(path))


def load(text: str, source: str) -> list[Resource]:
    """Every object of a YAML text with any number of documents; empty ones are passed over.

    source: what messages call the text, a file name for example.
    """
    found: list[Resource] = []
    faults: list[str] = []
    for place, document in documents(text, source):
        try:
            found.append(parse(document, place))
        except ManifestError as error:
            faults.extend(error.faults)
    if faults:
        raise ManifestError(faults)
    return found


def documents(text: str, source: str) -> Iterator[tuple[str, Any]]:
    """Place and content of every document that is not empty, unchecked. Raises ManifestError for what is not YAML."""
    try:
        contents = list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        raise ManifestError([f"{source}: not YAML: {' '.join(str(error).split())}"]) from error
    for number, document in enumerate(contents, start=1):
        if document is not None:
            yield f"{source}: document {number}", document


def parse(document: Any, place: str = "manifest") -> Resource:
    """One object from plain JSON. Raises ManifestError; `place` begins its lines."""
    kind = _kind(document, place)
    what = f"{place}: {document['kind']} {_name(document)!r}"
    if faults := list(_metadata_faults(document)):
        raise ManifestError(f"{what}: {fault}" for fault in faults)
    return checked(kind, document, schema(kind), what)


def checked(model: type[M], document: Any, rules: Schema, what: str) -> M:
    """A model, or part of one, from plain JSON. Raises ManifestError; `what` begins its lines.

    rules: the schema of the part, within that of its CRD.
    """
    try:
        # Strict as the API server: text is no number, and a number no text.
        found = model.model_validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        raise ManifestError(f"{what}: {fault}" for fault in faults_of(error)) from error
    if broken := list(violations(found.to_json(), rules)):
        raise ManifestError(f"{what}: {_at(violation)}" for violation in broken)
    return found


def faults_of(error: ValidationError) -> Iterator[str]:
    """What a model refuses, a line a field, each with the way out."""
    return map(_fault, _deepest(error.errors()))


def _kind(document: Any, place: str) -> type[Resource]:
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        raise ManifestError([f"{place}: kind: is required: write one of {', '.join(KINDS)}"])
    name, version = document["kind"], document.get("apiVersion")
    if version != API_VERSION:
        raise ManifestError([f"{place}: {name}: apiVersion: is {version!r}: write {API_VERSION}"])
    if name not in KINDS:
        raise ManifestError([f"{place}: kind: {name!r} is not known: write one of {', '.join(KINDS)}"])
    return KINDS[name]


def _name(document: dict[str, Any]) -> str:
    metadata = document.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""


def _metadata_faults(document: dict[str, Any]) -> Iterator[str]:
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not metadata.get("name"):
        yield "metadata.name: is required: set it"
        return
    for key in metadata.keys() - _METADATA:
        yield f"metadata.{key}: {_WAYS_OUT['extra_forbidden']}"


def _deepest(details: list[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Without those that only follow from a fault further down: a list is too short because its one item is wrong."""
    for detail in details:
        depth = len(detail["loc"])
        if not any(len(other["loc"]) > depth and other["loc"][:depth] == detail["loc"] for other in details):
            yield detail


def _fault(detail: ErrorDetails) -> str:
    path = ""
    for part in detail["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return f"{path.lstrip('.')}: {_way_out(detail)}"


def _at(violation: Violation) -> str:
    return f"{violation.path}: {violation.message}" if violation.path else violation.message


def _way_out(detail: ErrorDetails) -> str:
    if detail["type"] in _WAYS_OUT:
        return _WAYS_OUT[detail["type"]]
    return f"{detail['msg'][0].lower()}{detail['msg'][1:]}, not {detail['input']!r}"

"""YAML as `kubectl apply` reads it, and no larger than it is written. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

MAX_EXPANDED: Final = 8 * 1024 * 1024
"""Characters of one text with what its aliases repeat: a ConfigMap has a MiB, and no object of Kubernetes more than
two."""
MAX_DEPTH: Final = 200
"""Levels within one document: the schema of a CRD has some sixty."""

_OTHERWISE: Final = frozenset({"int", "float", "timestamp", "value"})
"""What YAML 1.1 reads otherwise than programs in Go: 53:53 is no number to them, a day is text, and so is `=`."""
_DIGITS: Final = list("-+.0123456789")
_NUMBERS: Final = {
    "int": re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)\Z"),
    "float": re.compile(
        r"([-+]?([0-9][0-9_]*[.][0-9_]*|[.][0-9][0-9_]*)([eE][-+]?[0-9]+)?"
        r"|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+|[-+]?[.](inf|Inf|INF)|[.](nan|NaN|NAN))\Z"
    ),
}
_TAG: Final = "tag:yaml.org,2002:"


class _Loader(yaml.CSafeLoader):
    """Reads plain words as `kubectl` does, and refuses a key that is written twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute
        first: [(tag, pattern) for tag, pattern in resolvers if tag.removeprefix(_TAG) not in _OTHERWISE]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [k.value for k, _ in node.value if isinstance(k, yaml.ScalarNode) and k.tag != f"{_TAG}merge"]
        if len(set(keys)) != len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise yaml.MarkedYAMLError(problem=f"{twice!r} is written twice: remove one", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep=True)

    def construct_octal_too(self, node: yaml.ScalarNode) -> int:
        """An integer: 0o644 is one in YAML 1.2."""
        value = str(self.construct_scalar(node))
        return int(self.construct_yaml_int(_plain(node, value.replace("0o", "0", 1)) if "0o" in value else node))


def _plain(node: yaml.ScalarNode, value: str) -> yaml.ScalarNode:
    return yaml.ScalarNode(node.tag, value, node.start_mark, node.end_mark)


for _name, _pattern in _NUMBERS.items():
    _Loader.add_implicit_resolver(_TAG + _name, _pattern, _DIGITS)
_Loader.add_constructor(f"{_TAG}int", _Loader.construct_octal_too)


def documents(text: str) -> Iterator[tuple[int, Any]]:
    """Number, from 1, and content of every document that is not empty, as JSON has it.

    Raises ValueError, in words, for what is not YAML, or YAML that JSON cannot say, or larger than it may be.
    """
    try:
        _measure(text)
        contents = list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {' '.join(str(error).split())}") from error
    for number, content in enumerate(contents, start=1):
        if content is not None:
            yield number, _as_json(content, number)


def _as_json(content: Any, number: int) -> Any:
    """Without anything shared by aliases, and with all keys text."""
    try:
        return json.loads(json.dumps(content, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"document {number}: JSON cannot say this: {error}: put it in quotes") from error


def _measure(text: str) -> None:
    """Refuse what aliases make large: they cost nothing to write, and all that they repeat when read."""
    measure = _Measure()
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        measure.read(event)
        if measure.size > MAX_EXPANDED:
            raise ValueError(f"with what its aliases repeat it has more than {MAX_EXPANDED} characters: write it out")
        if len(measure.outer) > MAX_DEPTH:
            raise ValueError(f"it has more than {MAX_DEPTH} levels: it is no object of Kubernetes")


class _Measure:
    """How large a text is. size: of what is within the innermost of outer, each with what was before it."""

    def __init__(self) -> None:
        self.size = 0
        self.outer: list[tuple[str | None, int]] = []
        self._anchors: dict[str, int] = {}

    def read(self, event: yaml.Event) -> None:
        """One more event of the text."""
        if isinstance(event, yaml.DocumentStartEvent):
            self._anchors.clear()
        elif isinstance(event, yaml.CollectionStartEvent):
            self.outer.append((event.anchor, self.size))
            self.size = 0
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = self.outer.pop()
            self.size = self._kept(anchor, self.size) + before
        elif isinstance(event, yaml.ScalarEvent):
            self.size += self._kept(event.anchor, 1 + len(event.value))
        elif isinstance(event, yaml.AliasEvent):
            self.size += self._repeated(event.anchor or "")

    def _kept(self, anchor: str | None, size: int) -> int:
        if anchor is not None:
            self._anchors[anchor] = size
        return size

    def _repeated(self, anchor: str) -> int:
        if anchor not in self._anchors:
            raise ValueError(f"the alias *{anchor} stands for nothing that ends before it: write it out")
        return self._anchors[anchor]

"""The CustomResourceDefinitions, generated from the models. Pure but for `main`.

`python -m kaas.api.crd --write deploy/crds` writes them, `--check` says whether the files are fresh.
"""

from __future__ import annotations

import argparse
import sys
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from kaas.api.addon import Addon
from kaas.api.cluster import Cluster
from kaas.api.constants import GROUP, VERSION
from kaas.api.model import Resource
from kaas.api.node_repair import NodeRepair
from kaas.api.node_repair_template import NodeRepairTemplate
from kaas.api.release import Release
from kaas.api.rollout import Rollout
from kaas.api.rules import VALIDATIONS, Schema
from kaas.api.site import Site

_ALL: Final[tuple[type[Resource], ...]] = (Cluster, Site, Release, Rollout, Addon, NodeRepairTemplate, NodeRepair)
KINDS: Final[dict[str, type[Resource]]] = {kind.__name__: kind for kind in _ALL}
"""Every kind of the group, by name."""

# Words of JSON Schema that a structural schema must not have, or that say what it says already.
_DROPPED: Final = {"title", "$defs", "const", "uniqueItems"}
_HEADER: Final = "# Generated from kaas/api by `make crds`; do not edit.\n"


def _structural(node: Any, definitions: Schema) -> Any:
    """A pydantic schema as Kubernetes wants it: no references, no null, no titles."""
    if isinstance(node, list):
        return [_structural(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    node = _resolved(node, definitions)
    out: Schema = {}
    for key, value in node.items():
        if key == "properties":
            out[key] = {name: _structural(child, definitions) for name, child in value.items()}
        elif key in ("default", "enum", VALIDATIONS):
            out[key] = value
        elif key not in _DROPPED:
            out[key] = _structural(value, definitions)
    return _tidy(out)


def _resolved(node: Schema, definitions: Schema) -> Schema:
    """The node with its reference, or its one choice beside null, put in its place; its own words win."""
    while "$ref" in node or "anyOf" in node:
        node = dict(node)
        if "$ref" in node:
            inner = definitions[node.pop("$ref").rpartition("/")[2]]
        else:
            (inner,) = (choice for choice in node.pop("anyOf") if choice != {"type": "null"})
        rules = [*inner.get(VALIDATIONS, ()), *node.get(VALIDATIONS, ())]
        node = inner | node | ({VALIDATIONS: rules} if rules else {})
    return node


def _tidy(node: Schema) -> Schema:
    if node.get("additionalProperties") is False:
        del node["additionalProperties"]
    if "default" in node and (default := _without_nothing(node.pop("default"))) not in (None, [], {}):
        node["default"] = default
    if isinstance(text := node.get("description"), str):
        node["description"] = " ".join(text.split())
    if node.get("type") == "integer":
        node["format"] = "int64"
    return node


def _without_nothing(value: Any) -> Any:
    """A default without the fields that are left out."""
    if not isinstance(value, dict):
        return value
    kept = {key: _without_nothing(child) for key, child in value.items() if child is not None}
    return {key: child for key, child in kept.items() if child not in ([], {})}


@cache
def schema(kind: type[Resource]) -> Schema:
    """Structural schema of a kind, as in its CRD. Shared: do not change it."""
    generated = kind.model_json_schema(by_alias=True)
    root: Schema = _structural(generated, generated.get("$defs", {}))
    root["properties"] |= {
        "apiVersion": {"type": "string", "description": "Version of the schema that this object is written in."},
        "kind": {"type": "string", "description": "Kind of the object."},
        "metadata": {"type": "object"},
    }
    root["required"] = ["spec"]
    return root


def definition(kind: type[Resource]) -> dict[str, Any]:
    """CRD of a kind, also of one that the management cluster does not have."""
    names: dict[str, Any] = {
        "kind": kind.__name__,
        "listKind": f"{kind.__name__}List",
        "plural": kind.plural,
        "singular": kind.__name__.lower(),
        "categories": [GROUP.partition(".")[0]],
    }
    if kind.short_names:
        names["shortNames"] = list(kind.short_names)
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [column.as_crd() for column in kind.columns],
        "schema": {"openAPIV3Schema": schema(kind)},
    }
    if "status" in schema(kind)["properties"]:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}", **({"labels": kind.crd_labels} if kind.crd_labels else {})},
        "spec": {"group": GROUP, "scope": kind.scope, "names": names, "versions": [version]},
    }


def crds() -> list[dict[str, Any]]:
    """The CRDs of all kinds."""
    return [definition(kind) for kind in KINDS.values()]


class _Plain(yaml.SafeDumper):
    """Writes a value out each time that it occurs, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def files() -> dict[str, str]:
    """File name to text, as they are kept in `deploy/crds`."""
    return {
        f"{crd['metadata']['name']}.yaml": _HEADER + yaml.dump(crd, Dumper=_Plain, sort_keys=False, width=120)
        for crd in crds()
    }


def stale(directory: Path) -> list[str]:
    """Names of files in a directory that are missing, outdated or left over."""
    fresh = files()
    there = {path.name: path.read_text() for path in directory.glob("*.yaml")}
    return sorted(name for name in fresh.keys() | there.keys() if fresh.get(name) != there.get(name))


def write(directory: Path) -> None:
    """Make a directory hold the CRDs and no other YAML file."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in stale(directory):
        (directory / name).unlink(missing_ok=True)
    for name, text in files().items():
        (directory / name).write_text(text)


def main() -> int:
    """`--write DIR` or `--check DIR`; exit code 1 when a check finds stale files."""
    parser = argparse.ArgumentParser(description=__doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", type=Path, metavar="DIR")
    action.add_argument("--check", type=Path, metavar="DIR")
    arguments = parser.parse_args()
    if arguments.write:
        write(arguments.write)
        return 0
    if old := stale(arguments.check):
        print(f"{arguments.check}: not fresh: {', '.join(old)}: run `make crds`", file=sys.stderr)
    return bool(old)


if __name__ == "__main__":
    sys.exit(main())

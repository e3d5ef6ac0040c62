"""The CRDs are fresh, structural, and say what every field means."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kaas.api import crd

DEPLOYED = Path(__file__).parents[3] / "deploy/crds"
FORBIDDEN = {"$ref", "$defs", "anyOf", "allOf", "oneOf", "title", "const", "nullable", "prefixItems"}


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from nodes(schema[word], f"{path}[]")


ALL = [(kind, path, node) for kind, model in crd.KINDS.items() for path, node in nodes(crd.schema(model))]
UNDER_SPEC = [(kind, path, node) for kind, path, node in ALL if path.startswith((".spec", ".status"))]


def test_deployed_crds_are_fresh() -> None:
    assert crd.stale(DEPLOYED) == []


def test_written_directory_is_fresh_and_holds_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text("old")
    assert "old.yaml" in crd.stale(tmp_path)
    crd.write(tmp_path)
    assert crd.stale(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(crd.files())


@pytest.mark.parametrize(("arguments", "code"), [(["--write"], 0), (["--check"], 1)])
def test_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int
) -> None:
    monkeypatch.setattr("sys.argv", ["crd", *arguments, str(tmp_path)])
    assert crd.main() == code
    assert ("not fresh" in capsys.readouterr().err) == bool(code)


def identity(value: object) -> str:
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(("kind", "path", "node"), ALL, ids=identity)
def test_no_word_that_a_structural_schema_must_not_have(kind: str, path: str, node: dict[str, Any]) -> None:
    assert not FORBIDDEN & node.keys()
    assert ("type" in node) is not node.get("x-kubernetes-int-or-string", False)


@pytest.mark.parametrize(("kind", "path", "node"), UNDER_SPEC, ids=identity)
def test_every_field_is_described_and_bounded(kind: str, path: str, node: dict[str, Any]) -> None:
    if not path.endswith("[]"):
        assert node["description"].endswith((".", ")")), node.get("description")
    if node.get("type") == "array":
        assert "maxItems" in node
        assert node["x-kubernetes-list-type"] in ("map", "set", "atomic")
    if node.get("type") == "string" and "enum" not in node:
        assert "maxLength" in node or node.get("format") in ("date", "date-time")
    if "additionalProperties" in node:
        assert "maxProperties" in node

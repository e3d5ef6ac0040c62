"""Running `kaas` in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner, Result

from kaas.cli.main import app

EXAMPLES = Path(__file__).parents[3] / "examples"


def kaas(*arguments: str | Path, stdin: str | None = None) -> Result:
    """Exit code, stdout and stderr of `kaas` with these arguments."""
    return CliRunner().invoke(app, [str(a) for a in arguments], input=stdin)


def documents(text: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text))


def example(name: str, **spec: Any) -> dict[str, Any]:
    """First object of an example, with some of its spec replaced."""
    found: dict[str, Any] = next(yaml.safe_load_all((EXAMPLES / name).read_text()))
    found["spec"] |= spec
    return found


def write(folder: Path, *objects: dict[str, Any]) -> Path:
    """A file with these objects."""
    file = folder / "manifests.json.yaml"
    file.write_text("---\n".join(json.dumps(o) + "\n" for o in objects))
    return file

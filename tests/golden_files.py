"""Golden files: what was reviewed once. `KAAS_GOLDEN=write` writes them anew; the difference shows in the review."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "golden"


class _Plain(yaml.SafeDumper):
    """Writes a value out each time that it occurs, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def check(name: str, *documents: Any) -> None:
    """Compare with `tests/golden/<name>.yaml`."""
    check_text(f"{name}.yaml", yaml.dump_all(documents, Dumper=_Plain, sort_keys=False, width=120))


def check_text(name: str, text: str) -> None:
    """Compare with `tests/golden/<name>`."""
    path = FOLDER / name
    if os.environ.get("KAAS_GOLDEN") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), f"{path.name} differs; if that is meant, run the tests with KAAS_GOLDEN=write"

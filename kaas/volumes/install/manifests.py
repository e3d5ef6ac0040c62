"""Manifests of controller and webhook: the files of `deploy/volumes` with values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kaas import install
from kaas.install import WrongValue
from kaas.volumes import terms
from kaas.volumes.install.values import Values

FILES = ("namespace.yaml", "crds.yaml", "rbac.yaml", "service.yaml", "deployment.yaml", "webhooks.yaml")
"""In the order in which they are applied: webhooks last, when there is somebody to answer."""


def render(values: Values) -> str:
    """All manifests, as one YAML stream with the files' comments."""
    facts = {"excluded": values.excluded, "loader": terms.LOADER_LABEL, "prefix": terms.PREFIX, "wait": terms.WAIT}
    return install.render("volumes", FILES, {**values.model_dump(by_alias=True), **facts})


def values(given: Mapping[str, Any], settings: Iterable[str] = ()) -> Values:
    """Values of a file, changed by `key=value` with dots for what is nested. Raises WrongValue."""
    return install.values(Values, given, settings)


__all__ = ["FILES", "WrongValue", "render", "values"]

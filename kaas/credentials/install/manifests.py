"""Manifests of the webhook: the files of `deploy/credentials` with values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kaas import install
from kaas.credentials import terms
from kaas.credentials.install.values import Values
from kaas.install import WrongValue

FILES = ("namespace.yaml", "rbac.yaml", "service.yaml", "deployment.yaml", "webhooks.yaml")
"""In the order in which they are applied: webhooks last, when there is somebody to answer."""

ASKING = (terms.AWS_ANNOTATION, terms.GCP_ANNOTATION, terms.AWS_ROLE_ANNOTATION)
"""Annotations by which a Pod asks for credentials."""


def render(values: Values) -> str:
    """All manifests, as one YAML stream with the files' comments."""
    facts = {"excluded": values.excluded, "annotations": ASKING, "seen": terms.SEEN_ANNOTATION, "types": terms.TYPES}
    return install.render("credentials", FILES, {**values.model_dump(by_alias=True), **facts})


def values(given: Mapping[str, Any], settings: Iterable[str] = ()) -> Values:
    """Values of a file, changed by `key=value` with dots for what is nested. Raises WrongValue."""
    return install.values(Values, given, settings)


__all__ = ["ASKING", "FILES", "WrongValue", "render", "values"]

"""Manifests of the webhook: the files of `deploy/credentials` with values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import ValidationError

from kaas import data
from kaas.credentials import terms
from kaas.credentials.install.values import Values

FILES = ("namespace.yaml", "rbac.yaml", "service.yaml", "deployment.yaml", "webhooks.yaml")
"""In the order in which they are applied: webhooks last, when there is somebody to answer."""

ASKING = (terms.AWS_ANNOTATION, terms.GCP_ANNOTATION, terms.AWS_ROLE_ANNOTATION)
"""Annotations by which a Pod asks for credentials."""


class WrongValue(ValueError):
    """A value is not known or not possible; the message names it."""


def render(values: Values) -> str:
    """All manifests, as one YAML stream with the files' comments."""
    folder = data.folder("credentials")
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folder), undefined=StrictUndefined, trim_blocks=True, autoescape=False
    )
    facts = {"excluded": values.excluded, "annotations": ASKING, "seen": terms.SEEN_ANNOTATION, "types": terms.TYPES}
    context = {**values.model_dump(by_alias=True), **facts}
    parts = [environment.get_template(name).render(context).strip() for name in FILES]
    return "\n---\n".join(part for part in parts if part) + "\n"


def values(given: Mapping[str, Any], settings: Iterable[str] = ()) -> Values:
    """Values of a file, changed by `key=value` with dots for what is nested. Raises WrongValue."""
    merged: dict[str, Any] = {**given}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise WrongValue(f"{setting!r}: write key=value, for example failurePolicy=Ignore")
        try:
            _put(merged, key.split("."), yaml.safe_load(text) if text else "")
        except yaml.YAMLError as error:
            raise WrongValue(f"{key}: {text!r} is no YAML") from error
    try:
        return Values.model_validate(merged, by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors()[0]
        raise WrongValue(f"{'.'.join(map(str, first['loc']))}: {first['msg']}; see values.schema.json") from error


def _put(tree: dict[str, Any], path: list[str], value: object) -> None:
    """Change one value; maps on the way are copied, or begun from the defaults."""
    if len(path) == 1:
        tree[path[0]] = value
        return
    defaults = Values().model_dump(by_alias=True) if path[0] not in tree else tree
    inner = defaults.get(path[0])
    tree[path[0]] = dict(inner) if isinstance(inner, dict) else {}
    _put(tree[path[0]], path[1:], value)

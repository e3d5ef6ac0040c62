"""Manifests that are installed: files of a folder of `deploy` with values that an administrator chose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import yaml
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ValidationError

from kaas import data

Model = TypeVar("Model", bound=BaseModel)


class WrongValue(ValueError):
    """A value is not known or not possible; the message names it."""


def render(folder: str, files: Iterable[str], context: Mapping[str, Any]) -> str:
    """All files in their order, as one YAML stream with their comments. folder: as `kaas.data` knows it."""
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(data.folder(folder)), undefined=StrictUndefined, trim_blocks=True, autoescape=False
    )
    parts = [environment.get_template(name).render(context).strip() for name in files]
    return "\n---\n".join(part for part in parts if part) + "\n"


def values(model: type[Model], given: Mapping[str, Any], settings: Iterable[str] = ()) -> Model:
    """Values of a file, changed by `key=value` with dots for what is nested. Raises WrongValue."""
    merged: dict[str, Any] = {**given}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise WrongValue(f"{setting!r}: write key=value, for example failurePolicy=Ignore")
        try:
            _put(model, merged, key.split("."), yaml.safe_load(text) if text else "")
        except yaml.YAMLError as error:
            raise WrongValue(f"{key}: {text!r} is no YAML") from error
    try:
        return model.model_validate(merged, by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors()[0]
        raise WrongValue(f"{'.'.join(map(str, first['loc']))}: {first['msg']}; see values.schema.json") from error


def _put(model: type[BaseModel], tree: dict[str, Any], path: list[str], value: object) -> None:
    """Change one value; maps on the way are copied, or begun from the defaults."""
    if len(path) == 1:
        tree[path[0]] = value
        return
    defaults = model().model_dump(by_alias=True) if path[0] not in tree else tree
    inner = defaults.get(path[0])
    tree[path[0]] = dict(inner) if isinstance(inner, dict) else {}
    _put(model, tree[path[0]], path[1:], value)

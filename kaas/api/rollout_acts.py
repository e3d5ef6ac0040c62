"""What people say to a Rollout in its annotations: approvals, members to skip or try again, the end of a run. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from kaas.api.model import Model
from kaas.api.rollout import (
    ANNOTATION_ROLLOUT_ABORT,
    ANNOTATION_ROLLOUT_APPROVED,
    ANNOTATION_ROLLOUT_RETRY,
    ANNOTATION_ROLLOUT_SKIP,
)

_EXAMPLE = '{"at": "2027-01-05T22:00:00Z", "by": "anna", "reason": "..."}'


class Act(Model):
    """What a person has said."""

    at: AwareDatetime
    """When; it counts for the run that was under way then."""
    by: str = Field(default="", max_length=253)
    """Who."""
    reason: str = Field(default="", max_length=512)
    """Why."""

    @property
    def words(self) -> str:
        """Who and why, for people."""
        who = self.by or "somebody"
        return f"{who} ({self.reason})" if self.reason else who


_BY_NAME: Final = TypeAdapter(dict[str, Act])


class Acts(Model):
    """All that people have said to a Rollout. problems: annotations that cannot be read, with the way out."""

    approved: Mapping[str, Act] = {}
    """By `<stage>` or `<stage>/<gate>`."""
    skip: Mapping[str, Act] = {}
    """By `<namespace>/<name>`."""
    retry: Mapping[str, Act] = {}
    """By `<namespace>/<name>`."""
    abort: Act | None = None
    """The end of a run."""
    problems: tuple[str, ...] = ()
    """What cannot be read."""

    @classmethod
    def of(cls, annotations: Mapping[str, str]) -> Acts:
        """From a Rollout's annotations. Never raises: one that cannot be read counts as not there."""
        problems: list[str] = []
        return cls(
            approved=_several(annotations, ANNOTATION_ROLLOUT_APPROVED, problems),
            skip=_several(annotations, ANNOTATION_ROLLOUT_SKIP, problems),
            retry=_several(annotations, ANNOTATION_ROLLOUT_RETRY, problems),
            abort=_one(annotations, problems),
            problems=tuple(problems),
        )


def member_key(namespace: str, name: str) -> str:
    """How annotations name a Cluster."""
    return f"{namespace}/{name}"


def with_act(before: str | None, key: str, act: Act) -> str:
    """The value of an annotation with one more act. before: the value that is there; an unreadable one is replaced."""
    known = _parsed(before)
    return _text({**(known if isinstance(known, dict) else {}), key: act.to_json()})


def abort_text(act: Act) -> str:
    """The value of the annotation that ends a run."""
    return _text(act.to_json())


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _parsed(text: str | None) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return None


def _several(annotations: Mapping[str, str], name: str, problems: list[str]) -> dict[str, Act]:
    if name not in annotations:
        return {}
    try:
        return _BY_NAME.validate_python(_parsed(annotations[name]))
    except ValidationError:
        problems.append(f'the annotation {name} cannot be read: write JSON as {{"<name>": {_EXAMPLE}}}')
        return {}


def _one(annotations: Mapping[str, str], problems: list[str]) -> Act | None:
    if ANNOTATION_ROLLOUT_ABORT not in annotations:
        return None
    try:
        return Act.model_validate(_parsed(annotations[ANNOTATION_ROLLOUT_ABORT]))
    except ValidationError:
        problems.append(f"the annotation {ANNOTATION_ROLLOUT_ABORT} cannot be read: write JSON as {_EXAMPLE}")
        return None

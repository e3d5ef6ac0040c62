"""What a Pod and its ServiceAccount ask for: annotations, read and judged."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from kaas.credentials.terms import (
    AWS_ANNOTATION,
    AWS_MODE_ANNOTATION,
    AWS_REGION_ANNOTATION,
    AWS_ROLE_ANNOTATION,
    CONTAINERS_ANNOTATION,
    GCP_ANNOTATION,
    NONE,
    SKIP_CONTAINERS_ANNOTATION,
    TOKEN_EXPIRATION_ANNOTATION,
)

MIRROR_ANNOTATION: Final = "kubernetes.io/config.mirror"
"""The API server's copy of a static Pod, which may name neither a Secret nor a ServiceAccount."""

SHORTEST, LONGEST = 600, 86400
"""Seconds. The API server gives no shorter tokens, Google takes none that live longer than a day."""

# RFC 1123 subdomain, as the API server wants names of Secrets.
_SECRET: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
# Also of other makers: MinIO's have `minio` for `aws` and no account, Ceph's a tenant.
_ROLE: Final = re.compile(r"arn:[a-z][a-z-]*:iam::[\w-]{0,64}:role/[\w+=,.@/-]{1,576}", re.ASCII)
_REGION: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")

T = TypeVar("T")
Where = Literal["Pod", "ServiceAccount"]
Annotations = Mapping[str, Any]
Level = tuple[Where, Annotations]


class MalformedAnnotation(ValueError):
    """An annotation says nothing that can be done. The message names it, where it stands, and the way out."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One cloud's credentials. secret: its name, empty when a role stands in an annotation instead."""

    where: Where
    secret: str = ""
    role: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which containers. only: None means all. `strict`: the Pod itself names them, so each of them must exist."""

    only: frozenset[str] | None = None
    strict: bool = False
    skip: frozenset[str] = frozenset()
    skip_strict: bool = False

    def has(self, name: str) -> bool:
        """Whether a container is to have credentials."""
        return name not in self.skip and (self.only is None or name in self.only)


EVERYTHING: Final = Selection()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for. denied: why the Pod cannot be taken as it is. expiration: of projected tokens, in seconds."""

    aws: Choice | None = None
    gcp: Choice | None = None
    selection: Selection = EVERYTHING
    rotating: bool = False
    expiration: int = LONGEST
    denied: str = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Names of the Secrets to look up, in the Pod's namespace; each one once."""
        return tuple(dict.fromkeys(c.secret for c in (self.aws, self.gcp) if c and c.secret))


NOTHING: Final = Wanted()


def wanted(pod: Mapping[str, Any], service_account: Mapping[str, Any] | None) -> Wanted:
    """What a Pod asks for. service_account: None when there is none, or when it has no say."""
    own = annotations_of(pod)
    if MIRROR_ANNOTATION in own:
        return NOTHING
    levels: list[Level] = [("Pod", own)]
    if service_account is not None:
        levels.append(("ServiceAccount", annotations_of(service_account)))
    try:
        return _wanted(levels)
    except MalformedAnnotation as error:
        return Wanted(denied=str(error))


def account_of(pod: Mapping[str, Any]) -> str | None:
    """Name of the ServiceAccount to look up; None when nothing that it says could change anything."""
    own = annotations_of(pod)
    if MIRROR_ANNOTATION in own or (own.get(AWS_ANNOTATION) == NONE and own.get(GCP_ANNOTATION) == NONE):
        return None
    spec = pod.get("spec")
    if not isinstance(spec, dict):
        return None
    name = spec.get("serviceAccountName")
    return name if isinstance(name, str) and name else "default"


def annotations_of(obj: Mapping[str, Any]) -> Annotations:
    """Annotations of an object; empty for anything that has none."""
    meta = obj.get("metadata")
    found = meta.get("annotations") if isinstance(meta, dict) else None
    return found if isinstance(found, dict) else {}


def _wanted(levels: list[Level]) -> Wanted:
    aws, gcp = _aws(levels), _gcp(levels)
    if aws is None and gcp is None:
        return NOTHING
    return Wanted(
        aws=aws,
        gcp=gcp,
        selection=_selection(levels),
        rotating=_first(levels, AWS_MODE_ANNOTATION, _rotating, default=False),
        expiration=_first(levels, TOKEN_EXPIRATION_ANNOTATION, _expiration, default=LONGEST),
    )


def _aws(levels: list[Level]) -> Choice | None:
    for level in levels:
        where, annotations = level
        if AWS_ROLE_ANNOTATION in annotations:
            return _role(level)
        if AWS_ANNOTATION in annotations:
            name = _secret(level, AWS_ANNOTATION)
            return Choice(where, secret=name) if name else None
    return None


def _gcp(levels: list[Level]) -> Choice | None:
    for level in levels:
        if GCP_ANNOTATION in level[1]:
            name = _secret(level, GCP_ANNOTATION)
            return Choice(level[0], secret=name) if name else None
    return None


def _secret(level: Level, key: str) -> str:
    """Name of a Secret; empty when it says `none`."""
    name = level[1][key]
    if not isinstance(name, str) or not _SECRET.fullmatch(name):
        raise _malformed(level, key, "is not the name of a Secret; write the name of one in this namespace, or none")
    return "" if name == NONE else name


def _role(level: Level) -> Choice:
    where, annotations = level
    if AWS_ANNOTATION in annotations:
        raise _malformed(level, AWS_ROLE_ANNOTATION, f"stands beside {AWS_ANNOTATION}; keep one of the two")
    role, region = annotations[AWS_ROLE_ANNOTATION], annotations.get(AWS_REGION_ANNOTATION, "")
    if not isinstance(role, str) or not _ROLE.fullmatch(role):
        way_out = "is not the ARN of a role; write one such as arn:aws:iam::123456789012:role/reader"
        raise _malformed(level, AWS_ROLE_ANNOTATION, way_out)
    if region and not (isinstance(region, str) and _REGION.fullmatch(region)):
        raise _malformed(level, AWS_REGION_ANNOTATION, "is not a region; write one such as eu-central-1")
    return Choice(where, role=role, region=region)


def _first(levels: list[Level], key: str, read: Callable[[Level, str], T], *, default: T) -> T:
    """What the first level says that says anything."""
    for level in levels:
        if key in level[1]:
            return read(level, key)
    return default


def _rotating(level: Level, key: str) -> bool:
    mode = level[1][key]
    if mode not in ("env", "file"):
        raise _malformed(level, key, "is no mode; write env, or file for keys that are read anew while the Pod runs")
    return bool(mode == "file")


def _expiration(level: Level, key: str) -> int:
    text = level[1][key]
    if isinstance(text, str) and re.fullmatch(r"[0-9]{1,9}", text) and SHORTEST <= int(text) <= LONGEST:
        return int(text)
    raise _malformed(level, key, f'is not a number of seconds from {SHORTEST} to {LONGEST}; write one, such as "3600"')


def _selection(levels: list[Level]) -> Selection:
    unsaid: tuple[frozenset[str] | None, bool] = (None, False)
    only, strict = _first(levels, CONTAINERS_ANNOTATION, _names, default=unsaid)
    skip, skip_strict = _first(levels, SKIP_CONTAINERS_ANNOTATION, _names, default=unsaid)
    if only is None and skip is None:
        return EVERYTHING
    return Selection(only, strict, skip or frozenset(), skip_strict)


def _names(level: Level, key: str) -> tuple[frozenset[str] | None, bool]:
    """Names of containers, and whether the Pod itself gives them."""
    text = level[1][key]
    names = frozenset(filter(None, map(str.strip, text.split(",")))) if isinstance(text, str) else None
    if not names:
        raise _malformed(level, key, "names no container; write names separated by commas, or leave it out")
    return names, level[0] == "Pod"


def _malformed(level: Level, key: str, problem: str) -> MalformedAnnotation:
    return MalformedAnnotation(f"metadata.annotations[{key}] of the {level[0]} {problem}")

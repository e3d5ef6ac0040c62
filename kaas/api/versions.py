"""Kubernetes versions: parsing, order, and which of them a Cluster's `version` asks for. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final, Self

from pydantic import Field

from kaas.api.fields import pattern_rule
from kaas.api.rules import Rule

EXACT: Final = r"v1\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})"
MINOR: Final = r"1\.(0|[1-9][0-9]{0,2})"
_ASKED: Final = re.compile(rf"{MINOR}|{EXACT}")


class InvalidVersion(ValueError):
    """The text is not a version in the form that the message asks for."""


@dataclass(frozen=True, order=True)
class KubernetesVersion:
    """A released version of Kubernetes 1; ordered as releases are. `str` gives `v1.36.3`."""

    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `v1.36.3`; raises InvalidVersion for anything else, pre-releases included."""
        if (match := re.fullmatch(EXACT, text)) is None:
            raise InvalidVersion(f"{text!r} is not a Kubernetes version: write v1.<minor>.<patch>, as v1.36.3")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def known(cls, text: str | None) -> Self | None:
        """The same; None for what is no version that we would run: someone else may have written it."""
        try:
            return cls.parse(text or "")
        except InvalidVersion:
            return None

    def __str__(self) -> str:
        return f"v1.{self.minor}.{self.patch}"


def minor_of(asked: str) -> int:
    """Minor that a Cluster's `version` asks for: 36 for `1.36` and for `v1.36.3`. Raises InvalidVersion."""
    if not _ASKED.fullmatch(asked):
        raise InvalidVersion(f"{asked!r} is not a version: write 1.36 for its newest patch, or exactly v1.36.3")
    return int(asked.split(".")[1])


def matches(asked: str, version: KubernetesVersion) -> bool:
    """Whether a version is one that `asked` (`1.36` or `v1.36.3`) allows."""
    return minor_of(asked) == version.minor and (not asked.startswith("v") or asked == str(version))


def newest(asked: str, versions: Iterable[KubernetesVersion]) -> KubernetesVersion | None:
    """The newest of `versions` that `asked` allows; None when there is none."""
    return max((v for v in versions if matches(asked, v)), default=None)


# In CEL: `1.36` and `v1.36.3` alike split into minor (second part) and, where there is one, patch (third part).
# A change from or to something malformed is refused by the rule on the form alone.
_FORMED: Final = f"!self.matches('^(?:{_ASKED.pattern})$') || !oldSelf.matches('^(?:{_ASKED.pattern})$')".replace(
    "\\", "\\\\"
)
_NEW: Final = "int(self.split('.')[1])"
_OLD: Final = "int(oldSelf.split('.')[1])"

VERSION_RULES: Final = (
    pattern_rule(_ASKED.pattern, 'version must be a quoted "1.36" (its newest patch) or an exact version as v1.36.3'),
    Rule(
        cel=f"{_FORMED} || {_NEW} >= {_OLD}",
        message="version cannot go back to an older minor, Kubernetes does not support it: "
        "make a new Cluster with the older version and move to it",
    ),
    Rule(
        cel=f"{_FORMED} || {_NEW} != {_OLD} || !self.startsWith('v') || !oldSelf.startsWith('v')"
        " || int(self.split('.')[2]) >= int(oldSelf.split('.')[2])",
        message="version cannot go back to an older patch: set a newer patch, or the minor alone for its newest",
    ),
)

# What runs may be a newer minor than `version` says: with `updates.kubernetes: Minor`, or since that had expired.
_UNFORMED: Final = _FORMED.replace("self.", "self.spec.version.", 1).replace("oldSelf.", "oldSelf.spec.version.", 1)
_SAYS_WHAT_RUNS: Final = (
    "has(self.status) && has(self.status.version) && self.status.version.matches('^v1[.][0-9]+[.][0-9]+$')"
)
_ASKED_MINOR: Final = "int(self.spec.version.split('.')[1])"
_RUNNING_MINOR: Final = "int(self.status.version.split('.')[1])"
_FOLLOWS_MINORS: Final = "has(self.spec.updates) && self.spec.updates.kubernetes == 'Minor'"

RUNNING_RULES: Final = (
    Rule(
        cel=f"{_UNFORMED} || {_ASKED_MINOR} <= int(oldSelf.spec.version.split('.')[1]) + 1"
        f" || ({_SAYS_WHAT_RUNS} && {_ASKED_MINOR} <= {_RUNNING_MINOR} + 1)",
        message="version can go up by one minor at a time: set the next minor, wait until the Cluster is Ready, go on",
        field=".spec.version",
    ),
    Rule(
        cel="self.spec.version == oldSelf.spec.version || !has(self.status) || !has(self.status.version)"
        " || !self.spec.version.startsWith('v') || !self.status.version.matches('^v1[.][0-9]+[.][0-9]+$')"
        " || self.spec.version.split('.')[1] != self.status.version.split('.')[1]"
        " || int(self.spec.version.split('.')[2]) >= int(self.status.version.split('.')[2])",
        message="version is older than the one that the Cluster already runs (see status.version): "
        "set that one or a newer",
        field=".spec.version",
    ),
    Rule(
        cel=f"self.spec.version == oldSelf.spec.version || ({_FOLLOWS_MINORS})"
        f" || {_UNFORMED} || !({_SAYS_WHAT_RUNS}) || {_ASKED_MINOR} >= {_RUNNING_MINOR}",
        message="version is an older minor than the Cluster already runs (see status.version): "
        'set that minor or a newer; with updates.kubernetes Minor it may be the lowest, as "1.36"',
        field=".spec.version",
    ),
)
"""About the version that runs: `1.36` may already have brought v1.36.3 when someone writes v1.36.1."""

ExactVersion = Annotated[
    str,
    Field(max_length=12),
    pattern_rule(EXACT, "version must be an exact Kubernetes version with its v, as v1.36.3"),
]
AskedVersion = Annotated[str, Field(max_length=12), *VERSION_RULES]

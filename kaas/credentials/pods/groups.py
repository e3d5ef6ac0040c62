"""What containers are given: variables in groups that are added together or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from kaas.credentials.pods.wanted import Where

# Bundles are the same for most Pods of a cluster, and cost more to make than the rest of a patch.
KEPT: Final = 256

Entry = dict[str, Any]

READABLE: Final = 0o444
"""Mode of files in our volumes: a container that is not root reads them too, without fsGroup."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume of ours at a path of ours."""

    volume: str
    path: str

    def entry(self) -> Entry:
        """As it stands in `volumeMounts`."""
        return {"name": self.volume, "mountPath": self.path, "readOnly": True}


@dataclass(frozen=True, slots=True)
class Group:
    """Variables that make sense together only: a user's key id must never meet our secret key.

    rivals: other variables that decide the same; a container that sets one of them decides for itself.
    leads: without it nothing else of its bundle is added. A quiet group says nothing when a container has its own.
    """

    entries: tuple[Entry, ...]
    rivals: frozenset[str] = frozenset()
    mounts: tuple[Mount, ...] = ()
    leads: bool = False
    quiet: bool = False
    desired: dict[str, Entry] = field(init=False)
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "desired", {e["name"]: e for e in self.entries})
        object.__setattr__(self, "names", self.rivals.union(self.desired))


@dataclass(frozen=True, slots=True)
class Bundle:
    """What one cloud's credentials are made of.

    where: whose annotation asked for it. source: what the marker calls it. volumes: those that its groups mount,
    but for the one with the tokens. tokens, annotations: sources of that one, and what is written on the Pod.
    """

    cloud: str
    where: Where
    source: str
    groups: tuple[Group, ...]
    volumes: dict[str, Entry] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    tokens: tuple[Entry, ...] = ()
    warnings: tuple[str, ...] = ()


def literal(name: str, value: str) -> Entry:
    """A variable with a value."""
    return {"name": name, "value": value}


def from_secret(name: str, secret: str, key: str = "", *, optional: bool = False) -> Entry:
    """A variable with a key of a Secret, by default the one of its name."""
    ref: Entry = {"name": secret, "key": key or name}
    if optional:
        ref["optional"] = True
    return {"name": name, "valueFrom": {"secretKeyRef": ref}}


def from_pod(name: str, path: str) -> Entry:
    """A variable with a field of the Pod. Defaults are written out, so that what is stored equals what we add."""
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def secret_volume(name: str, secret: str, *keys: str) -> Entry:
    """A volume with some keys of a Secret, each a file of its name."""
    items = [{"key": k, "path": k} for k in keys]
    return {"name": name, "secret": {"secretName": secret, "items": items, "defaultMode": READABLE}}


def projected_volume(name: str, *sources: Entry) -> Entry:
    """A volume with files of several sources."""
    return {"name": name, "projected": {"sources": list(sources), "defaultMode": READABLE}}


def annotation_item(annotation: str, path: str) -> Entry:
    """A file whose content is an annotation of the Pod."""
    field_ref = {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{annotation}']"}
    return {"path": path, "fieldRef": field_ref}


def token_source(audience: str, seconds: int, path: str) -> Entry:
    """A file with a token of the Pod's ServiceAccount, which the kubelet renews."""
    return {"serviceAccountToken": {"audience": audience, "expirationSeconds": seconds, "path": path}}

"""What an administrator decides of the snapshot cache. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Final

ANY: Final = "*"
"""In place of a StorageClass: each one that is not named."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept.

    size: bytes of all snapshots of a StorageClass, by its name or ANY; none means no limit. per_namespace: snapshots
    in one namespace, copies too. unused: after which a snapshot goes of which nobody was born. cut_within: how long
    Pods of a claim that was just loaded wait until its snapshot is cut. grace: from a snapshot being given to nobody
    any more to its end; longer than a webhook may take to answer (30 s). share: whether what was read from a public
    source is given to other namespaces, whose loaders compare all of it with the source.
    """

    size: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    per_namespace: int = 20
    unused: timedelta = timedelta(days=30)
    cut_within: timedelta = timedelta(minutes=2)
    grace: timedelta = timedelta(seconds=60)
    share: bool = True

    def room(self, storage_class: str) -> int | None:
        """Bytes of a StorageClass; None for no limit."""
        return self.size.get(storage_class, self.size.get(ANY))

"""Whose files are what is loaded, as people write it: `uid:gid[:mode]`. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

_TEXT: Final = re.compile(r"(\d{1,10}):(\d{1,10})(?::([0-7]{3,4}))?")
_LARGEST: Final = 2**32 - 2
"""Source: chown(2), where -1 means that it stays."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Numbers of user and group. mode: permissions of files, and with x beside each r of directories. None: as is."""

    uid: int
    gid: int
    mode: int | None = None

    @property
    def directory_mode(self) -> int | None:
        """Permissions of directories."""
        return None if self.mode is None else self.mode | (self.mode & 0o444) >> 2

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of a text; ValueError when it is none."""
        found = _TEXT.fullmatch(text)
        if found is None or int(found[1]) > _LARGEST or int(found[2]) > _LARGEST:
            raise ValueError(f"owner {text!r}: write numbers as UID:GID or UID:GID:MODE, for example 1000:1000:0640")
        return cls(int(found[1]), int(found[2]), int(found[3], 8) if found[3] else None)

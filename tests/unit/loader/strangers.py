"""A volume as the loader of another namespace has left it, and a load that believes nothing of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kaas.loader.report import Reason, Result
from kaas.loader.source import Algorithm
from tests.unit.loader.bucket import MIB, Bucket, run

LARGE = os.urandom(3 * MIB + 17)
FILES = {"a": b"one", "b/c": b"two", "b/d/e": b"", "b/größe ☃": b"three", "z/large": LARGE}


def bucket() -> Bucket:
    """With MD5 in its listing, as S3 has it of what came in one part."""
    return Bucket(dict(FILES), listed=Algorithm.MD5)


def distrusting(found: Bucket, to: Path, mark: str = "ours", **options: Any) -> Result:
    """A load of a volume that was born of somebody's snapshot."""
    return run(found, to, delete=True, delete_excluded=True, distrust=mark, **options)


def filled(path: Path) -> Path:
    """The volume."""
    assert run(bucket(), path).reason is Reason.LOADED
    return path


def keeping(path: Path, change: Callable[[Path], object]) -> None:
    """Change a file so that the journal does not notice."""
    found = path.stat()
    change(path)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def rewritten(path: Path, data: bytes) -> None:
    """Give a file another content, and its old time."""
    keeping(path, lambda p: p.write_bytes(data))

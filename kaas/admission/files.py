"""Contents as files that are on no disk: OpenSSL's loaders take names of files only, and keys belong on no disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def in_memory(content: bytes) -> Iterator[str]:
    """Name of a file with this content, which is gone afterwards."""
    number = os.memfd_create("kaas", os.MFD_CLOEXEC)
    try:
        os.write(number, content)
        yield f"/proc/self/fd/{number}"
    finally:
        os.close(number)

"""Clouds for commands and the controller: opened with them, and closed at their end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kaas.openstack.clouds import CloudDirectory


@contextmanager
def directory() -> Iterator[CloudDirectory]:
    """Every cloud that is asked meanwhile."""
    found = CloudDirectory()
    try:
        yield found
    finally:
        found.close()

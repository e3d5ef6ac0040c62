"""Nova's scheduler finds no host when the faults file says so."""

from __future__ import annotations

import functools
from typing import Any

from .faults import server_fault


def prepare() -> None:
    """Ask before the scheduler answers: the failure then takes Nova's usual way to the server."""
    from nova import exception
    from nova.scheduler import manager

    original = manager.SchedulerManager.select_destinations

    @functools.wraps(original)
    def select_destinations(self: Any, *args: Any, **kwargs: Any) -> Any:
        if reason := server_fault("create"):
            raise exception.NoValidHost(reason=reason)
        return original(self, *args, **kwargs)

    manager.SchedulerManager.select_destinations = select_destinations

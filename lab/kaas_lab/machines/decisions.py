"""What to do with the machines of a site, given Nova's servers and what runs here. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from enum import Enum
from typing import Any

from .disk import Record
from .nova import Restart, Server

RUNNING = frozenset({"ACTIVE"})
OFF = frozenset({"SHUTOFF", "PAUSED", "SUSPENDED", "SHELVED", "SHELVED_OFFLOADED", "SOFT_DELETED", "ERROR", "RESCUE"})
OVERLAP = dt.timedelta(seconds=5)  # Nova counts changes in whole seconds


class Action(Enum):
    """What may be done with one machine."""

    INSTALL = "a new machine with an empty disk boots for the first time"
    BOOT = "a machine that was off boots from its disk"
    REBOOT = "a machine that runs goes off and boots again"
    HALT = "a machine goes off"
    DESTROY = "a machine and its disk go"


def decide(
    servers: Mapping[str, Server], records: Mapping[str, Record], dark: Collection[str] = ()
) -> dict[str, Action]:
    """Actions by server id. A server in a passing state (BUILD, REBOOT, REBUILD and such) is left as it is.

    dark: hypervisors without power.
    """
    found = {gone: Action.DESTROY for gone in records if gone not in servers}
    for key, server in servers.items():
        if action := _one(server, records.get(key), dark=server.host in dark):
            found[key] = action
    return found


def _one(server: Server, record: Record | None, *, dark: bool) -> Action | None:
    if server.status == "ERROR" and server.powered and not dark:
        return None
    if server.status in OFF or dark:
        return Action.HALT if record and record.running else None
    if server.status not in RUNNING or not server.fixed_ip or not server.installed:
        return None
    if record is None or record.installed != server.installed:
        return Action.INSTALL
    if not record.running:
        return Action.BOOT
    return Action.REBOOT if record.booted != server.booted else None


def restarted(server: Server, record: Record | None) -> Restart:
    """The hardest restart of a server since its machine booted last."""
    kinds = [Restart.NONE]
    for request, kind in server.boots:
        if record is None or request == record.booted:
            break
        kinds.append(kind)
    return max(kinds)


def is_gone(raw: Mapping[str, Any]) -> bool:
    """Whether Nova's answer about a server says that it was deleted."""
    return raw["status"] in ("DELETED", "SOFT_DELETED")


def since(last_poll: dt.datetime | None) -> str | None:
    """`changes-since` for the next poll; None asks for everything."""
    if last_poll is None:
        return None
    return (last_poll - OVERLAP).astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def needs_look(raw: Mapping[str, Any], seen: tuple[str, str, Any] | None, now: dt.datetime) -> bool:
    """Whether a listed server must be looked at again: its row differs from `seen`, or is still too young."""
    if seen != fingerprint(raw):
        return True
    updated = dt.datetime.fromisoformat(str(raw["updated"]).replace("Z", "+00:00"))
    return now - updated < dt.timedelta(seconds=2)


def fingerprint(raw: Mapping[str, Any]) -> tuple[str, str, Any]:
    """What changes when a server does."""
    return str(raw["updated"]), str(raw["status"]), raw.get("OS-EXT-STS:task_state")

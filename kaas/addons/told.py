"""What is told of a Cluster's add-ons: `status.addOns`, and Events on transitions. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kaas.api.addon_status import AddOnState, InstalledAddOn
from kaas.kube.objects import Object
from kaas.kube.ports import EventType

Entries = Mapping[str, InstalledAddOn]
"""What is said of add-ons, by name."""
MAX_MESSAGE: Final = 1024


@dataclass(frozen=True, slots=True)
class Told:
    """One Event."""

    reason: str
    message: str
    type: EventType = "Normal"


def entry(
    before: InstalledAddOn | None,
    now: datetime,
    name: str,
    state: AddOnState,
    message: str = "",
    **versions: str | None,
) -> InstalledAddOn:
    """What is said of an add-on. before: what was said. versions: version, digest, wanted."""
    since = before.since if before and before.state == state else now
    if versions.get("wanted") == versions.get("version"):
        versions["wanted"] = None
    said: dict[str, Any] = {**versions, "message": " ".join(message.split())[:MAX_MESSAGE] or None, "since": since}
    return InstalledAddOn(name=name, state=state, **said)


def status(entries: Iterable[InstalledAddOn]) -> Object:
    """The status to write: with nothing in it, nothing is said any more."""
    found = [e.to_json() for e in entries]
    return {"addOns": found} if found else {}


def same(said: Object, live: Object) -> bool:
    """Whether a Cluster's status says that already; in which order does not count."""
    return _by_name(said) == _by_name(live)


def _by_name(said: Object) -> dict[str, Object]:
    return {e["name"]: e for e in said.get("addOns") or ()}


def transitions(before: Entries, after: Entries) -> Iterator[Told]:
    """Events that follow from what was said and what is."""
    for name, now in after.items():
        yield from _transition(before.get(name), now)
    for name, was in before.items():
        if name not in after and was.version:
            yield Told("AddOnRemoved", f"{name} {was.version} was taken out of the Cluster")


def _transition(was: InstalledAddOn | None, now: InstalledAddOn) -> Iterator[Told]:
    old = was.version if was else None
    if now.version != old and now.version:
        changed = f"{now.name} was brought from {old} to {now.version}"
        installed = f"{now.name} {now.version} was put into the Cluster"
        yield Told("AddOnUpdated", changed) if old else Told("AddOnInstalled", installed)
    if now.state == "Failed" and (was is None or was.state != "Failed"):
        yield Told("AddOnFailed", f"{now.name} {now.wanted or now.version or ''}: {now.message}", "Warning")


def failed(before: Entries, after: Entries) -> Collection[str]:
    """Names of those that fail since the last look."""
    return [n for n, e in after.items() if e.state == "Failed" and (n not in before or before[n].state != "Failed")]

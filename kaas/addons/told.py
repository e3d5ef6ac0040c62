"""What is told of a Cluster's add-ons: `status.addOns`, and Events on transitions. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class Gone:
    """What is told of an add-on that is taken out. version: that it had, empty if unknown. left: what stays, and why.

    It is filled while the work goes on.
    """

    version: str = ""
    left: list[str] = field(default_factory=list)


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


def transitions(
    before: Entries, after: Entries, gone: Mapping[str, Gone] | None = None, recalled: Collection[str] = ()
) -> Iterator[Told]:
    """Events that follow from what was said and what is.

    gone: what is told of those that were taken out. recalled: those that were there, and nothing was said of it.
    """
    for name, now in after.items():
        if name in recalled:
            words = f"{name} {now.version} is in the Cluster already, and nothing was said of it: it stays"
            yield Told("AddOnFound", words)
            before = {**before, name: now.model_copy(update={"state": "Starting"})}
        yield from _transition(before.get(name), now)
    for name, was in before.items():
        if name not in after:
            yield from _removal(was, (gone or {}).get(name, Gone()))


def _removal(was: InstalledAddOn, gone: Gone) -> Iterator[Told]:
    """Nothing of one that was never there: of what is being taken out the Cluster does not say a version any more."""
    if version := gone.version or was.version:
        words = "; ".join((f"{was.name} {version} was taken out of the Cluster", *gone.left))
        yield Told("AddOnRemoved", words[:MAX_MESSAGE])


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

"""What will happen to Clusters as iCalendar (RFC 5545), to be subscribed to. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime

from icalendar import Calendar, Event

from kaas.cli.next_view import Row

PRODUCT = "-//kaas//next//EN"
_WORDS = {"Update": "update to {}", "Warning": "{} expires soon", "Expiry": "{} expires"}


def calendar(rows: Iterable[Row], now: datetime) -> bytes:
    """The calendar. The same thing keeps its UID when its time changes, so that a calendar moves it."""
    found = Calendar()
    found.add("prodid", PRODUCT)
    found.add("version", "2.0")
    found.add("method", "PUBLISH")
    found.add("x-wr-calname", "kaas")
    for row in rows:
        if row.at is not None:
            found.add_component(_event(row, row.at, now))
    return bytes(found.to_ical())


def _summary(row: Row) -> str:
    if row.what in ("", row.version):
        return _WORDS[row.kind].format(row.version)
    return f"update: {row.what}"


def _event(row: Row, at: datetime, now: datetime) -> Event:
    which = f"/{at:%F}" if row.kind == "Warning" else ""  # of one end there are several
    other = f"/{row.what}" if row.what not in ("", row.version) else ""  # beside the version
    what = f"{row.uid}/{row.kind}/{row.version}{other}{which}"
    event = Event()
    event.add("uid", f"{hashlib.sha256(what.encode()).hexdigest()[:32]}@kaas.internal")
    event.add("dtstamp", now)
    event.add("dtstart", at)
    if row.until is not None and row.until > at:
        event.add("dtend", row.until)
    event.add("summary", f"{row.namespace}/{row.cluster}: {_summary(row)}")
    event.add("description", "\n".join(filter(None, (row.message, row.reason))))
    event.add("categories", [row.kind])
    event.add("transp", "TRANSPARENT")
    return event

"""What time it is, for all that the played nodes write down."""

from __future__ import annotations

import datetime as dt


def now() -> dt.datetime:
    """The time in UTC."""
    return dt.datetime.now(dt.UTC)

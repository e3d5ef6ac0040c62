"""Log lines with fields: JSON for machines, one line for people. Never give a Secret's value to a logger."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal, TextIO

LogFormat = Literal["json", "human"]
_FIELDS: ContextVar[dict[str, str]] = ContextVar("log_fields", default={})  # noqa: B039 - replaced, never changed


@contextmanager
def fields(**values: str) -> Iterator[None]:
    """Add fields (`cluster`, `namespace`, `step`, …) to every line of this task and of those it starts."""
    token = _FIELDS.set({**_FIELDS.get(), **values})
    try:
        yield
    finally:
        _FIELDS.reset(token)


def current_fields() -> dict[str, str]:
    """Fields in force."""
    return _FIELDS.get()


class _Json(logging.Formatter):
    """One JSON object a line: time, level, logger, message, fields, and `error` with the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _stamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields_of(record),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _Human(logging.Formatter):
    """Time, level, message and fields."""

    def format(self, record: logging.LogRecord) -> str:
        found = " ".join(f"{k}={v}" for k, v in _fields_of(record).items())
        line = f"{_stamp(record)[11:19]} {record.levelname[0]} {record.getMessage()}{'  ' + found if found else ''}"
        if record.exc_info and record.levelno >= logging.ERROR:
            line += "\n" + self.formatException(record.exc_info)
        return line


def configure(log_format: LogFormat = "human", level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send all logs to `stream` (stderr) in one format, replacing what was configured before."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Human())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def _stamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _fields_of(record: logging.LogRecord) -> dict[str, str]:
    """Fields in force, and those given with `extra={"fields": {...}}`."""
    extra = getattr(record, "fields", None)
    return {**_FIELDS.get(), **(extra if isinstance(extra, dict) else {})}

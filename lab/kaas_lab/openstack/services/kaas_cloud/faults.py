"""What is broken at the moment, as the site's `faults.json` says; read anew when the file changes.

`{"slow": {"nova": 3.0}, "refuse": {"neutron": 503}, "servers": {"create": "why"}}`
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Start = Callable[..., Any]
App = Callable[[dict[str, Any], Start], Iterable[bytes]]


class Watched:
    """The contents of a file, and the time at which they were read."""

    def __init__(self) -> None:
        self.file = Path("/nonexistent")
        self.stamp: tuple[int, int] | None = None
        self.contents: dict[str, dict[str, Any]] = {}

    def get(self, kind: str, key: str) -> Any:
        """What the file says for `key` below `kind`; None when it says nothing."""
        self._refresh()
        return self.contents.get(kind, {}).get(key)

    def _refresh(self) -> None:
        try:
            stat = self.file.stat()
        except FileNotFoundError:
            self.stamp, self.contents = None, {}
            return
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if stamp != self.stamp:
            self.contents = json.loads(self.file.read_text())
            self.stamp = stamp


_watched = Watched()


def watch(file: Path) -> None:
    """From now on, this file says what is broken."""
    _watched.file = file


def server_fault(action: str) -> str | None:
    """Why this action on a server has to fail, or None."""
    reason = _watched.get("servers", action)
    return None if reason is None else str(reason)


def host_is_down(host: str) -> bool:
    """Whether a compute host has lost its power."""
    return bool(_watched.get("host", host))


class Faulty:
    """A WSGI application in front of a service's own, that is slow or refuses as the file says."""

    def __init__(self, app: App, service: str) -> None:
        self.app = app
        self.service = service

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        """Answer a request."""
        if delay := _watched.get("slow", self.service):
            time.sleep(float(delay))
        if status := _watched.get("refuse", self.service):
            body = json.dumps({"error": {"code": status, "title": "broken on purpose"}}).encode()
            start(f"{status} Broken", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
            return [body]
        return self.app(environ, start)

"""What a watch of the management cluster tells, handed on as it comes: nothing between two looks is missed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from kaas_lab.api_server import ApiServer
from urllib3 import BaseHTTPResponse

from tests.e2e.platform import Object

Seen = Callable[[Object], None]
ROUND = 3
"""Seconds that one request lasts; the next goes on behind it."""


@dataclass
class _Watch:
    """One watch on a thread of its own."""

    api: ApiServer
    path: str
    seen: Seen
    version: str
    failure: BaseException | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        try:
            while not self.over.is_set():
                self._follow(self.api.watch(self.path, self.version, ROUND))
        except BaseException as failure:
            self.failure = failure

    def _follow(self, answer: BaseHTTPResponse) -> None:
        """Read one answer to its end: what has come after `over` is told too."""
        for line in answer:
            event = json.loads(line)
            assert event["type"] != "ERROR", event["object"]
            self.version = event["object"]["metadata"]["resourceVersion"]
            if event["type"] != "BOOKMARK":
                self.seen(event["object"])


@contextmanager
def watched(api: ApiServer, path: str, seen: Seen) -> Iterator[None]:
    """Tell every state of every object below a path, those that are there first, on another thread.

    path: of a list, with a selector or without. When it is left, what failed meanwhile is raised.
    """
    found = api.request("GET", path)
    for obj in found["items"]:
        seen(obj)
    watch = _Watch(api, path, seen, found["metadata"]["resourceVersion"])
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        watch.over.set()
        thread.join()
    if watch.failure is not None:
        raise watch.failure

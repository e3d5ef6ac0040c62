"""Who listens where, asked of the real kernel."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from kaas_lab import sockets
from kaas_lab.layout import Layout
from kaas_lab.sockets import Listener


@pytest.mark.parametrize(
    ("listener", "belongs"),
    [
        (Listener("127.0.0.1", 17002, 0), True),
        (Listener("0.0.0.0", 17999, 0), True),  # noqa: S104 - compared, not bound
        (Listener("::", 17002, 0), True),
        (Listener("127.64.0.9", 6443, 0), True),
        (Listener("127.67.0.9", 80, 0), True),
        (Listener("127.68.0.9", 17002, 0), False),
        (Listener("127.0.0.1", 18000, 0), False),
        (Listener("127.0.0.1", 16999, 0), False),
        (Listener("192.0.2.1", 17002, 0), False),
    ],
)
def test_what_belongs_to_a_lab(monkeypatch: pytest.MonkeyPatch, listener: Listener, belongs: bool) -> None:
    monkeypatch.setattr(sockets, "listeners", lambda: [listener])
    assert sockets.in_range(Layout(Path("/state"))) == ([listener] if belongs else [])


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1"])
def test_a_listener_of_this_process_is_found(host: str) -> None:
    with socket.create_server((host, 0)) as server:
        port = server.getsockname()[1]
        found = [(own.host, own.port) for own in sockets.of_process(os.getpid())]
        assert (host, port) in found
    assert (host, port) not in [(own.host, own.port) for own in sockets.listeners()]


def test_addresses_are_written_as_people_do() -> None:
    assert Listener("127.0.0.1", 80, 0).address == "127.0.0.1:80"
    assert Listener("::1", 80, 0).address == "[::1]:80"

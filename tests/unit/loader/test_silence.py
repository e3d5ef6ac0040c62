"""Work that brings no byte and takes long: a load that does it is not silent."""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kaas.loader import deletion
from kaas.loader import run as engine
from kaas.loader.options import Options
from kaas.loader.report import Reason
from kaas.loader.source import Algorithm
from kaas.loader.tree import Tree
from tests.unit.loader.bucket import MIB, QUICK, SMALL, Bucket, tree


@pytest.mark.parametrize(
    ("where", "what"), [(os, "pread"), (Tree, "directory"), (deletion, "_in_directory")], ids=["sum", "make", "delete"]
)
def test_slow_work_is_no_silence(where: Any, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece takes twenty seconds by the load's clock, and the load is looked at meanwhile."""
    seconds, looked, one = [0.0], threading.Semaphore(0), threading.Lock()
    slow, look = getattr(where, what), engine.Load.look

    def slowly(*arguments: Any, **named: Any) -> Any:
        if threading.current_thread() is not threading.main_thread() and not named:
            with one:
                seconds[0] += 20
                while looked.acquire(blocking=False):
                    pass
                assert looked.acquire(timeout=60)
                assert looked.acquire(timeout=60)
        return slow(*arguments, **named)

    def counted(self: engine.Load, *, stopped: bool) -> None:
        try:
            look(self, stopped=stopped)
        except BaseException:
            looked.release(100)  # it does not look again
            raise
        looked.release()

    monkeypatch.setattr(where, what, slowly)
    monkeypatch.setattr(engine.Load, "look", counted)
    monkeypatch.setattr(engine, "EVERY", 0.01)
    bucket = Bucket({"large": os.urandom(4 * MIB), "a/1": b"1", "b/2": b"2", "c/3": b"3"}, sums=Algorithm.SHA256)
    options = Options(limits=SMALL, patience=replace(QUICK, silence=50, stall=1e6), delete=True)
    result = asyncio.run(engine.load(bucket, tmp_path, options, now=lambda: seconds[0]))
    assert result.reason is Reason.LOADED, result.message
    assert tree(tmp_path) == bucket.objects

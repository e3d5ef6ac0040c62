"""A destination that may not be written: told once, with the way out, for another try would find the same."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kaas.loader.faults import exit_code, of_system
from kaas.loader.options import Options
from kaas.loader.report import Exit, Reason
from kaas.loader.run import load
from tests.unit.loader.bucket import QUICK, SMALL, Bucket

UID, GID = 1001, 100


@pytest.mark.parametrize(
    ("number", "reason", "said"),
    [
        (errno.EACCES, Reason.INVALID_SPEC, "as {uid}:{gid}: set load-owner"),
        (errno.EPERM, Reason.INVALID_SPEC, "as {uid}:{gid}: set load-owner"),
        (errno.EROFS, Reason.INVALID_SPEC, "the volume is read-only"),
        (errno.ENOSPC, Reason.INSUFFICIENT_CAPACITY, "make the volume larger"),
        (errno.EDQUOT, Reason.INSUFFICIENT_CAPACITY, "make the volume larger"),
        (errno.EIO, Reason.FAILED, "Input/output error"),
        (errno.ESTALE, Reason.FAILED, "Stale file handle"),
    ],
)
def test_what_a_file_system_says(number: int, reason: Reason, said: str) -> None:
    fault = of_system(OSError(number, os.strerror(number)), "a/b")
    assert fault.reason is reason
    assert str(fault).startswith("a/b: ")
    assert said.format(uid=os.geteuid(), gid=os.getegid()) in str(fault)
    assert exit_code(reason) is (Exit.RETRY if reason is Reason.FAILED else Exit.PERMANENT)


@pytest.fixture
def volume() -> Iterator[Path]:
    """Where everybody can get to, and for somebody whom permissions concern."""
    with tempfile.TemporaryDirectory() as found:
        path = Path(found)
        path.chmod(0o777)
        yield path


@contextlib.contextmanager
def nobody_special() -> Iterator[None]:
    """Not root, to whom permissions are nothing."""
    uid, gid = os.geteuid(), os.getegid()
    if uid:
        yield
        return
    os.setegid(GID)
    os.seteuid(UID)
    try:
        yield
    finally:
        os.seteuid(uid)
        os.setegid(gid)


@pytest.mark.parametrize("place", ["", ".kaas-load", "d"], ids=["all", "the journal of another one", "a directory"])
async def test_a_volume_of_somebody_else_ends_the_load_with_the_way_out(volume: Path, place: str) -> None:
    (volume / place).mkdir(exist_ok=True)
    (volume / place).chmod(0o555 if place != ".kaas-load" else 0)
    with nobody_special():
        uid, gid = os.geteuid(), os.getegid()
        result = await load(Bucket({"d/a": b"1"}), volume, Options(limits=SMALL, patience=QUICK))
    (volume / place).chmod(0o777)
    assert (result.reason, exit_code(result.reason)) == (Reason.INVALID_SPEC, Exit.PERMANENT)
    assert f"may not be written as {uid}:{gid}: set load-owner" in result.message

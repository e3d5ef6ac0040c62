"""A destination that may not be written: told once, with the way out, for another try would find the same."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from kaas.loader.faults import exit_code, of_system
from kaas.loader.large import Large
from kaas.loader.options import Options
from kaas.loader.report import Exit, Reason
from kaas.loader.run import load
from kaas.loader.tree import Tree
from tests.unit.loader.bucket import MIB, QUICK, SMALL, Bucket

T = TypeVar("T")

UID, GID = 1001, 100


@pytest.mark.parametrize(
    ("number", "reason", "said"),
    [
        (errno.EACCES, Reason.INVALID_SPEC, "may not be written as {uid}:{gid}: load as an owner who may"),
        (errno.EPERM, Reason.INVALID_SPEC, "may not be written as {uid}:{gid}: load as an owner who may"),
        (errno.EROFS, Reason.FAILED, "it has become so meanwhile"),
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
    assert f"may not be written as {uid}:{gid}: load as an owner who may" in result.message


async def test_a_file_system_that_is_read_only_from_the_beginning(
    volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "mkdir", _failing(os.mkdir, 1, errno.EROFS))
    result = await load(Bucket({"a": b"1"}), volume / "d", Options(limits=SMALL, patience=QUICK))
    assert (result.reason, exit_code(result.reason)) == (Reason.INVALID_SPEC, Exit.PERMANENT)
    assert "it is read-only: have it mounted for writing" in result.message


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
async def test_what_could_be_written_a_moment_ago_may_be_again(
    number: int, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk with errors is mounted anew, on another node or after it was checked; exports of NFS come back."""
    objects = {f"d/{n}": b"1" for n in range(9)}
    monkeypatch.setattr(Tree, "place", _failing(Tree.place, 3, number))
    result = await load(Bucket(objects), volume, Options(limits=SMALL, patience=QUICK))
    assert (result.reason, exit_code(result.reason)) == (Reason.FAILED, Exit.RETRY)
    assert os.strerror(number) in result.message
    monkeypatch.undo()
    result = await load(Bucket(objects), volume, Options(limits=SMALL, patience=QUICK))
    assert (result.reason, result.skipped) == (Reason.LOADED, 2)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
async def test_the_same_in_the_middle_of_the_only_file(
    number: int, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Large, "write", _failing(Large.write, 3, number))
    result = await load(Bucket({"a": bytes(9 * MIB)}), volume, Options(limits=SMALL, patience=QUICK))
    assert (result.reason, exit_code(result.reason)) == (Reason.FAILED, Exit.RETRY)


async def test_what_is_read_only_before_any_file_was_made_was_not_when_the_load_began(
    volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tree, "place", _failing(Tree.place, 1, errno.EROFS))
    result = await load(Bucket({"a": b"1"}), volume, Options(limits=SMALL, patience=QUICK))
    assert (result.reason, exit_code(result.reason)) == (Reason.FAILED, Exit.RETRY)


def _failing(work: Callable[..., T], at: int, number: int) -> Callable[..., T]:
    """It fails so from some call on."""
    calls = itertools.count(1)

    def called(*arguments: Any, **more: Any) -> T:
        if next(calls) >= at:
            raise OSError(number, os.strerror(number))
        return work(*arguments, **more)

    return called

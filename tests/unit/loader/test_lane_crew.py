"""What the loader makes of what its other processes answer."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kaas.loader import lane
from kaas.loader.crew import Crew, Gone
from kaas.loader.faults import Fault
from kaas.loader.options import Options
from kaas.loader.orders import Files, Order, Place, Reply
from kaas.loader.report import Reason
from kaas.loader.run import load
from kaas.loader.source import Algorithm, Checksum, Denied, Entry, Reader, Refused, Streaming, Unreachable
from tests.unit.loader.bucket import QUICK, SMALL, tree
from tests.unit.loader.test_lane import Quick, files

LARGE = b"0123456789abcdef" * 2**18


@dataclass(frozen=True)
class Read:
    """Nothing but what can be told."""

    def open(self) -> Streaming:
        raise AssertionError("it is opened elsewhere")


@dataclass
class Shared(Quick):
    """Other processes can read it."""

    async def reader(self) -> Reader | None:
        return Read()


@dataclass
class Played(Crew):
    """One process, which answers as a test wants it."""

    answer: Callable[[Order], Reply]
    orders: list[Order] = field(default_factory=list)
    busy: int = 0
    settled: bool = False
    closed: bool = False

    def settle(self, root: int, parts: int, place: Place) -> None:
        self.settled = True

    def idlest(self) -> Any:
        assert self.settled
        assert not self.closed
        return self

    async def do(self, order: Order) -> Reply:
        self.orders.append(order)
        return self.answer(order)

    async def close(self) -> None:
        self.closed = True


def gone(_: Order) -> Reply:
    raise Gone


async def loaded(bucket: Quick, to: Path, answer: Callable[[Order], Reply]) -> tuple[Any, Played]:
    crew = Played(answer)
    return await load(bucket, to, Options(limits=SMALL, patience=QUICK), crew=crew), crew


@pytest.mark.parametrize(
    "answer",
    [
        gone,
        lambda _: Reply(error=Refused("in another way")),
        lambda _: Reply(error=Unreachable("busy")),
        lambda _: Reply(error=Denied("the token has expired")),
        lambda _: Reply(),
    ],
    ids=["gone", "refused", "busy", "denied", "left"],
)
async def test_what_they_do_not_load_is_loaded(tmp_path: Path, answer: Callable[[Order], Reply]) -> None:
    bucket = Shared(files(60) | {"large": LARGE}, listed=Algorithm.MD5)
    result, crew = await loaded(bucket, tmp_path, answer)
    assert result.reason is Reason.LOADED, result.message
    assert tree(tmp_path) == bucket.objects
    assert crew.closed


@pytest.mark.parametrize("reply", [Reply(error=Refused("in another way")), Reply()], ids=["refused", "left"])
async def test_those_that_cannot_read_it_are_not_asked_for_a_while(tmp_path: Path, reply: Reply) -> None:
    bucket = Shared(files(200), listed=Algorithm.MD5)
    _, crew = await loaded(bucket, tmp_path, lambda _: reply)
    assert len(crew.orders) < lane._MOST_LEFT + SMALL.streams
    assert len(bucket.streamed) > 100, "threads read the rest"


async def test_what_they_made_is_believed(tmp_path: Path) -> None:
    bucket = Shared(files(20), listed=Algorithm.MD5)

    def made(order: Order) -> Reply:
        assert isinstance(order, Files)
        for entry, _ in order.work:
            (tmp_path / entry.name).parent.mkdir(exist_ok=True)
            (tmp_path / entry.name).write_bytes(bucket.objects[entry.name])
        return Reply([((tmp_path / e.name).stat().st_mtime_ns, sum_) for e, sum_ in order.work])

    result, _ = await loaded(bucket, tmp_path, made)
    assert (result.files, result.verified) == (20, {"md5": 20})
    assert not bucket.streamed
    assert not bucket.reads
    again, crew = await loaded(bucket, tmp_path, made)
    assert (again.skipped, crew.orders) == (20, [])


async def test_an_error_of_theirs_that_nobody_knows_ends_the_load(tmp_path: Path) -> None:
    bucket = Shared(files(20), listed=Algorithm.MD5)
    with pytest.raises(ZeroDivisionError):
        await loaded(bucket, tmp_path, lambda _: Reply(error=ZeroDivisionError("of theirs")))


SUM = Checksum(Algorithm.CRC32, "00000000", (5, 5))
ENTRY = Entry("a/b", "b", 10, "etag", SUM)


@pytest.mark.parametrize(
    "told",
    [ENTRY, Files(Read(), [(ENTRY, SUM), (ENTRY, None)], "part"), Reply([(1, SUM), (2, None)]), Reply(total=7)],
    ids=["entry", "files", "made", "total"],
)
def test_what_is_told_arrives(told: object) -> None:
    assert pickle.loads(pickle.dumps(told)) == told  # noqa: S301 - our own


def test_errors_arrive_with_all_that_they_say() -> None:
    fault, later = Fault(Reason.INVALID_KEY, "in the way"), Unreachable("busy", 7.0)
    found, again = pickle.loads(pickle.dumps((fault, later)))  # noqa: S301 - our own
    assert (type(found), found.reason, str(found)) == (Fault, Reason.INVALID_KEY, "in the way")
    assert (type(again), again.wait, str(again)) == (Unreachable, 7.0, "busy")

"""What holds of the ledger whatever is seen, in whatever order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from kaas.api.update_status import THROUGH
from kaas.updates.ledger.advance import VERIFYING, Ledger, Progress, advance, called_off
from kaas.updates.ledger.seen import Brought, Part, Seen, Window
from kaas.updates.ledger.steps import begin
from kaas.updates.run import Verdict
from tests.unit.updates.ledger.parts import AIMS
from tests.unit.updates.subjects import NOW

POOLS = ("a", "b", "c")
TIMES = st.timedeltas(timedelta(0), timedelta(hours=2)) | st.timedeltas(timedelta(0), timedelta(seconds=20))


@st.composite
def parts(draw: st.DrawFn) -> Part:
    desired = draw(st.integers(0, 3))
    machines = draw(st.integers(0, desired + 1))
    new = draw(st.integers(0, machines))
    ready = draw(st.integers(0, new))
    times = st.none() | st.just(NOW)
    return Part(
        desired,
        machines,
        new,
        ready,
        draw(st.integers(ready, machines)),
        handed=draw(st.booleans()),
        moved=draw(times),
        coming=draw(times),
        going=draw(times),
        repairs=draw(st.sampled_from((0, 0, 0, 1))),
        manual=draw(st.sampled_from((False, False, True))),
    )


def done() -> Part:
    return Part(1, 1, 1, 1, 1)


BROUGHT = (
    ("Version", "v1.36.3", "v1.36.1"),
    ("Image", "b", "a"),
    ("ClassRevision", "2", "1"),
    ("Certificates", "t", ""),
)


@st.composite
def brings(draw: st.DrawFn) -> tuple[Brought, ...]:
    """Any of what an update may bring, each handed to Cluster API or not."""
    found = draw(st.lists(st.sampled_from(BROUGHT), unique=True))
    return tuple(Brought(what, new, old, handed=draw(st.booleans())) for what, new, old in found)  # type: ignore[arg-type]


SEEN = st.builds(
    Seen,
    target=st.just("v1.36.3"),
    control_plane=parts() | st.builds(done),
    pools=st.dictionaries(st.sampled_from(POOLS), parts() | st.builds(done), max_size=3),
    window=st.builds(Window, st.booleans(), st.none() | st.just(NOW + timedelta(days=7))),
    paused=st.sampled_from(("", "", "an audit")),
    released=st.sampled_from((frozenset[str](), frozenset({"a"}), frozenset({"*"}))),
    retry=st.sampled_from(("", "go on", "again")),
    brings=brings(),
)
VERDICTS = st.sampled_from((Verdict(True, "well"), Verdict(None, "soon"), Verdict(False, "ill", ("Nodes",))))


def check(before: Ledger, found: Progress, seen: Seen) -> None:
    states = {s.name: s.state for s in found.ledger.steps}
    assert all(states[s.name] == s.state for s in before.steps if s.state in THROUGH)  # what is through stays so
    running = [p for p in POOLS if states[f"Pool/{p}"] == "Running"]
    assert len(running) <= 1
    behind = {p for p in POOLS if states[f"Pool/{p}"] not in THROUGH}
    assert set(found.waiting) == behind - set(running if found.ledger.stopped is None else ())
    if states["ControlPlane"] not in THROUGH:
        assert all(s.started is None for s in found.ledger.steps if s.name.startswith("Pool/"))
    if behind:
        assert states["Verification"] == states["Finished"] == "Pending"
    verified = {s.name for s in found.ledger.steps if s.reason == VERIFYING}
    for pool in running:
        part = seen.pools[pool]
        if not part.handed and f"Pool/{pool}" in verified:  # it was through, and how it is replaced is handed anew
            continue
        may_begin = seen.window.open and not seen.paused and not part.repairs
        assert part.through or (may_begin and (not part.manual or seen.may_go(pool)))
    assert found.finished or found.ledger.stopped or found.until or _waits(found)
    check_rolled_back(before, found, seen)
    for step in found.ledger.steps:
        assert (step.finished is not None) == (step.state in (*THROUGH, "Failed"))
        assert step.state == "Pending" or step.message


def check_rolled_back(before: Ledger, found: Progress, seen: Seen) -> None:
    """Only what has stopped is rolled back, of pools that wait, and nothing comes to it after the stop."""
    back, handed = found.ledger.rolled_back, {b.what for b in seen.brings if b.handed}
    assert not back or found.ledger.stopped is not None
    assert {e.pool for e in back if e.pool} <= set(found.waiting)
    assert not {e.what for e in back if e.pool is None} & handed  # what Cluster API has is not taken from it
    assert len({(e.what, e.pool) for e in back}) == len(back)
    goes_on = before.stopped is not None and before.stopped == found.ledger.stopped
    if goes_on:
        assert set(back) <= set(before.rolled_back)
    elif "Version" in handed:
        assert all(e.what != "Image" or e.pool is None for e in back)


def _waits(found: Progress) -> bool:
    """Whether only something that is seen can move it on."""
    return any(s.state == "Held" for s in found.ledger.steps)


@settings(max_examples=300)
@given(st.lists(st.tuples(TIMES, SEEN, VERDICTS), max_size=25))
def test_whatever_is_seen(course: list[tuple[timedelta, Seen, Verdict]]) -> None:
    ledger, now = Ledger(begin(AIMS, POOLS, NOW)), NOW
    for after, seen, verdict in course:
        now += after
        found = advance(ledger, seen, now)
        check(ledger, found, seen)
        again = advance(found.ledger, seen, now)
        if found.ledger.stopped is None:
            assert again.ledger == advance(again.ledger, seen, now).ledger  # it comes to rest
        ledger = found.ledger
        if found.wants:
            found = advance(ledger, replace(seen, verdict=(found.wants, verdict)), now)
            check(ledger, found, seen)
            ledger = found.ledger
    over = called_off(ledger, "another version is asked for", now)
    assert all(s.state in THROUGH for s in over.steps)
    assert advance(over, Seen("", done()), now).waiting == ()


@given(st.integers(0, 60))
def test_it_fits_into_the_status_however_many_pools_there_are(count: int) -> None:
    steps = begin(AIMS, [f"pool-{n}" for n in range(count)], NOW)
    assert len(steps) <= 64
    assert len({s.name for s in steps}) == len(steps)

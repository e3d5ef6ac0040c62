"""What holds of the ledger whatever is seen, in whatever order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from kaas.api.update_status import THROUGH
from kaas.updates.ledger.advance import VERIFYING, Ledger, Progress, advance, called_off
from kaas.updates.ledger.seen import Part, Seen, Window
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


SEEN = st.builds(
    Seen,
    target=st.just("v1.36.3"),
    control_plane=parts() | st.builds(done),
    pools=st.dictionaries(st.sampled_from(POOLS), parts() | st.builds(done), max_size=3),
    window=st.builds(Window, st.booleans(), st.none() | st.just(NOW + timedelta(days=7))),
    paused=st.sampled_from(("", "", "an audit")),
    released=st.sampled_from((frozenset[str](), frozenset({"a"}), frozenset({"*"}))),
    retry=st.sampled_from(("", "go on", "again")),
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
    for step in found.ledger.steps:
        assert (step.finished is not None) == (step.state in (*THROUGH, "Failed"))
        assert step.state == "Pending" or step.message


def _waits(found: Progress) -> bool:
    """Whether only something that is seen can move it on."""
    return any(s.state == "Held" for s in found.ledger.steps)


@settings(max_examples=300, deadline=None)
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

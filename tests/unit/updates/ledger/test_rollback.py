"""What is rolled back when an update stops, what is not, and until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kaas.api.update_status import RolledBack, UpdateSummary
from kaas.updates.ledger.advance import Ledger, called_off
from kaas.updates.ledger.seen import Brought, Part
from kaas.updates.run import Verdict
from tests.unit.updates.ledger.parts import Course, new, old
from tests.unit.updates.subjects import NOW

VERSION = Brought("Version", "v1.36.3", "v1.36.1", handed=True)
IMAGE = Brought("Image", "ubuntu-b", "ubuntu-a", handed=True)
CLASS = Brought("ClassRevision", "class-2", "class-1", handed=True)
CERTIFICATES = Brought("Certificates", "2027-01-01T00:00:00Z", "", handed=True)
LONG = timedelta(hours=3)
ILL = Verdict(False, "a node is ill", ("NodesReady",))


def away(*brought: Brought) -> tuple[Brought, ...]:
    return tuple(replace(b, handed=False) for b in brought)


def at_pool(*brought: Brought) -> Course:
    """An update whose control plane is through, and whose first pool has begun."""
    course = Course()
    course.seen = replace(course.seen, brings=brought)
    course.control_plane(new(1))
    course.settle()
    assert course.states["Pool/cpu"] == "Running"
    return course


def never_joins(course: Course, **more: object) -> None:
    """Of three machines one is new and works; a second one, beyond those wanted, never joins."""
    part = Part(3, 4, 2, 1, 3, coming=course.time, **more)  # type: ignore[arg-type]
    course.pool("cpu", part)
    course.look(LONG)
    assert course.reason("Pool/cpu") == "MachineNotJoining"


def told(course: Course) -> list[tuple[str, str | None, str, str | None]]:
    return [(e.what, e.pool, e.from_, e.to) for e in course.ledger.rolled_back]


def message(course: Course) -> str:
    assert course.ledger.stopped is not None
    return course.ledger.stopped.message


def test_a_pool_in_the_middle_has_its_image_again() -> None:
    course = at_pool(IMAGE)
    never_joins(course, surplus=(("cpu", 1),))
    assert told(course) == [("Image", "cpu", "ubuntu-b", "ubuntu-a")]
    (entry,) = course.ledger.rolled_back
    assert (entry.since, [(s.name, s.machines) for s in entry.surplus]) == (course.time, [("cpu", 1)])
    assert "rolled back: pool cpu makes machines of ubuntu-a again, not of ubuntu-b and has 1 more" in message(course)
    assert "the control plane stays at ubuntu-b: to go back, Cluster API would replace all its" in message(course)
    assert "kaas.internal/update-retry" in message(course)


def test_it_is_as_it_was_said_as_long_as_it_has_stopped() -> None:
    course = at_pool(IMAGE)
    never_joins(course, surplus=(("cpu", 1),))
    before = course.ledger.rolled_back
    course.pool("cpu", old())  # the broken machine is gone, and another one has come
    course.look(LONG)
    assert course.ledger.rolled_back == before


def test_it_ends_when_the_update_goes_on_or_is_called_off() -> None:
    course = at_pool(IMAGE)
    never_joins(course)
    assert called_off(course.ledger, "another version", course.time).rolled_back == ()
    course.seen = replace(course.seen, retry="mended")
    course.look()
    assert (course.ledger.stopped, course.ledger.rolled_back) == (None, ())


def test_it_can_be_rolled_back_a_second_time() -> None:
    course = at_pool(IMAGE)
    never_joins(course)
    course.seen = replace(course.seen, retry="mended")
    course.look()
    never_joins(course)
    assert told(course) == [("Image", "cpu", "ubuntu-b", "ubuntu-a")]


def test_no_version_is_taken_back() -> None:
    course = at_pool(VERSION, Brought("Image", "of-v1.36.3", "of-v1.36.1", handed=True))
    never_joins(course)
    assert told(course) == []
    assert "the control plane stays at v1.36.3: Cluster API takes no version back" in message(course)
    assert "pool cpu stays at v1.36.3: Cluster API takes no version back" in message(course)


def test_a_pool_that_its_version_has_not_reached_stays_where_it_is() -> None:
    course = at_pool(VERSION)
    course.pool("cpu", replace(old(), handed=False, reached=False))
    course.look(LONG)
    assert course.reason("Pool/cpu") == "NoProgress"
    assert told(course) == [("Version", "cpu", "v1.36.3", "v1.36.1")]
    assert "pool cpu stays on version v1.36.1, Cluster API had not been handed v1.36.3" in message(course)


def test_a_pool_of_new_machines_alone_stays_so() -> None:
    course = at_pool(IMAGE)
    course.verdicts["Pool/cpu"] = ILL
    course.pool("cpu", new())
    course.settle()
    assert course.reason("Pool/cpu") == "VerificationFailed"
    assert told(course) == []
    assert "pool cpu stays: all its machines are new" in message(course)


def test_one_that_has_not_joined_is_not_done() -> None:
    course = at_pool(IMAGE)
    course.pool("cpu", Part(1, 2, 1, 0, 1, coming=course.time))
    course.look(LONG)
    assert told(course) == [("Image", "cpu", "ubuntu-b", "ubuntu-a")]


def test_pools_that_have_not_begun_need_nothing() -> None:
    course = Course()
    course.seen = replace(course.seen, brings=(IMAGE, CLASS))
    course.control_plane(Part(1, 2, 1, 0, 1, coming=NOW))
    course.look()
    course.look(LONG)
    assert course.reason("ControlPlane") == "MachineNotJoining"
    assert told(course) == []
    assert "the control plane stays at ubuntu-b: to go back" in message(course)
    assert "ClusterClass class-2 stays: it is one for the whole Cluster" in message(course)


def test_what_cluster_api_was_never_handed_is_not_handed_any_more() -> None:
    course = Course()
    course.seen = replace(course.seen, brings=away(VERSION, IMAGE, CLASS, CERTIFICATES))
    course.control_plane(replace(old(1), handed=False, trouble="there is no image ubuntu-b"))
    course.look()
    course.look(LONG)
    assert course.reason("ControlPlane") == "NoProgress"
    assert told(course) == [
        ("Version", None, "v1.36.3", "v1.36.1"),
        ("Image", None, "ubuntu-b", "ubuntu-a"),
        ("ClassRevision", None, "class-2", "class-1"),
        ("Certificates", None, "2027-01-01T00:00:00Z", None),
    ]
    assert "the Cluster stays on version v1.36.1, Cluster API had not been handed v1.36.3" in message(course)
    assert "the control plane stays" not in message(course)
    assert "there is no image ubuntu-b" in message(course)


def test_what_was_on_its_way_then_is_not_called_rolled_back() -> None:
    course = Course()
    course.seen = replace(course.seen, brings=away(VERSION, CLASS))
    course.control_plane(replace(old(1), handed=False))
    course.look()
    course.look(LONG)
    course.seen = replace(course.seen, brings=(VERSION, *away(CLASS)))
    course.look()
    assert told(course) == [("ClassRevision", None, "class-2", "class-1")]


def test_nothing_is_rolled_back_where_it_is_not_known_what_there_was() -> None:
    course = at_pool()
    never_joins(course)
    assert told(course) == []
    assert "stays" not in message(course)


@pytest.mark.parametrize("pools", [1, 50])
def test_it_fits_however_many_pools_there_are(pools: int) -> None:
    names = tuple(f"{'p' * 50}-{n}" for n in range(pools))
    course = Course(names)
    course.seen = replace(course.seen, brings=(IMAGE,))
    course.control_plane(new(1))
    for name in names:  # each is held in the middle, as a person may have it
        course.pool(name, replace(old(), trouble="x" * 600))
    course.settle()
    started = tuple(s.model_copy(update={"started": NOW}) for s in course.ledger.steps)
    course.ledger = replace(course.ledger, steps=started)
    course.look(LONG)
    assert len(course.ledger.rolled_back) == pools
    assert len(message(course)) <= 1024
    assert message(course).endswith("to the reason why it may go on")


def test_names_may_be_as_long_as_images_have_them() -> None:
    course = at_pool(replace(IMAGE, new="b" * 255, old="a" * 255))
    never_joins(course)
    assert told(course) == [("Image", "cpu", "b" * 255, "a" * 255)]
    assert message(course).endswith("to the reason why it may go on")


def test_it_is_read_again_as_it_was_written() -> None:
    course = at_pool(IMAGE)
    never_joins(course, surplus=(("cpu-az-1", 1),))
    ledger = course.ledger
    back = [e.to_json() for e in ledger.rolled_back]
    raw = {"steps": [s.to_json() for s in ledger.steps], "rolledBack": back}
    assert Ledger.of(UpdateSummary.model_validate(raw)).rolled_back == ledger.rolled_back
    assert back[0]["from"] == "ubuntu-b"
    assert RolledBack.model_validate(back[0]) == ledger.rolled_back[0]

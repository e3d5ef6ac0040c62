"""The ledger of an update that is gone through."""

from __future__ import annotations

import pytest

from tests.unit.updates.ledger.parts import Course


@pytest.fixture(name="course")
def new_course() -> Course:
    return Course()

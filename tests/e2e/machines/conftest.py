"""A lab with one cloud and a class by hand, for the tests of one module."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from kaas_lab import lab, management
from kaas_lab.layout import Layout
from kaas_lab.machines import faults
from kaas_lab.reporter import Reporter
from kaas_lab.slots import free_slot

from tests.e2e.machines.by_hand import SITE, ByHand, install_class

MakeCluster = Callable[[str], ByHand]


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layout]:
    state = tmp_path_factory.mktemp("lab")
    with free_slot(state) as layout:
        try:
            lab.up(layout, lab.Options(), Reporter())
            install_class(management.api_server(layout))
            yield layout
        finally:
            lab.down(state)


@pytest.fixture(scope="module")
def by_hand(layout: Layout, tmp_path_factory: pytest.TempPathFactory) -> MakeCluster:
    return lambda name: ByHand(layout, name, tmp_path_factory.mktemp(name))


@pytest.fixture(autouse=True)
def _healed(layout: Layout) -> Iterator[None]:
    yield
    faults.heal_all(layout.site_state(SITE))

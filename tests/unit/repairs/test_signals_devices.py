"""How many GPUs a Node lacks."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.repairs.devices import complete, lacking
from tests.unit.repairs.sick import look, names, node, pool

GPU, SHARED = "nvidia.com/gpu", "nvidia.com/gpu.shared"
SMALL, HALF = "nvidia.com/mig-1g.5gb", "nvidia.com/mig-3g.20gb"


@pytest.mark.parametrize(
    ("capacity", "allocatable", "gpus", "lost"),
    [
        ({GPU: 8}, {GPU: 8}, 8, 0),
        ({GPU: 8}, {GPU: 7}, 8, 1),
        ({GPU: 8}, {}, 8, 8),
        ({GPU: 6}, {GPU: 6}, 8, 2),
        ({GPU: 6}, {GPU: 5}, 8, 1),
        ({GPU: 0}, {GPU: 0}, 8, 8),
        ({}, {}, 8, 8),
        ({}, {}, 0, 0),
        ({GPU: 2}, {GPU: 1}, 0, 1),
        # MIG, strategy single: slices under the name of GPUs
        ({GPU: 56}, {GPU: 56}, 8, 0),
        ({GPU: 56}, {GPU: 40}, 8, 8),
        # MIG, strategy mixed
        ({GPU: 0, SMALL: 56}, {GPU: 0, SMALL: 56}, 8, 0),
        ({GPU: 4, SMALL: 28}, {GPU: 4, SMALL: 28}, 8, 0),
        ({GPU: 0, SMALL: 56}, {GPU: 0, SMALL: 49}, 8, 1),
        ({GPU: 0, SMALL: 56}, {GPU: 0, SMALL: 48}, 8, 2),
        ({GPU: 1, HALF: 2}, {GPU: 0, HALF: 1}, 8, 2),
        ({GPU: 0, SMALL: 0}, {GPU: 0, SMALL: 0}, 8, 8),
        # time-slicing
        ({SHARED: 80}, {SHARED: 80}, 8, 0),
        ({"amd.com/gpu": 8}, {"amd.com/gpu": 6}, 8, 2),
    ],
)
def test_lost(capacity: Mapping[str, int], allocatable: Mapping[str, int], gpus: int, lost: int) -> None:
    it = node(capacity=capacity, allocatable=allocatable)
    assert lacking(it, gpus)[0] == lost
    assert complete(it, gpus) is (lost == 0)


def test_the_numbers_are_told() -> None:
    assert lacking(node(allocatable={GPU: 6}), 8)[1] == "only 6 of 8 nvidia.com/gpu can be had"
    assert lacking(node(capacity={GPU: 6}, allocatable={GPU: 6}), 8)[1] == "the node has 6 of 8 GPUs"


devices = st.dictionaries(st.sampled_from([GPU, SHARED, SMALL, HALF, "nvidia.com/mig-1c.2g.10gb"]), st.integers(0, 60))


@given(devices, devices, st.integers(0, 16))
def test_the_quick_look_and_the_close_one_agree(
    capacity: dict[str, int], allocatable: dict[str, int], gpus: int
) -> None:
    it = node(capacity=capacity, allocatable=allocatable)
    number, message = lacking(it, gpus)
    assert complete(it, gpus) is (number == 0) is (message == "")
    assert number <= gpus or gpus == 0


@pytest.mark.parametrize("state", ["pending", "rebooting"])
def test_gpus_are_not_missed_while_mig_is_set_up(state: str) -> None:
    it = node(mig_state=state, capacity={GPU: 0}, allocatable={GPU: 0})
    assert names(look(a_node=it)) == ["MigPending"]


def test_a_pool_without_gpus_misses_none() -> None:
    assert look(a_node=node(capacity={}, allocatable={}), pool=pool(gpus_per_node=0)) == ()

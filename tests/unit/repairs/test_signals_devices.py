"""How many GPUs a Node lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.gpu.layouts import Layout
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


MIXED = Layout("all-1g.5gb", "success", "mixed", "NVIDIA-A100-SXM4-40GB")
BALANCED = replace(MIXED, name="all-balanced")


@pytest.mark.parametrize(
    ("layout", "allocatable", "lost", "told"),
    [
        (MIXED, {SMALL: 56}, 0, ""),
        (MIXED, {GPU: 0, SMALL: 56}, 0, ""),  # the kubelet still counts the GPUs of before
        (MIXED, {SMALL: 55}, 1, "only 55 of 56 nvidia.com/mig-1g.5gb of layout all-1g.5gb can be had"),
        (MIXED, {GPU: 8}, 8, "only 0 of 56 nvidia.com/mig-1g.5gb"),
        (MIXED, {}, 8, "only 0 of 56"),
        (MIXED, {f"{SMALL}.shared": 112}, 0, ""),
        (replace(MIXED, strategy="single"), {GPU: 56}, 0, ""),
        (replace(MIXED, strategy="single"), {GPU: 49}, 1, "only 49 of 56 nvidia.com/gpu"),
        (replace(MIXED, strategy="single"), {GPU: 8}, 7, "only 8 of 56 nvidia.com/gpu"),
        (replace(MIXED, name="all-2g.10gb"), {"nvidia.com/mig-2g.10gb": 0}, 8, "only 0 of 24"),
        (BALANCED, {SMALL: 16, "nvidia.com/mig-2g.10gb": 8, HALF: 8}, 0, ""),
        (BALANCED, {SMALL: 14, "nvidia.com/mig-2g.10gb": 7, HALF: 7}, 1, "7 of 8 nvidia.com/mig-2g.10gb"),
        (replace(MIXED, name="all-disabled"), {GPU: 7}, 1, "only 7 of 8 nvidia.com/gpu of layout all-disabled"),
    ],
)
def test_in_a_known_layout_each_slice_counts(
    layout: Layout, allocatable: Mapping[str, int], lost: int, told: str
) -> None:
    it = node(capacity={GPU: 8, **allocatable}, allocatable=allocatable, layout=layout)
    number, message = lacking(it, 8)
    assert number == lost
    assert message.startswith(told) if told.startswith("only") else told in message
    assert complete(it, 8) is (lost == 0)


@pytest.mark.parametrize("layout", [replace(MIXED, name="ours"), replace(MIXED, state="failed"), Layout()])
def test_in_others_what_is_there_counts(layout: Layout) -> None:
    assert lacking(node(capacity={GPU: 8}, allocatable={GPU: 8}, layout=layout), 8) == (0, "")


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
    it = node(layout=Layout(state=state), capacity={GPU: 0}, allocatable={GPU: 0})
    assert names(look(a_node=it)) == ["MigPending"]


def test_a_pool_without_gpus_misses_none() -> None:
    assert look(a_node=node(capacity={}, allocatable={}), pool=pool(gpus_per_node=0)) == ()

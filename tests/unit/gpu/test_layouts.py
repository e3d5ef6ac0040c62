"""Layouts of MIG: the table, and what Nodes should offer."""

from __future__ import annotations

import pytest
from kaas_lab.machines import mig

from kaas.gpu import geometry
from kaas.gpu.geometry import slices_of
from kaas.gpu.layouts import GPU, NO_LAYOUT, Layout, expected, layout_of, short

SMALL = "nvidia.com/mig-1g.5gb"
A100 = "NVIDIA-A100-SXM4-40GB"
EVERY = [
    *geometry._ALIKE.values(),
    *(slices for models in geometry._BY_MODEL.values() for slices in models.values()),
]


@pytest.mark.parametrize("slices", EVERY, ids=str)
def test_a_gpu_has_seven_compute_slices(slices: geometry.Slices) -> None:
    """Source: NVIDIA MIG user guide."""
    assert sum(int(profile[0]) * number for profile, number in slices.items()) <= 7


@pytest.mark.parametrize("layout", geometry._ALIKE)
def test_a_layout_is_called_as_its_slices(layout: str) -> None:
    (profile,) = geometry._ALIKE[layout]
    assert layout == f"all-{profile.replace('+', '.')}"


@pytest.mark.parametrize(
    ("model", "smallest"),
    [
        (A100, "1g.5gb"),
        ("A100-SXM4-40GB", "1g.5gb"),
        ("A100-PCIE-40GB-MIG-1g.5gb", "1g.5gb"),
        ("NVIDIA-A100-SXM4-80GB", "1g.10gb"),
        ("NVIDIA-A100-SXM4-80GB-MIG-3g.40gb", "1g.10gb"),
        ("NVIDIA-A100-80GB-PCIe", "1g.10gb"),
        ("NVIDIA-H100-80GB-HBM3", "1g.10gb"),
        ("NVIDIA-H100-PCIe", "1g.10gb"),
        ("NVIDIA-H100-NVL", "1g.12gb"),
        ("NVIDIA-GH200-480GB", "1g.12gb"),
        ("NVIDIA-GH200-144G-HBM3e", "1g.18gb"),
        ("NVIDIA-H200", "1g.18gb"),
        ("NVIDIA-B200", "1g.23gb"),
        ("NVIDIA-GB200", "1g.24gb"),
        ("NVIDIA-A30", "1g.6gb"),
    ],
)
def test_gpus_are_known_by_their_product(model: str, smallest: str) -> None:
    found = slices_of("all-balanced", model)
    assert found is not None
    assert found[smallest] == 2


@pytest.mark.parametrize(("layout", "model"), [("ours", A100), ("all-balanced", "Tesla-T4"), ("", A100)])
def test_what_is_not_known(layout: str, model: str) -> None:
    assert slices_of(layout, model) is None


@pytest.mark.parametrize(
    ("layout", "wanted"),
    [
        (Layout("all-1g.5gb", strategy="mixed"), {SMALL: 56}),
        (Layout("all-1g.5gb", strategy="single"), {GPU: 56}),
        (Layout("all-1g.5gb.me", strategy="mixed"), {"nvidia.com/mig-1g.5gb.me": 8}),
        (Layout("all-1g.10gb", strategy="single", model=A100), {GPU: 32}),
        (Layout("all-1g.10gb", strategy="single", model="NVIDIA-H100-80GB-HBM3"), {GPU: 56}),
        (Layout("all-balanced", strategy="single", model=A100), None),
        (Layout("all-disabled"), {GPU: 8}),
        (Layout("all-1g.5gb"), None),
        (Layout("all-1g.5gb", strategy="none"), None),
        (Layout("all-1g.10gb", strategy="single"), None),
        (NO_LAYOUT, None),
    ],
)
def test_what_a_box_offers(layout: Layout, wanted: dict[str, int] | None) -> None:
    assert expected(layout, 8) == wanted


def test_the_site_may_know_the_model() -> None:
    assert expected(Layout("all-1g.10gb", strategy="single"), 8, "A100-SXM4-40GB") == {GPU: 32}


@pytest.mark.parametrize("strategy", ["mixed", "single"])
@pytest.mark.parametrize("name", mig.LAYOUTS)
def test_the_labs_boxes_agree(name: str, strategy: str) -> None:
    """The lab has a table of its own: what plays a box knows nothing of kaas."""
    wanted = expected(Layout(name, strategy=strategy, model=mig.MODEL), 8)
    assert wanted is None or wanted == mig.offered(mig.LAYOUTS[name], strategy, 8)
    assert wanted is not None or name == "all-enabled" or (name, strategy) == ("all-balanced", "single")


def test_too_few() -> None:
    assert short({SMALL: 56}, {SMALL: 49, GPU: 8}) == {SMALL: 49}
    assert short({SMALL: 56}, {GPU: 8}) == {SMALL: 0}
    assert short({SMALL: 56}, {f"{SMALL}.shared": 112}) == {}
    assert short({GPU: 8}, {GPU: 8}) == {}


def test_labels() -> None:
    labels = {"nvidia.com/mig.config": "all-1g.5gb", "nvidia.com/mig.config.state": "pending"}
    assert layout_of(labels) == Layout("all-1g.5gb", "pending")
    assert layout_of(labels) is layout_of(dict(labels))
    assert layout_of({"x": "y"}) == NO_LAYOUT
    assert (layout_of(labels).in_place, NO_LAYOUT.in_place) == (False, True)
    assert Layout("all-1g.5gb").progress == "not begun"

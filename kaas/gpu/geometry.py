"""Into what slices a layout of MIG divides a GPU: one table. Pure.

Source: NVIDIA/mig-parted, deployments/systemd/config-default.yaml, from which the GPU operator's MIG manager takes its
layouts unless it is given others; there GPUs are told apart by PCI device, here by the name of their product.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

Slices = Mapping[str, int]
"""Slices of one GPU, by profile."""

DISABLED: Final = "all-disabled"
"""The layout in which GPUs are left whole."""

_A100_40, _80, _A30 = "A100-40GB", "80GB", "A30"
_H100_NVL, _H100_96, _H200, _GH200_144, _B200, _GB200 = "H100-NVL", "H100-96GB", "H200", "GH200-144GB", "B200", "GB200"

_MODELS: Final = (
    (re.compile(r"\bA[18]00\b.*\b40GB"), _A100_40),
    (re.compile(r"\b(A100|A800|H100|H800)\b.*\b80GB|\bH[18]00-PCIe"), _80),
    (re.compile(r"\bH[18]00[- ]NVL"), _H100_NVL),
    (re.compile(r"\bH100\b.*\b96GB|\bGH200-480GB"), _H100_96),
    (re.compile(r"\bGH200-144G"), _GH200_144),
    (re.compile(r"\bH200\b"), _H200),
    (re.compile(r"\bGB200\b"), _GB200),
    (re.compile(r"\bB200\b"), _B200),
    (re.compile(r"\bA30\b"), _A30),
)
"""Names of products, as GPU feature discovery and Sites write them, to GPUs that are divided alike."""

_ALIKE: Final[Mapping[str, Slices]] = MappingProxyType(
    {
        "all-1g.5gb": {"1g.5gb": 7},
        "all-1g.5gb.me": {"1g.5gb+me": 1},
        "all-2g.10gb": {"2g.10gb": 3},
        "all-3g.20gb": {"3g.20gb": 2},
        "all-4g.20gb": {"4g.20gb": 1},
        "all-7g.40gb": {"7g.40gb": 1},
        "all-1g.10gb.me": {"1g.10gb+me": 1},
        "all-1g.20gb": {"1g.20gb": 4},
        "all-2g.20gb": {"2g.20gb": 3},
        "all-3g.40gb": {"3g.40gb": 2},
        "all-4g.40gb": {"4g.40gb": 1},
        "all-7g.80gb": {"7g.80gb": 1},
        "all-1g.6gb": {"1g.6gb": 4},
        "all-1g.6gb.me": {"1g.6gb+me": 1},
        "all-2g.12gb": {"2g.12gb": 2},
        "all-2g.12gb.me": {"2g.12gb+me": 1},
        "all-4g.24gb": {"4g.24gb": 1},
        "all-1g.12gb": {"1g.12gb": 7},
        "all-1g.12gb.me": {"1g.12gb+me": 1},
        "all-2g.24gb": {"2g.24gb": 3},
        "all-3g.47gb": {"3g.47gb": 2},
        "all-4g.47gb": {"4g.47gb": 1},
        "all-7g.94gb": {"7g.94gb": 1},
        "all-3g.48gb": {"3g.48gb": 2},
        "all-4g.48gb": {"4g.48gb": 1},
        "all-7g.96gb": {"7g.96gb": 1},
        "all-1g.18gb": {"1g.18gb": 7},
        "all-1g.18gb.me": {"1g.18gb+me": 1},
        "all-1g.35gb": {"1g.35gb": 4},
        "all-2g.35gb": {"2g.35gb": 3},
        "all-3g.71gb": {"3g.71gb": 2},
        "all-4g.71gb": {"4g.71gb": 1},
        "all-7g.141gb": {"7g.141gb": 1},
        "all-1g.23gb": {"1g.23gb": 7},
        "all-1g.23gb.me": {"1g.23gb+me": 1},
        "all-1g.45gb": {"1g.45gb": 4},
        "all-2g.45gb": {"2g.45gb": 3},
        "all-3g.90gb": {"3g.90gb": 2},
        "all-4g.90gb": {"4g.90gb": 1},
        "all-7g.180gb": {"7g.180gb": 1},
    }
)
"""Layouts that are the same on every GPU that has the profile."""

_BY_MODEL: Final[Mapping[str, Mapping[str, Slices]]] = MappingProxyType(
    {
        "all-1g.10gb": {_80: {"1g.10gb": 7}, _A100_40: {"1g.10gb": 4}},
        "all-1g.24gb": {_GB200: {"1g.24gb": 7}, _H100_NVL: {"1g.24gb": 4}},
        "all-balanced": {
            _A100_40: {"1g.5gb": 2, "2g.10gb": 1, "3g.20gb": 1},
            _80: {"1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1},
            _A30: {"1g.6gb": 2, "2g.12gb": 1},
            _H100_NVL: {"1g.12gb": 2, "2g.24gb": 1, "3g.47gb": 1},
            _H100_96: {"1g.12gb": 2, "2g.24gb": 1, "3g.48gb": 1},
            _H200: {"1g.18gb": 2, "2g.35gb": 1, "3g.71gb": 1},
            _GH200_144: {"1g.18gb": 2, "2g.36gb": 1, "3g.72gb": 1},
            _B200: {"1g.23gb": 2, "2g.45gb": 1, "3g.90gb": 1},
            _GB200: {"1g.24gb": 2, "2g.47gb": 1, "3g.95gb": 1},
        },
    }
)
"""Layouts that are another thing on another GPU."""


def slices_of(layout: str, model: str) -> Slices | None:
    """Slices of each GPU; None when that is not known: a layout of one's own, or one that a GPU not known here has.

    model: name of the product, as `NVIDIA-A100-SXM4-40GB` or `A100-SXM4-40GB-MIG-1g.5gb`.
    """
    if layout in _ALIKE:
        return _ALIKE[layout]
    product = model.partition("-MIG-")[0]
    kind = next((kind for pattern, kind in _MODELS if pattern.search(product)), "")
    return _BY_MODEL.get(layout, {}).get(kind)

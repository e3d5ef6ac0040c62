"""Amounts as Kubernetes writes them."""

from __future__ import annotations

import pytest

from kaas.kube.quantity import whole


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("17", 17),
        ("20Gi", 20 * 2**30),
        ("1.5Gi", 3 * 2**29),
        ("5G", 5 * 10**9),
        ("128974848", 128974848),
        ("129e6", 129 * 10**6),
        ("9223372036854775807", 2**63 - 1),
        ("1500m", 2),
        ("100k", 100_000),
        ("1Ki", 1024),
        ("2Ei", 2**61),
    ],
)
def test_amounts(text: str, amount: int) -> None:
    assert whole(text) == amount


@pytest.mark.parametrize("text", ["", "Gi", "5GiB", "five", "1 Gi", "NaN", "inf", "1e9999999", "1e99", "8Ei"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        whole(text)

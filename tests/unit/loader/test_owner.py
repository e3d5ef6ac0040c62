"""Owners as people write them."""

from __future__ import annotations

import pytest

from kaas.loader.owner import Owner


def test_parse() -> None:
    assert Owner.parse("1000:2000") == Owner(1000, 2000)
    assert Owner.parse("0:0:0640") == Owner(0, 0, 0o640)
    assert Owner.parse("1:2:644").directory_mode == 0o755
    assert Owner.parse("1:2:2640").directory_mode == 0o2750
    assert Owner.parse("1:2").directory_mode is None


@pytest.mark.parametrize(
    "text", ["", "root:root", "1", "1:", "1:2:", "1:2:9", "1:2:0888", "-1:0", "4294967295:0", "1:2:3:4", " 1:2"]
)
def test_wrong(text: str) -> None:
    with pytest.raises(ValueError, match="owner"):
        Owner.parse(text)

"""Versions: parsing, order, and what a Cluster's version asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.api.versions import InvalidVersion, KubernetesVersion, matches, minor_of, newest

numbers = st.integers(0, 998)
versions = st.builds(KubernetesVersion, numbers, numbers)
V1_35_6, V1_36_1, V1_36_12 = (KubernetesVersion.parse(v) for v in ("v1.35.6", "v1.36.1", "v1.36.12"))


@given(versions)
def test_text_and_back(version: KubernetesVersion) -> None:
    assert KubernetesVersion.parse(str(version)) == version


@given(versions, versions)
def test_order_is_that_of_the_numbers(one: KubernetesVersion, other: KubernetesVersion) -> None:
    assert (one < other) == ((one.minor, one.patch) < (other.minor, other.patch))


@pytest.mark.parametrize("text", ["1.36.1", "v1.36", "v1.36.1-rc.0", "v1.036.1", "v2.0.0", "v1.36.1\n", ""])
def test_what_is_no_version_is_refused_with_the_right_form(text: str) -> None:
    with pytest.raises(InvalidVersion, match=r"v1\.36\.3"):
        KubernetesVersion.parse(text)


@pytest.mark.parametrize(("asked", "minor"), [("1.36", 36), ("v1.35.0", 35), ("1.0", 0)])
def test_minor(asked: str, minor: int) -> None:
    assert minor_of(asked) == minor


@pytest.mark.parametrize("asked", ["36", "v1.36", "1.36.1", "latest"])
def test_malformed_minor(asked: str) -> None:
    with pytest.raises(InvalidVersion, match=r"1\.36"):
        minor_of(asked)


@given(versions)
def test_a_version_is_matched_by_itself_and_its_minor_alone(version: KubernetesVersion) -> None:
    assert matches(str(version), version)
    assert matches(f"1.{version.minor}", version)
    assert not matches(str(version), KubernetesVersion(version.minor, version.patch + 1))
    assert not matches(f"1.{version.minor + 1}", version)


@pytest.mark.parametrize(
    ("asked", "found"), [("1.36", V1_36_12), ("v1.36.1", V1_36_1), ("1.35", V1_35_6), ("1.34", None), ("v1.36.2", None)]
)
def test_newest(asked: str, found: KubernetesVersion | None) -> None:
    assert newest(asked, [V1_36_12, V1_35_6, V1_36_1]) == found

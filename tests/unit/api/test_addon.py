"""An Addon is read, and refused where it makes no sense, by the API server and without one alike."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kaas.api.addon import MAX_ADDON_NAME, Addon, AddonVersion, KubernetesRange
from kaas.api.constants import API_VERSION
from kaas.api.crd import schema
from kaas.api.load import ManifestError, parse
from kaas.api.updates import AddOnUpdates, Updates

Object = dict[str, Any]


def addon(name: str = "node-exporter", **version: Any) -> Object:
    said = {"version": "1.8.2", "manifests": {"configMap": "node-exporter-1.8.2"}, **version}
    return {"apiVersion": API_VERSION, "kind": "Addon", "metadata": {"name": name}, "spec": {"versions": [said]}}


def faults(document: Object) -> str:
    """What is refused, empty when nothing is."""
    try:
        parse(document)
    except ManifestError as refused:
        return "\n".join(refused.faults)
    return ""


def rule(node: Any, words: str) -> str:
    """The CEL of the one rule whose message has these words."""
    (found,) = (v["rule"] for v in node["x-kubernetes-validations"] if words in v["message"])
    return str(found)


def pattern(cel: str) -> re.Pattern[str]:
    """The regular expression that a rule in CEL asks for."""
    (found,) = re.findall(r"matches\('(.*)'\)", cel)
    return re.compile(found.replace("\\\\", "\\"))


def test_what_is_left_out_means_everywhere_and_every_kubernetes() -> None:
    found = parse(addon())
    assert isinstance(found, Addon)
    assert found.spec.order == 0
    assert found.spec.clusters.to_json() == {"namespaces": [], "names": [], "sites": [], "matchLabels": {}} | {
        "matchExpressions": []
    }
    assert found.spec.versions[0].kubernetes == KubernetesRange()
    assert Updates().add_ons is AddOnUpdates.AUTO


NAMES = st.text(alphabet="abz09-.AÄ_٣ ", min_size=1, max_size=12)


@given(NAMES)
@example("-")
@example("a-")
@example("a" * MAX_ADDON_NAME)
@example("a" * (MAX_ADDON_NAME + 1))
def test_names_are_those_that_the_rule_in_cel_allows(name: str) -> None:
    cel = rule(schema(Addon), "metadata.name")
    assert f"size(self.metadata.name) <= {MAX_ADDON_NAME}" in cel
    # `$` of RE2 is the end of the text, that of Python also stands before a newline at the end
    allowed = len(name) <= MAX_ADDON_NAME and pattern(cel.replace("$'", r"\\Z'")).search(name) is not None
    said = faults(addon(name))
    assert (not said) is allowed
    assert allowed or "metadata.name must have at most 40 lower-case letters, digits and '-'" in said


@pytest.mark.parametrize("version", ["0.0.0", "1.8.2", "v1.8.2", "1.8.2-1", "v10.20.30-400", "999999999.0.1"])
def test_a_version_has_three_numbers_and_perhaps_a_packing(version: str) -> None:
    assert faults(addon(version=version)) == ""


@pytest.mark.parametrize(
    "version", ["", "1", "1.8", "1.8.2.3", "1.08.2", "1.8.x", "V1.8.2", "1.8.2-0", "1.8.2-rc1", "1.8.2+a", " 1.8.2"]
)
def test_what_is_no_version_is_refused_with_an_example(version: str) -> None:
    assert "spec.versions[0].version: must be a version of three numbers, as 1.8.2" in faults(addon(version=version))


def test_a_version_may_have_forty_characters() -> None:
    most = "v999999999.999999999.999999999-999999999"
    assert len(most) == 40
    assert faults(addon(version=most)) == ""


MINORS = st.none() | st.integers(0, 120)


@given(MINORS, MINORS)
def test_a_range_ends_where_it_begins_or_later(least: int | None, most: int | None) -> None:
    said = {key: f"1.{minor}" for key, minor in (("minVersion", least), ("maxVersion", most)) if minor is not None}
    found = faults(addon(kubernetes=said))
    if least is None or most is None or least <= most:
        assert found == ""
    else:
        assert "spec.versions[0].kubernetes.maxVersion: maxVersion is older than minVersion" in found
        assert "exchange the two" in found


def test_the_api_server_alone_judges_a_change_of_manifests() -> None:
    node = schema(AddonVersion)["properties"]["manifests"]
    assert rule(node, "add a version, as 1.8.2-1") == "self == oldSelf"
    assert faults(addon(manifests={"configMap": "another"})) == ""


def test_a_version_stands_there_once_and_twenty_may() -> None:
    document = addon()
    document["spec"]["versions"] *= 2
    assert "spec.versions: 1.8.2 is there twice: remove one" in faults(document)
    many = [{"version": f"1.8.{n}", "manifests": {"configMap": "a"}} for n in range(21)]
    document["spec"]["versions"] = many[:20]
    assert faults(document) == ""
    document["spec"]["versions"] = many
    assert "spec.versions: " in faults(document)

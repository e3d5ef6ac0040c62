"""Variables of a container: where they come from, and how the kubelet says that one is missing."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from kaas_lab.pods.environment import ConfigError, build, expand, field_of, quantity, resource_of, wanted

POD: dict[str, Any] = {
    "metadata": {"name": "p", "namespace": "ns", "uid": "u", "labels": {"a": "1"}, "annotations": {"x/y": "2"}},
    "spec": {"nodeName": "node-1", "serviceAccountName": "default"},
    "status": {"podIP": "10.244.0.1", "hostIP": "127.0.0.1"},
}
SECRET = {"kind": "Secret", "data": {"KEY": base64.b64encode(b"value").decode()}}
CONFIG = {"kind": "ConfigMap", "data": {"KEY": "text"}}


def of(env: list[dict[str, Any]], **sources: dict[str, Any] | None) -> dict[str, str]:
    found = {("Secret" if name.startswith("s") else "ConfigMap", name): value for name, value in sources.items()}
    return build(POD, {"env": env}, found)


def key(field: str, name: str, **more: Any) -> dict[str, Any]:
    return {"name": "V", "valueFrom": {field: {"name": name, "key": "KEY", **more}}}


def test_a_value_sees_those_before_it() -> None:
    assert of([{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)/$(C)/$$(A)"}])["B"] == "1/$(C)/$(A)"


def test_a_key_of_a_secret_and_of_a_config_map() -> None:
    assert of([key("secretKeyRef", "s")], s=SECRET) == {"V": "value"}
    assert of([key("configMapKeyRef", "c")], c=CONFIG) == {"V": "text"}


def test_a_missing_secret_is_told_in_the_kubelets_words() -> None:
    with pytest.raises(ConfigError, match=r'^secret "s" not found$'):
        of([key("secretKeyRef", "s")], s=None)


def test_a_missing_key_is_told_in_the_kubelets_words() -> None:
    with pytest.raises(ConfigError, match=r"^couldn't find key KEY in Secret ns/s$"):
        of([key("secretKeyRef", "s")], s={"kind": "Secret", "data": {}})


def test_what_is_optional_may_be_missing() -> None:
    assert of([key("secretKeyRef", "s", optional=True)], s=None) == {}
    assert of([key("secretKeyRef", "s", optional=True)], s={"kind": "Secret", "data": {}}) == {}


def test_all_of_a_secret_with_a_prefix() -> None:
    container = {"envFrom": [{"prefix": "P_", "secretRef": {"name": "s"}}]}
    assert build(POD, container, {("Secret", "s"): SECRET}) == {"P_KEY": "value"}
    assert wanted(container) == {("Secret", "s")}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.labels['a']", "1"),
        ("metadata.annotations['x/y']", "2"),
        ("metadata.labels", 'a="1"'),
        ("spec.nodeName", "node-1"),
        ("status.podIP", "10.244.0.1"),
    ],
)
def test_fields_of_the_pod(path: str, value: str) -> None:
    assert field_of(POD, path) == value


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"unsupported fieldPath: spec\.containers"):
        field_of(POD, "spec.containers")


def test_limits_are_rounded_up_to_whole_divisors() -> None:
    container = {"resources": {"limits": {"cpu": "1500m", "memory": "512Mi"}}}
    assert resource_of(container, {"resource": "limits.cpu"}) == "2"
    assert resource_of(container, {"resource": "limits.memory", "divisor": "1Mi"}) == "512"
    assert resource_of(container, {"resource": "requests.memory"}) == "0"


@pytest.mark.parametrize(("text", "value"), [("1Gi", 2**30), ("500m", 0.5), ("2", 2), ("3k", 3000), ("1T", 10**12)])
def test_quantities(text: str, value: float) -> None:
    assert quantity(text) == value


def test_expansion_leaves_what_it_does_not_know() -> None:
    assert expand("$(A) $A $(", {"A": "1"}) == "1 $A $("

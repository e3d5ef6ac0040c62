"""Manifests with values: what they are by default is a file of its own, which installs the webhook as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kaas.credentials import terms
from kaas.credentials.install import manifests
from kaas.credentials.install.values import Values, schema

DEPLOY = Path(__file__).parents[4] / "deploy"


def objects(*settings: str) -> dict[str, Any]:
    rendered = manifests.render(manifests.values({}, settings))
    return {f"{obj['kind']}/{obj['metadata']['name']}": obj for obj in yaml.safe_load_all(rendered)}


def test_the_static_file_is_what_the_defaults_give() -> None:
    """`kaas credential-webhook manifests > deploy/credentials.yaml` writes it anew."""
    assert (DEPLOY / "credentials.yaml").read_text() == manifests.render(Values())


def test_values_and_schema_are_those_of_the_model() -> None:
    assert yaml.safe_load((DEPLOY / "credentials/values.yaml").read_text()) == Values().model_dump(by_alias=True)
    assert (DEPLOY / "credentials/values.schema.json").read_text() == schema()


def test_nothing_may_list_secrets_or_change_more_than_its_own() -> None:
    roles = [obj for obj in objects().values() if obj["kind"] in ("ClusterRole", "Role")]
    rules = [rule for role in roles for rule in role["rules"]]
    for rule in rules:
        assert not {"list", "watch", "delete", "*"} & set(rule["verbs"])
        writes = {"create", "update", "patch"} & set(rule["verbs"])
        assert not writes or writes == {"create"} or rule["resourceNames"]


def test_its_own_namespace_is_never_sent() -> None:
    found = objects("namespace=platform", "excludedNamespaces=[kube-system]")
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        for webhook in found[f"{kind}/kaas-credentials"]["webhooks"]:
            assert webhook["namespaceSelector"]["matchExpressions"][0]["values"] == ["kube-system", "platform"]
            assert "caBundle" not in webhook["clientConfig"]


def test_conditions_name_what_users_write() -> None:
    text = manifests.render(Values())
    for name in (*terms.TYPES, terms.AWS_ANNOTATION, terms.GCP_ANNOTATION, terms.AWS_ROLE_ANNOTATION):
        assert f'"{name}"' in text


def test_outside_of_the_cluster_nothing_is_deployed() -> None:
    found = objects("url=https://10.0.0.1:8443")
    assert "Deployment/kaas-credentials" not in found
    (secrets,) = found["ValidatingWebhookConfiguration/kaas-credentials"]["webhooks"]
    assert secrets["clientConfig"] == {"url": "https://10.0.0.1:8443/validate-secrets"}


def test_nested_values_are_changed_one_by_one() -> None:
    (container,) = objects("resources.limits.memory=1Gi")["Deployment/kaas-credentials"]["spec"]["template"]["spec"][
        "containers"
    ]
    assert container["resources"]["limits"] == {"memory": "1Gi"}
    assert container["resources"]["requests"] == Values().resources["requests"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("failurePolicy=Perhaps", "failurePolicy"),
        ("replicas=0", "replicas"),
        ("url=http://a", "url"),
        ("nonsense=1", "nonsense"),
        ("namespace", "key=value"),
        ("policy.endpointHost=[a]", "policy.endpointHost"),
        ("image='x", "image"),
    ],
)
def test_a_wrong_value_is_named(setting: str, said: str) -> None:
    with pytest.raises(manifests.WrongValue, match=said):
        manifests.values({}, [setting])

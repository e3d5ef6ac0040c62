"""Manifests with values: what they are by default is a file of its own, which installs the webhook as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kaas.admission.listening import ANSWERING, KEPT
from kaas.admission.process import Place
from kaas.credentials import terms
from kaas.credentials.install import manifests
from kaas.credentials.install.values import Values, schema
from kaas.credentials.server import process
from kaas.credentials.server.reviews import FIRST_TRY

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
    assert not [name for name in found if name.startswith(("Deployment", "Service/"))]
    (secrets,) = found["ValidatingWebhookConfiguration/kaas-credentials"]["webhooks"]
    assert secrets["clientConfig"] == {"url": "https://10.0.0.1:8443/validate-secrets"}


def pods(*settings: str) -> dict[str, Any]:
    webhooks = objects(*settings)["MutatingWebhookConfiguration/kaas-credentials"]["webhooks"]
    return {webhook["name"].removesuffix(".credentials.kaas.internal"): webhook for webhook in webhooks}


def test_a_second_try_goes_to_the_other_half_and_all_ends_in_time() -> None:
    found = pods("timeoutSeconds=7", "failurePolicy=Fail")
    for name in ("annotated-pods", "pods"):
        first, second = found[name], found[f"again.{name}"]
        assert (first["failurePolicy"], second["failurePolicy"]) == ("Ignore", "Fail")
        assert first["timeoutSeconds"] + second["timeoutSeconds"] == 7
        halves = {webhook["clientConfig"]["service"]["name"] for webhook in (first, second)}
        assert halves == {"kaas-credentials-a", "kaas-credentials-b"}
        assert second["matchConditions"][:-1] == first["matchConditions"]
        assert second["namespaceSelector"] == first["namespaceSelector"]
        assert first["clientConfig"]["service"]["path"] == second["clientConfig"]["service"]["path"] + FIRST_TRY
    assert pods("failurePolicy=Ignore")["again.pods"]["failurePolicy"] == "Ignore"


def test_outside_of_the_cluster_the_second_try_may_go_elsewhere() -> None:
    urls = "url=https://10.0.0.1:8443", "secondUrl=https://10.0.0.2:8443"
    assert pods(*urls)["again.annotated-pods"]["clientConfig"]["url"].startswith("https://10.0.0.2:8443/")
    assert pods(urls[0])["again.annotated-pods"]["clientConfig"]["url"].startswith("https://10.0.0.1:8443/")


@pytest.mark.parametrize(("replicas", "halves"), [(1, {"a": 1}), (2, {"a": 1, "b": 1}), (5, {"a": 3, "b": 2})])
def test_every_service_has_somebody_behind_it(replicas: int, halves: dict[str, int]) -> None:
    found = objects(f"replicas={replicas}")
    deployments = {name[-1]: obj for name, obj in found.items() if name.startswith("Deployment/")}
    assert {half: obj["spec"]["replicas"] for half, obj in deployments.items()} == halves
    labels = [obj["spec"]["template"]["metadata"]["labels"] for obj in deployments.values()]
    for name in process.SERVICES:
        selector = found[f"Service/{name}"]["spec"]["selector"]
        assert any(selector.items() <= having.items() for having in labels)


def test_pods_with_half_of_their_credentials_are_refused_or_only_said() -> None:
    for policy, action in (("Fail", "Deny"), ("Ignore", "Warn")):
        binding = objects(f"failurePolicy={policy}")["ValidatingAdmissionPolicyBinding/kaas-credentials"]
        assert binding["spec"]["validationActions"] == [action]


def test_nested_values_are_changed_one_by_one() -> None:
    (container,) = objects("resources.limits.memory=1Gi")["Deployment/kaas-credentials-b"]["spec"]["template"]["spec"][
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


@pytest.mark.parametrize("half", ["a", "b"])
def test_nobody_kills_a_webhook_that_leaves_in_order(half: str) -> None:
    spec = objects()[f"Deployment/kaas-credentials-{half}"]["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] > Place().drain + KEPT + ANSWERING

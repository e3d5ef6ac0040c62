"""Manifests with values: what they are by default is a file of its own, which installs all as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kaas.admission.listening import ANSWERING, KEPT
from kaas.admission.process import Place
from kaas.cli import volumes_controller
from kaas.volumes import terms
from kaas.volumes.install import manifests
from kaas.volumes.install.values import Values, schema
from kaas.volumes.webhook import process, reviews
from tests.unit.cli.running import kaas

DEPLOY = Path(__file__).parents[4] / "deploy"
CONFIGURATION = "MutatingWebhookConfiguration/kaas-volumes"
ROLES = ("webhook", "controller")


def objects(*settings: str) -> dict[str, Any]:
    rendered = manifests.render(manifests.values({}, settings))
    return {f"{obj['kind']}/{obj['metadata']['name']}": obj for obj in yaml.safe_load_all(rendered)}


def rules(component: str) -> list[dict[str, Any]]:
    found = objects()
    return [rule for kind in ("ClusterRole", "Role") for rule in found[f"{kind}/kaas-volumes-{component}"]["rules"]]


def test_the_static_file_is_what_the_defaults_give() -> None:
    """`kaas volumes manifests > deploy/volumes.yaml` writes it anew."""
    assert (DEPLOY / "volumes.yaml").read_text() == manifests.render(Values())


def test_the_command_prints_it() -> None:
    assert kaas("volumes", "manifests").stdout == manifests.render(Values())
    assert "https://10.0.0.1:8443/mutate-pods" in kaas("volumes", "manifests", "--url", "https://10.0.0.1:8443").stdout


def test_values_and_schema_are_those_of_the_model() -> None:
    assert yaml.safe_load((DEPLOY / "volumes/values.yaml").read_text()) == Values().model_dump(by_alias=True)
    assert (DEPLOY / "volumes/values.schema.json").read_text() == schema()


@pytest.mark.parametrize("component", ROLES)
def test_nobody_lists_secrets_or_writes_any_but_its_own(component: str) -> None:
    of_secrets = [rule for rule in rules(component) if "secrets" in rule["resources"]]
    assert of_secrets
    for rule in of_secrets:
        assert not {"list", "watch", "delete", "patch", "*"} & set(rule["verbs"])
        assert "update" not in rule["verbs"] or rule["resourceNames"] == [process.SECRET]


@pytest.mark.parametrize("component", ROLES)
def test_no_right_is_to_everything(component: str) -> None:
    for rule in rules(component):
        assert "*" not in {*rule["verbs"], *rule["resources"], *rule["apiGroups"]}


def test_the_webhook_changes_no_pod_and_no_claim_by_itself() -> None:
    for rule in rules("webhook"):
        if {"pods", "persistentvolumeclaims"} & set(rule["resources"]):
            assert rule["verbs"] == ["get"]


def test_the_lease_of_the_controller_is_the_one_that_it_may_write() -> None:
    leases = [rule for rule in rules("controller") if "leases" in rule["resources"]]
    assert [rule.get("resourceNames") for rule in leases] == [None, [volumes_controller.LEASE]]
    assert leases[0]["verbs"] == ["create"]


def test_its_own_namespace_is_never_sent() -> None:
    for webhook in objects("namespace=platform", "excludedNamespaces=[kube-system]")[CONFIGURATION]["webhooks"]:
        expressions = webhook["namespaceSelector"]["matchExpressions"]
        assert expressions[0]["values"] == ["kube-system", "platform"]
        assert "caBundle" not in webhook["clientConfig"]


def test_paths_and_names_are_those_that_are_served() -> None:
    pods, claims = objects()[CONFIGURATION]["webhooks"]
    assert pods["clientConfig"]["service"] == {
        "name": process.SERVICE,
        "namespace": "kaas-volumes",
        "path": reviews.PODS,
    }
    assert claims["clientConfig"]["service"]["path"] == reviews.CLAIMS
    assert f'"{terms.LOADER_LABEL}"' in pods["matchConditions"][1]["expression"]
    assert f'"{terms.PREFIX}"' in claims["matchConditions"][0]["expression"]


def test_outside_of_the_cluster_nothing_is_deployed() -> None:
    found = objects("url=https://10.0.0.1:8443")
    assert not [name for name in found if name.startswith(("Deployment", "Service/", "PodDisruptionBudget"))]
    urls = [webhook["clientConfig"]["url"] for webhook in found[CONFIGURATION]["webhooks"]]
    assert urls == ["https://10.0.0.1:8443/mutate-pods", "https://10.0.0.1:8443/mutate-claims"]


def test_the_image_is_that_of_loaders_too_and_options_are_added() -> None:
    found = objects("image=registry.example.com/kaas:1", 'controllerOptions=["--keep-out=10.0.0.0/8"]')
    (container,) = found["Deployment/kaas-volumes-controller"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.com/kaas:1"
    assert {"--image=registry.example.com/kaas:1", "--keep-out=10.0.0.0/8"} <= set(container["args"])


@pytest.mark.parametrize("component", ROLES)
def test_both_are_told_that_snapshots_are_not_shared(component: str) -> None:
    for settings, told in (((), False), (("controllerOptions=[--no-cache-share]",), True)):
        found = objects(*settings)[f"Deployment/kaas-volumes-{component}"]["spec"]["template"]["spec"]["containers"]
        assert ("--no-cache-share" in found[0]["args"]) is told
    assert "--no-cache-share" in kaas("volumes", component, "--help").stdout


@pytest.mark.parametrize("component", ROLES)
def test_pods_are_fit_for_restricted_namespaces_and_spread(component: str) -> None:
    template = objects()[f"Deployment/kaas-volumes-{component}"]["spec"]["template"]
    assert template["spec"]["securityContext"]["runAsNonRoot"] is True
    (container,) = template["spec"]["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    (term,) = template["spec"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert term["podAffinityTerm"]["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_arguments_are_options_that_the_commands_have() -> None:
    for component in ROLES:
        (container,) = objects()[f"Deployment/kaas-volumes-{component}"]["spec"]["template"]["spec"]["containers"]
        text = kaas(*container["command"][1:], "--help").stdout
        for argument in container["args"]:
            assert argument.partition("=")[0] in text


def test_nested_values_are_changed_one_by_one() -> None:
    found = objects("webhookResources.limits.memory=1Gi")["Deployment/kaas-volumes-webhook"]
    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "1Gi"}
    assert container["resources"]["requests"] == Values().webhook_resources["requests"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("failurePolicy=Perhaps", "failurePolicy"),
        ("replicas=0", "replicas"),
        ("url=http://a", "url"),
        ("nonsense=1", "nonsense"),
        ("namespace", "key=value"),
        ("image='x", "image"),
    ],
)
def test_a_wrong_value_is_named(setting: str, said: str) -> None:
    with pytest.raises(manifests.WrongValue, match=said):
        manifests.values({}, [setting])


def test_nobody_kills_a_webhook_that_leaves_in_order() -> None:
    spec = objects()["Deployment/kaas-volumes-webhook"]["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] > Place().drain + KEPT + ANSWERING

"""The examples of the documentation and of `examples/credentials`, as they are written, through the API server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from kaas.credentials.secrets.external import configuration
from tests.contract.credentials.cluster import Answer, Cluster, Object, aws_secret, manifest, pod, variables
from tests.contract.credentials.installation import Webhook
from tests.unit.credentials.secret_examples import EMAIL, PROVIDER, key_file

PROJECT = Path(__file__).parents[3]
KEYS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
ROLE = {"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_SESSION_NAME"}
FILE = {"GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE"}


def example(number: int) -> Any:
    """The YAML of an example."""
    text = (PROJECT / "docs" / "credentials.md").read_text()
    section = re.split(r"^### ", text, flags=re.MULTILINE)
    (chosen,) = [part for part in section if part.startswith(f"{number}. ")]
    indented = [line for line in chosen.splitlines() if line.startswith("    ")]
    return yaml.safe_load("\n".join(indented))


def gcp_secret(namespace: str, name: str, content: dict[str, Any]) -> Object:
    data = {"credentials.json": json.dumps(content), "project_id": "team-a-123"}
    return manifest("Secret", name, namespace, type="kaas.internal/gcp-credentials", stringData=data)


async def furnished(cluster: Cluster) -> str:
    """A namespace with the Secrets that the examples name."""
    namespace = await cluster.namespace(inject="enabled")
    secrets = (
        aws_secret(namespace, "team-s3"),
        gcp_secret(namespace, "team-gcs", key_file()),
        gcp_secret(namespace, "team-federation", configuration(PROVIDER, EMAIL)),
    )
    for secret in secrets:
        answer = await cluster.create(secret)
        assert answer.status == 201, answer
    return namespace


async def created(cluster: Cluster, namespace: str, found: Object) -> Answer:
    """A Pod or ServiceAccount in the namespace; without a word from the webhook."""
    found["metadata"]["namespace"] = namespace
    answer = await cluster.create(found)
    assert (answer.status, answer.warnings) == (201, []), answer
    return answer


def files(found: Object, container: int = 0) -> set[str]:
    """Where something is mounted in a container."""
    return {mount["mountPath"] for mount in found["spec"]["containers"][container].get("volumeMounts") or ()}


async def test_keys_for_one_pod(cluster: Cluster, webhook: Webhook) -> None:
    answer = await created(cluster, await furnished(cluster), example(1))
    assert variables(answer.body) >= {*KEYS, "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"}


async def test_both_clouds_for_a_service_account_but_one_pod(cluster: Cluster, webhook: Webhook) -> None:
    namespace = await furnished(cluster)
    await created(cluster, namespace, example(2))
    raw = pod(namespace, "trainer", containers=2)
    raw["spec"]["containers"][1]["name"] = "metrics"
    answer = await created(cluster, namespace, raw)
    assert variables(answer.body) >= KEYS | FILE
    assert files(answer.body) == {"/var/run/secrets/kaas.internal/gcp"}
    assert (variables(answer.body, 1), files(answer.body, 1)) == (set(), set())
    without = pod(namespace, "trainer")
    without["metadata"]["annotations"] = example(3)["metadata"]["annotations"]
    answer = await created(cluster, namespace, without)
    assert variables(answer.body) >= FILE
    assert variables(answer.body).isdisjoint(KEYS)


async def test_keys_that_change_while_the_pod_runs(cluster: Cluster, webhook: Webhook) -> None:
    namespace = await furnished(cluster)
    raw = pod(namespace)
    raw["metadata"]["annotations"] = example(4)["metadata"]["annotations"]
    answer = await created(cluster, namespace, raw)
    assert variables(answer.body).isdisjoint(KEYS)
    assert variables(answer.body) >= {"AWS_CONFIG_FILE"}
    assert files(answer.body) == {"/var/run/secrets/kaas.internal/aws"}


async def test_no_keys_at_all(cluster: Cluster, webhook: Webhook) -> None:
    namespace = await furnished(cluster)
    await created(cluster, namespace, example(5))
    answer = await created(cluster, namespace, pod(namespace, "trainer"))
    assert variables(answer.body) >= ROLE | FILE
    assert files(answer.body) == {f"/var/run/secrets/kaas.internal/{place}" for place in ("gcp", "token")}


async def test_files_that_users_begin_with(cluster: Cluster, webhook: Webhook) -> None:
    folder = PROJECT / "examples" / "credentials"
    namespace, account, example_pod = yaml.safe_load_all((folder / "pod.yaml").read_text())
    await cluster.apply(namespace)
    for file in ("aws-secret.yaml", "gcp-secret.yaml"):
        answer = await cluster.create(yaml.safe_load((folder / file).read_text()))
        assert (answer.status, answer.warnings) == (201, []), answer
    await cluster.create(gcp_secret("team-a", "team-gcs", key_file()))
    await cluster.create(account)
    answer = await cluster.create(example_pod)
    assert answer.status == 201
    assert variables(answer.body) >= KEYS | FILE
    assert variables(answer.body, 1) == set()
    assert variables(answer.body, 2).isdisjoint(KEYS)
    (warning,) = answer.warnings
    assert 'container "legacy" sets AWS_PROFILE itself' in warning

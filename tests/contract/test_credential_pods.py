"""Patched Pods against a real kube-apiserver: it takes them, and what it stores needs no second patch."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest

from kaas.credentials.pods.mutation import mutate
from kaas.credentials.terms import AWS_MODE_ANNOTATION, AWS_MOUNT, GCP_MOUNT, TOKEN_MOUNT
from kaas.kube.client import KubeClient
from kaas.kube.objects import Object
from tests.unit.credentials.pod_shapes import AWS, BOTH, KEYLESS, STATIC, container, injected, patched, pod

SECOND: Object = {"restartPolicy": "Always", "ports": [{"containerPort": 80}]}
CASES: dict[str, tuple[Object, Any]] = {
    "keys": (BOTH, STATIC),
    "files": ({**AWS, AWS_MODE_ANNOTATION: "file"}, STATIC),
    "keyless": (BOTH, KEYLESS),
    "waiting": (BOTH, {"team-s3": None, "team-gcs": None}),
}


@pytest.fixture(name="namespace")
async def namespace_with_account(client: KubeClient, namespace: str) -> str:
    """A namespace with its ServiceAccount, which nobody else makes here."""
    meta = {"name": "default", "namespace": namespace}
    await client.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    return namespace


@pytest.mark.parametrize("case", CASES)
async def test_a_patched_pod_is_taken_and_stays_as_it_is(client: KubeClient, namespace: str, case: str) -> None:
    annotations, secrets = CASES[case]
    raw = pod(container(), container("b"), annotations=annotations, initContainers=[container("proxy", **SECOND)])
    raw["metadata"] = {"name": case, "namespace": namespace, "annotations": annotations}
    wanted = injected(raw, secrets)
    stored = await client.apply(copy.deepcopy(wanted))
    again = mutate(stored, None, secrets)
    assert (again.patch, again.denied) == ([], None)
    for one, other in zip(wanted["spec"]["containers"], stored["spec"]["containers"], strict=True):
        assert one["env"] == other["env"]


PARTS: dict[str, list[Any]] = {
    "env": [
        None,
        [],
        [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
        [{"name": "AWS_PROFILE", "value": "x"}],
        [{"name": "AWS_REGION", "value": "x"}],
        [{"name": "GOOGLE_APPLICATION_CREDENTIALS", "value": "/x"}],
    ],
    "volumeMounts": [
        None,
        [{"name": "data", "mountPath": "/data"}],
        [{"name": "data", "mountPath": GCP_MOUNT}],
        [{"name": "data", "mountPath": f"{AWS_MOUNT}/"}],
        [{"name": "data", "mountPath": TOKEN_MOUNT, "readOnly": True}],
    ],
    "envFrom": [None, [{"secretRef": {"name": "mine"}}]],
}


def anybody(choose: random.Random) -> Object:
    """A Pod that the API server takes, with anything in the way of ours."""
    names = iter("abcdef")

    def one(**more: Any) -> Object:
        parts = {key: copy.deepcopy(choose.choice(values)) for key, values in PARTS.items()}
        return container(next(names), **parts, **more)

    asked = dict(choose.sample([*BOTH.items()], k=choose.randint(0, 2)))
    if choose.random() < 0.5:
        asked[AWS_MODE_ANNOTATION] = "file"
    setup = [one(**choose.choice([{}, SECOND])) for _ in range(choose.randint(0, 2))]
    running = [one() for _ in range(choose.randint(1, 3))]
    return pod(*running, annotations=asked, initContainers=setup, volumes=[{"name": "data", "emptyDir": {}}])


async def test_what_the_api_server_takes_it_takes_with_our_patch(client: KubeClient, namespace: str) -> None:
    choose = random.Random(7)  # noqa: S311 - the same Pods each time
    for number in range(60):
        raw = anybody(choose)
        raw["metadata"] |= {"name": f"p{number}", "namespace": namespace}
        secrets = choose.choice([STATIC, KEYLESS])
        outcome = mutate(raw, None, secrets)
        assert outcome.denied is None
        stored = await client.create(patched(raw, outcome))
        assert mutate(stored, None, secrets).patch == []

"""Time for the patch of a Pod, as the credential webhook computes it: without HTTP, and without the look-ups."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable, Sequence
from typing import Any

from kaas.credentials import podreview
from kaas.credentials.pods.facts import SecretFacts
from kaas.credentials.pods.mutation import mutate
from kaas.credentials.terms import AWS_ANNOTATION, AWS_TYPE, GCP_ANNOTATION, GCP_FILE, GCP_TYPE
from tests.bench.bench import Bench
from tests.bench.figures import Figure, Limit

LIMIT = Limit(60.0)
CONTAINERS = 3
ROUNDS = 7
SECRETS = {
    "team-s3": SecretFacts(AWS_TYPE, frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"})),
    "team-gcs": SecretFacts(GCP_TYPE, frozenset({GCP_FILE})),
}


def run(bench: Bench) -> Sequence[Figure]:
    """The best of some rounds, in microseconds of processor time: what is slower is somebody else's doing."""
    times = bench.size(2000, 100)
    aws, both = pod(AWS_ANNOTATION), pod(AWS_ANNOTATION, GCP_ANNOTATION)
    note = f"{CONTAINERS} containers with variables and mounts of their own; best of {ROUNDS} times {times}"
    return [
        Figure("patch for AWS", best(lambda: mutate(aws, None, SECRETS), times), "µs", LIMIT, note),
        Figure("patch for both clouds", best(lambda: mutate(both, None, SECRETS), times), "µs", LIMIT, note),
        Figure(
            "whole review for both clouds", best(lambda: reviewed(both), times), "µs", note="with what to look up, JSON"
        ),
    ]


def reviewed(raw: dict[str, Any]) -> None:
    """What the server does with a decoded review whose look-ups are made."""
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    request = {"uid": "u", "kind": kind, "namespace": "team", "operation": "CREATE", "object": raw}
    podreview.needs({"request": request}, accounts=False)
    podreview.respond({"request": request}, None, SECRETS)


def pod(*annotations: str) -> dict[str, Any]:
    """A Pod as Deployments make them."""
    names = dict(zip((AWS_ANNOTATION, GCP_ANNOTATION), SECRETS, strict=True))
    meta = {"generateName": "app-7d9f-", "annotations": {key: names[key] for key in annotations}}
    spec = {"containers": [container(n) for n in range(CONTAINERS)], "volumes": [{"name": "data", "emptyDir": {}}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def container(number: int) -> dict[str, Any]:
    """One of its containers."""
    env = [{"name": f"SETTING_{n}", "value": "x"} for n in range(4)]
    return {"name": f"c{number}", "env": env, "volumeMounts": [{"name": "data", "mountPath": "/data"}]}


def best(call: Callable[[], object], times: int) -> float:
    """Microseconds a call."""
    return min(timeit.repeat(call, timer=time.thread_time, number=times, repeat=ROUNDS)) / times * 1e6

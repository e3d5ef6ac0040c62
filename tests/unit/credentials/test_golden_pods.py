"""Pods as their containers see them, to be read; and the same whatever the order of Python's sets is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from kaas.credentials.terms import AWS_MODE_ANNOTATION, SKIP_CONTAINERS_ANNOTATION
from tests import golden_files
from tests.unit.credentials.pod_shapes import AWS, BOTH, KEYLESS, STATIC, Object, container, injected, pod

BUSY: Object = pod(
    container(env=[{"name": "LEVEL", "value": "info"}], volumeMounts=[{"name": "data", "mountPath": "/data"}]),
    container("own", env=[{"name": "AWS_PROFILE", "value": "x"}]),
    container("metrics"),
    annotations={**BOTH, SKIP_CONTAINERS_ANNOTATION: "metrics"},
    initContainers=[container("proxy", restartPolicy="Always")],
    volumes=[{"name": "data", "emptyDir": {}}],
)
CASES: dict[str, tuple[Object, Any]] = {
    "keys": (BUSY, STATIC),
    "files": (pod(container(), annotations={**AWS, AWS_MODE_ANNOTATION: "file"}), STATIC),
    "keyless": (pod(container(), annotations=BOTH), KEYLESS),
}


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    golden_files.check(f"pod-{name}", injected(*CASES[name]))


PROGRAM = """
import json
from kaas.credentials.pods.mutation import mutate
from tests.unit.credentials.test_golden_pods import CASES
outcomes = [mutate(pod, None, secrets) for pod, secrets in CASES.values()]
print(json.dumps([[o.patch, o.warnings] for o in outcomes]))
"""


def test_the_order_is_always_the_same() -> None:
    found = {_patches(str(seed)) for seed in (1, 2, 3)}
    assert len(found) == 1
    assert len(json.loads(found.pop())) == len(CASES)


def _patches(seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, check=True)
    return run.stdout

"""Pods as nobody writes them: real shapes with anything in place of any part."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from kaas.credentials.pods.facts import SecretFacts
from kaas.credentials.terms import (
    AWS_ANNOTATION,
    AWS_CONFIG_ANNOTATION,
    AWS_MODE_ANNOTATION,
    AWS_MOUNT,
    AWS_REGION_ANNOTATION,
    AWS_ROLE_ANNOTATION,
    AWS_TYPE,
    AWS_VOLUME,
    CONTAINERS_ANNOTATION,
    GCP_ANNOTATION,
    GCP_FILE,
    GCP_MOUNT,
    GCP_TYPE,
    GCP_VOLUME,
    INJECTED_ANNOTATION,
    SKIP_CONTAINERS_ANNOTATION,
    TOKEN_EXPIRATION_ANNOTATION,
    TOKEN_MOUNT,
    TOKEN_VOLUME,
)

Strategy = st.SearchStrategy[Any]

ROLE = "arn:aws:iam::123456789012:role/reader"
SECRETS = ("team-s3", "team-gcs", "other")
VARIABLES = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE"),
    *("AWS_EC2_METADATA_DISABLED", "AWS_ROLE_ARN", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "PATH"),
)
NAMES = ("a", "b", "setup", "proxy")

scalar = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
json = st.recursive(scalar, lambda s: st.lists(s, max_size=3) | st.dictionaries(st.text(max_size=4), s, max_size=3))


def rarely(other: Strategy, usual: Strategy) -> Strategy:
    """Mostly the one, now and then the other."""
    return st.integers(0, 24).flatmap(lambda n: other if n == 0 else usual)


def some(needed: Mapping[str, Strategy] | None = None, /, **fields: Strategy) -> st.SearchStrategy[dict[str, Any]]:
    """An object with what is needed, some of the fields, and now and then with what only the future knows."""
    known = st.fixed_dictionaries(dict(needed or {}), optional=fields)
    future = st.fixed_dictionaries({}, optional={"x-future": json, "a~b/c": json})
    return st.builds(operator.or_, known, rarely(future, st.just({})))


def _annotations() -> Strategy:
    cloud = {AWS_ANNOTATION: st.sampled_from((*SECRETS, "none")), GCP_ANNOTATION: st.sampled_from((*SECRETS, "none"))}
    options: dict[str, Strategy] = {
        AWS_REGION_ANNOTATION: st.just("eu-central-1"),
        AWS_MODE_ANNOTATION: st.sampled_from(("env", "file")),
        TOKEN_EXPIRATION_ANNOTATION: st.sampled_from(("600", "3600")),
        INJECTED_ANNOTATION: st.just("aws=team-s3"),
        AWS_CONFIG_ANNOTATION: st.just("mine"),
        "example.org/other": st.text(max_size=3),
    }
    odd: dict[str, Strategy] = {
        AWS_ROLE_ANNOTATION: st.just(ROLE),
        CONTAINERS_ANNOTATION: st.sampled_from(("a", " a, b ", "setup,b")),
        SKIP_CONTAINERS_ANNOTATION: st.sampled_from(("a", "b, proxy", "zzz")),
        **{key: json for key in (*cloud, *options)},
    }
    usual = st.builds(operator.or_, st.fixed_dictionaries({}, optional=cloud), some(**options))
    return st.builds(operator.or_, usual, rarely(st.fixed_dictionaries({}, optional=odd), st.just({})))


noted = rarely(json, _annotations())
names = st.sampled_from(("PATH", "HOME", "AWS_REGION")) | st.sampled_from(VARIABLES)
entry = rarely(json, some({"name": rarely(json, names)}, value=st.text(max_size=3)))
paths = st.sampled_from((AWS_MOUNT, GCP_MOUNT, f"{GCP_MOUNT}/", TOKEN_MOUNT, "/data"))
volume_names = st.sampled_from((AWS_VOLUME, GCP_VOLUME, TOKEN_VOLUME, "data"))
mount = rarely(json, some({"name": volume_names, "mountPath": rarely(json, paths)}))
container = rarely(
    json,
    some(
        {"name": rarely(json, st.sampled_from(NAMES))},
        env=rarely(json, st.lists(entry, max_size=3)),
        envFrom=rarely(json, st.lists(json, max_size=1)),
        volumeMounts=rarely(json, st.lists(mount, max_size=2)),
        volumeDevices=rarely(json, st.lists(some({"name": volume_names, "devicePath": paths}), max_size=1)),
        restartPolicy=st.just("Always"),
    ),
)
containers = rarely(json, st.lists(container, max_size=3))
volume = rarely(json, some({"name": rarely(json, rarely(volume_names, st.just("data")))}, emptyDir=json))
metadata = some({"annotations": noted}, name=rarely(json, st.sampled_from(("p", "pod-1"))))
spec = some(
    {"containers": rarely(json, st.lists(container, min_size=1, max_size=3))},
    initContainers=containers,
    ephemeralContainers=containers,
    volumes=rarely(json, st.lists(volume, max_size=2)),
    serviceAccountName=rarely(json, st.just("default")),
)
pods = some({"metadata": rarely(json, metadata), "spec": rarely(json, spec)})
accounts = st.none() | some(metadata=rarely(json, some({"annotations": noted})))
facts = st.none() | st.builds(
    SecretFacts,
    type=st.sampled_from((AWS_TYPE, GCP_TYPE, "Opaque")),
    keys=st.frozensets(st.sampled_from(("AWS_ACCESS_KEY_ID", "AWS_ROLE_ARN", "ca.crt", GCP_FILE))),
    external=st.booleans(),
    audience=st.sampled_from(("", "//iam.googleapis.com/x")),
    token_file=st.sampled_from(("", f"{TOKEN_MOUNT}/gcp", f"{TOKEN_MOUNT}/aws", f"{TOKEN_MOUNT}/a/../b", "/etc/x")),
)
secrets = st.dictionaries(st.sampled_from(SECRETS), facts)

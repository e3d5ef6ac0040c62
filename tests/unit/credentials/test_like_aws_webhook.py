"""The rules of the AWS pod identity webhook, as its README states them, beside ours: same Pods, same access.

The oracle is a few lines of those rules and knows nothing of our code. Where the two are meant to differ, `intended`
says so, by the numbers of the list in docs/credentials.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from kaas.credentials.pods.mutation import mutate
from kaas.credentials.terms import (
    AWS_REGION_ANNOTATION,
    AWS_ROLE_ANNOTATION,
    SKIP_CONTAINERS_ANNOTATION,
    TOKEN_EXPIRATION_ANNOTATION,
    TOKEN_MOUNT,
)
from tests.unit.credentials.pod_shapes import Object, account, container, environment, mounts, patched, pod

ROLE = "arn:aws:iam::111122223333:role/s3-reader"
REGION = "us-west-2"
THEIR_PREFIX = "eks.amazonaws.com/"
THEIR_PATH = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
OURS = {
    "role-arn": AWS_ROLE_ANNOTATION,
    "skip-containers": SKIP_CONTAINERS_ANNOTATION,
    "token-expiration": TOKEN_EXPIRATION_ANNOTATION,
}


@dataclass(frozen=True)
class Access:
    """What a container can do, whatever the names of paths are."""

    role: str | None
    token_seconds: int | None
    region: str | None
    default_region: str | None


# The oracle: README of the AWS webhook, "EKS Walkthrough" and "AWS_DEFAULT_REGION Injection" with its flag set.


def their_pod(raw: Object, accounts: Object) -> Object:
    """All new Pods of an annotated ServiceAccount are changed: containers and init containers that are not skipped."""
    own = their_annotations(raw)
    role = their_annotations(accounts).get("role-arn")
    if role is None:
        return raw
    skipped = {name.strip() for name in own.get("skip-containers", "").split(",")}
    seconds = own.get("token-expiration") or their_annotations(accounts).get("token-expiration") or "86400"
    spec = dict(raw["spec"])
    for key in ("containers", "initContainers"):
        spec[key] = [c if c["name"] in skipped else their_container(c, role) for c in spec.get(key, [])]
    token = {"audience": "sts.amazonaws.com", "expirationSeconds": int(seconds), "path": "token"}
    volume = {"name": "aws-iam-token", "projected": {"sources": [{"serviceAccountToken": token}]}}
    return {**raw, "spec": {**spec, "volumes": [*spec.get("volumes", []), volume]}}


def their_annotations(raw: Object) -> dict[str, str]:
    found = raw["metadata"].get("annotations", {})
    return {k.removeprefix(THEIR_PREFIX): v for k, v in found.items() if k.startswith(THEIR_PREFIX)}


def their_container(raw: Object, role: str) -> Object:
    env = list(raw.get("env", []))
    names = {e["name"] for e in env}
    if names.isdisjoint({"AWS_REGION", "AWS_DEFAULT_REGION"}):
        env += [{"name": n, "value": REGION} for n in ("AWS_DEFAULT_REGION", "AWS_REGION")]
    if names.isdisjoint({"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"}):
        env.append({"name": "AWS_ROLE_ARN", "value": role})
        env.append({"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": f"{THEIR_PATH}/token"})
    mounted = [*raw.get("volumeMounts", []), {"name": "aws-iam-token", "mountPath": THEIR_PATH, "readOnly": True}]
    return {**raw, "env": env, "volumeMounts": mounted}


# Both results, as access.


def access(raw: Object, each: Object, root: str) -> Access:
    seen = environment(each)
    file = seen.get("AWS_WEB_IDENTITY_TOKEN_FILE", "")
    tokens = {
        f"{root}/{source['serviceAccountToken']['path']}": source["serviceAccountToken"]["expirationSeconds"]
        for volume in raw["spec"].get("volumes", [])
        if volume["name"] == mounts(each).get(root)
        for source in volume["projected"]["sources"]
    }
    regions = (seen.get("AWS_REGION"), seen.get("AWS_DEFAULT_REGION"))
    return Access(seen.get("AWS_ROLE_ARN"), tokens.get(file), *regions)


def intended(each: Object, skip_on_account: str | None) -> int:
    """Number of the intended difference that a container shows; 0 for none.

    1: another identity in the container (a key, a profile) is left alone. 2: with it goes everything else, the region
    included. 3: skip-containers counts on the ServiceAccount as well.
    """
    names = {e["name"] for e in each.get("env", [])}
    if skip_on_account and each["name"] in skip_on_account:
        return 3
    if not names.isdisjoint({"AWS_ACCESS_KEY_ID", "AWS_PROFILE"}):
        return 1
    return 2 if not names.isdisjoint({"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"}) else 0


variables = st.sampled_from(
    ("PATH", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ROLE_ARN", "AWS_ACCESS_KEY_ID", "AWS_PROFILE")
)
containers = st.builds(
    lambda names, env: [
        container(n, env=[{"name": e, "value": "own"} for e in es]) for n, es in zip(names, env, strict=False)
    ],
    st.permutations(("app", "sidecar", "helper")),
    st.lists(st.lists(variables, max_size=2, unique=True), min_size=1, max_size=3),
)
options = st.fixed_dictionaries(
    {},
    optional={
        "skip-containers": st.sampled_from(("app", " sidecar , helper", "nobody")),
        "token-expiration": st.sampled_from(("600", "3600", "86400")),
    },
)


def annotated(theirs: dict[str, str]) -> dict[str, str]:
    """In the words of both."""
    both = {THEIR_PREFIX + k: v for k, v in theirs.items()} | {OURS[k]: v for k, v in theirs.items()}
    return both | ({AWS_REGION_ANNOTATION: REGION} if "role-arn" in theirs else {})


@settings(max_examples=300)
@given(containers, containers, options, options, st.booleans())
def test_the_same_access(running: Any, first: Any, own: dict[str, str], accounts: dict[str, str], named: bool) -> None:
    for number, each in enumerate(first):
        each["name"] = f"init-{number}"
    raw = pod(*running, annotations=annotated(own), initContainers=first)
    giver = account(annotated({"role-arn": ROLE, **accounts} if named else accounts))
    theirs = their_pod(raw, giver)
    outcome = mutate(raw, giver, {})
    assert outcome.denied is None
    ours = patched(raw, outcome)
    for key in ("containers", "initContainers"):
        for before, their, our in zip(raw["spec"][key], theirs["spec"][key], ours["spec"][key], strict=True):
            skip = accounts.get("skip-containers") if "skip-containers" not in own else None
            difference = intended(before, skip) if named and their != before else 0
            event(f"difference {difference}")
            if difference:
                assert our == before
            else:
                assert access(ours, our, TOKEN_MOUNT) == access(theirs, their, THEIR_PATH)

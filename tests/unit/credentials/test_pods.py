"""What Pods are given, case by case."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kaas.credentials.pods.facts import SecretFacts
from kaas.credentials.pods.mutation import mutate
from kaas.credentials.pods.wanted import wanted
from kaas.credentials.terms import (
    AWS_ANNOTATION,
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
from tests.unit.credentials.pod_shapes import (
    AUDIENCE,
    AWS,
    BOTH,
    GCP,
    KEYLESS,
    KEYS,
    STATIC,
    Object,
    account,
    container,
    environment,
    injected,
    mounts,
    patched,
    pod,
)

ROLE = "arn:aws:iam::123456789012:role/reader"
AWS_ENV = {
    "AWS_ACCESS_KEY_ID": "team-s3/AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY": "team-s3/AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN": "team-s3/AWS_SESSION_TOKEN?",
    "AWS_REGION": "team-s3/AWS_REGION?",
    "AWS_DEFAULT_REGION": "team-s3/AWS_REGION?",
    "AWS_ENDPOINT_URL": "team-s3/AWS_ENDPOINT_URL?",
    "AWS_ENDPOINT_URL_S3": "team-s3/AWS_ENDPOINT_URL_S3?",
    "AWS_EC2_METADATA_DISABLED": "true",
}
GCP_ENV = {
    "GOOGLE_APPLICATION_CREDENTIALS": f"{GCP_MOUNT}/{GCP_FILE}",
    "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE": f"{GCP_MOUNT}/{GCP_FILE}",
    "GOOGLE_CLOUD_PROJECT": "team-gcs/project_id?",
    "CLOUDSDK_CORE_PROJECT": "team-gcs/project_id?",
    "NO_GCE_CHECK": "true",
}


def first(found: Object) -> Object:
    result: Object = found["spec"]["containers"][0]
    return result


def test_a_pod_that_asks_for_nothing_is_left_alone() -> None:
    outcome = mutate(pod(container()), None, {})
    assert (outcome.patch, outcome.warnings, outcome.denied, outcome.given) == ([], [], None, {})


def test_keys_as_environment() -> None:
    found = injected(pod(container(), annotations=AWS))
    assert environment(first(found)) == AWS_ENV
    assert "volumeMounts" not in first(found)
    assert "volumes" not in found["spec"]
    assert found["metadata"]["annotations"][INJECTED_ANNOTATION] == "aws=team-s3"


def test_a_google_file() -> None:
    found = injected(pod(container(), annotations=GCP))
    assert environment(first(found)) == GCP_ENV
    assert first(found)["volumeMounts"] == [{"name": GCP_VOLUME, "mountPath": GCP_MOUNT, "readOnly": True}]
    items = [{"key": GCP_FILE, "path": GCP_FILE}]
    assert found["spec"]["volumes"] == [
        {"name": GCP_VOLUME, "secret": {"secretName": "team-gcs", "items": items, "defaultMode": 0o444}}
    ]


def test_both_clouds_and_every_kind_of_container() -> None:
    sidecar = container("proxy", restartPolicy="Always", lifecycle={"preStop": {}}, future={"unknown": [1, None]})
    ephemeral = [container("debug")]
    raw = pod(
        *map(container, "abc"),
        annotations=BOTH,
        initContainers=[container("setup"), sidecar],
        ephemeralContainers=ephemeral,
    )
    found = injected(raw)
    for each in [*found["spec"]["containers"], *found["spec"]["initContainers"]]:
        assert environment(each) == AWS_ENV | GCP_ENV
    kept = {k: v for k, v in found["spec"]["initContainers"][1].items() if k not in ("env", "volumeMounts")}
    assert kept == sidecar
    assert found["spec"]["ephemeralContainers"] == ephemeral
    assert found["metadata"]["annotations"][INJECTED_ANNOTATION] == "aws=team-s3,gcp=team-gcs"


@pytest.mark.parametrize("env", [None, [], [{"name": "MINE", "value": "1"}]])
def test_what_a_container_has_stays_in_front(env: list[Object] | None) -> None:
    found = injected(pod(container(env=env), annotations=AWS))
    assert environment(first(found)) == environment({"env": env}) | AWS_ENV
    assert first(found)["env"][: len(env or [])] == (env or [])


def test_operations_add_and_never_rewrite() -> None:
    mount = {"name": "data", "mountPath": "/data"}
    busy = container(env=[{"name": "A", "value": "1"}], volumeMounts=[mount])
    raw = pod(busy, annotations=BOTH, volumes=[{"name": "data", "emptyDir": {}}])
    before = copy.deepcopy(raw)
    paths = [op["path"] for op in mutate(raw, None, STATIC).patch]
    assert {op["op"] for op in mutate(raw, None, STATIC).patch} == {"add"}
    assert set(paths) == {
        "/spec/containers/0/env/-",
        "/spec/containers/0/volumeMounts/-",
        "/spec/volumes/-",
        "/metadata/annotations/kaas.internal~1injected",
    }
    assert raw == before


@pytest.mark.parametrize("raw", [pod(container()), {"spec": {"containers": [container()]}}])
def test_annotations_are_made_when_there_are_none(raw: Object) -> None:
    found = injected(raw, service_account=account(AWS))
    assert found["metadata"]["annotations"] == {INJECTED_ANNOTATION: "aws=team-s3"}


def test_reinvocation_changes_nothing_but_new_containers() -> None:
    found = injected(pod(container(), annotations=BOTH))
    again = mutate(found, None, STATIC)
    assert (again.patch, again.warnings) == ([], [])
    found["spec"]["containers"].append(container("late"))
    paths = {op["path"] for op in mutate(found, None, STATIC).patch}
    assert paths == {"/spec/containers/1/env", "/spec/containers/1/volumeMounts"}


# Whose word counts.


@pytest.mark.parametrize(
    ("own", "accounts", "aws", "gcp"),
    [
        ({}, AWS, "team-s3", None),
        (AWS, {AWS_ANNOTATION: "other"}, "team-s3", None),
        (GCP, AWS, "team-s3", "team-gcs"),
        ({AWS_ANNOTATION: "none"}, BOTH, None, "team-gcs"),
        ({}, {AWS_ANNOTATION: "none"}, None, None),
        (AWS, {AWS_ROLE_ANNOTATION: ROLE}, "team-s3", None),
        ({AWS_ANNOTATION: "none"}, {AWS_ROLE_ANNOTATION: ROLE}, None, None),
    ],
)
def test_the_pod_wins_over_its_service_account(own: Any, accounts: Any, aws: str | None, gcp: str | None) -> None:
    asked = wanted(pod(container(), annotations=own), account(accounts))
    assert (asked.aws.secret if asked.aws else None, asked.gcp.secret if asked.gcp else None) == (aws, gcp)


def test_a_mirror_of_a_static_pod_is_let_through() -> None:
    outcome = mutate(pod(container(), annotations={**BOTH, "kubernetes.io/config.mirror": "x"}), account(BOTH), STATIC)
    assert (outcome.patch, outcome.denied) == ([], None)
    assert outcome.warnings == ["a static Pod cannot use Secrets: it is given no credentials"]


# Which containers.


@pytest.mark.parametrize(
    ("own", "accounts", "given"),
    [
        ({CONTAINERS_ANNOTATION: " a , setup "}, {}, "a setup"),
        ({SKIP_CONTAINERS_ANNOTATION: "b,\tproxy,"}, {}, "a setup"),
        ({CONTAINERS_ANNOTATION: "a,b", SKIP_CONTAINERS_ANNOTATION: "a"}, {}, "b"),
        ({}, {CONTAINERS_ANNOTATION: "a,of-another-pod"}, "a"),
        ({}, {SKIP_CONTAINERS_ANNOTATION: "a,of-another-pod"}, "b setup proxy"),
        ({CONTAINERS_ANNOTATION: "b"}, {CONTAINERS_ANNOTATION: "a"}, "b"),
    ],
)
def test_chosen_containers(own: Any, accounts: Any, given: str) -> None:
    raw = pod(
        container("a"),
        container("b"),
        annotations={**AWS, **own},
        initContainers=[container("setup"), container("proxy", restartPolicy="Always")],
    )
    outcome = mutate(raw, account(accounts), STATIC)
    assert outcome.warnings == []
    spec = patched(raw, outcome)["spec"]
    assert [c["name"] for c in spec["containers"] + spec["initContainers"] if "env" in c] == given.split()


def test_a_wrong_name_among_those_to_skip_is_told() -> None:
    outcome = mutate(pod(container(), annotations={**AWS, SKIP_CONTAINERS_ANNOTATION: "ap"}), None, STATIC)
    assert outcome.patch
    assert outcome.warnings == [f'{SKIP_CONTAINERS_ANNOTATION} names "ap", and no container is called so']


def test_nobody_is_left() -> None:
    outcome = mutate(pod(container(), annotations={**AWS, SKIP_CONTAINERS_ANNOTATION: "app"}), None, STATIC)
    assert (outcome.patch, len(outcome.warnings)) == ([], 1)


# What stands in the way.

IDENTITIES = ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ROLE_ARN"]


@pytest.mark.parametrize("mode", ["env", "file"])
@pytest.mark.parametrize("name", IDENTITIES)
def test_keys_of_two_owners_are_never_mixed(name: str, mode: str) -> None:
    raw = pod(container(env=[{"name": name, "value": "x"}]), annotations={**AWS, AWS_MODE_ANNOTATION: mode})
    outcome = mutate(raw, None, STATIC)
    assert outcome.patch == []
    assert outcome.warnings == [f'container "app" sets {name} itself: it is given nothing for AWS']


def test_another_container_is_given_its_own() -> None:
    own = container("own", env=[{"name": "AWS_PROFILE", "value": "x"}])
    found = injected(pod(own, container(), annotations=AWS))
    assert first(found) == own
    assert environment(found["spec"]["containers"][1]) == AWS_ENV


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("AWS_REGION", {"AWS_REGION", "AWS_DEFAULT_REGION"}),
        ("AWS_ENDPOINT_URL_S3", {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"}),
        ("AWS_EC2_METADATA_DISABLED", {"AWS_EC2_METADATA_DISABLED"}),
    ],
)
def test_settings_of_a_container_stay_its_own(name: str, left: set[str]) -> None:
    raw = pod(container(env=[{"name": name, "value": "x"}]), annotations=AWS)
    outcome = mutate(raw, None, STATIC)
    assert environment(first(patched(raw, outcome))) == {name: "x"} | {
        k: v for k, v in AWS_ENV.items() if k not in left
    }
    assert len(outcome.warnings) == (len(left) > 1)


@pytest.mark.parametrize("name", ["GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE"])
def test_a_google_file_of_ones_own(name: str) -> None:
    outcome = mutate(pod(container(env=[{"name": name, "value": "/mine"}]), annotations=GCP), None, STATIC)
    assert outcome.patch == []
    assert outcome.warnings == [f'container "app" sets {name} itself: it is given nothing for GCP']


def test_what_env_from_brings_is_not_seen() -> None:
    raw = pod(container(envFrom=[{"secretRef": {"name": "mine"}}]), annotations=AWS)
    outcome = mutate(raw, None, STATIC)
    assert outcome.patch
    assert ["envFrom" in text for text in outcome.warnings] == [True]


@pytest.mark.parametrize(
    "taken",
    [
        {"volumeMounts": [{"name": "mine", "mountPath": GCP_MOUNT}]},
        {"volumeMounts": [{"name": "mine", "mountPath": f"{GCP_MOUNT}/"}]},
        {"volumeDevices": [{"name": "mine", "devicePath": GCP_MOUNT}]},
    ],
)
def test_a_path_that_is_taken(taken: Object) -> None:
    outcome = mutate(pod(container(**taken), annotations=GCP, volumes=[{"name": "mine"}]), None, STATIC)
    assert outcome.patch == []
    text = f'container "app" mounts something else at {GCP_MOUNT}: it is given nothing for GCP'
    assert outcome.warnings == [text]


def test_a_volume_with_our_name() -> None:
    raw = pod(container(), annotations=GCP, volumes=[{"name": "a"}, {"name": GCP_VOLUME, "emptyDir": {}}])
    outcome = mutate(raw, None, STATIC)
    assert outcome.patch == []
    assert outcome.denied == f'spec.volumes[1].name: "{GCP_VOLUME}" is reserved for credentials; rename it'


def test_a_volume_of_a_pod_that_was_copied_with_its_marker() -> None:
    copied = injected(pod(container(), annotations=GCP))
    copied["metadata"]["annotations"][GCP_ANNOTATION] = "other"
    found = injected(copied, {})
    assert found["spec"]["volumes"][0]["secret"]["secretName"] == "other"
    assert found["metadata"]["annotations"][INJECTED_ANNOTATION] == "gcp=other"


# Secrets that are not as they should be.


def test_a_secret_that_is_not_there_yet() -> None:
    raw = pod(container(), annotations=AWS)
    outcome = mutate(raw, None, {"team-s3": None})
    assert environment(first(patched(raw, outcome))) == AWS_ENV
    assert ["is not there" in text for text in outcome.warnings] == [True]
    assert mutate(raw, None, {}).warnings == []


@pytest.mark.parametrize(
    ("annotations", "facts", "said"),
    [
        (AWS, SecretFacts("Opaque", KEYS), [f"is not of type {AWS_TYPE}"]),
        (AWS, SecretFacts("Opaque"), ["is not of type", "no key AWS_ACCESS_KEY_ID and no key AWS_SECRET_ACCESS_KEY"]),
        (GCP, SecretFacts("Opaque", KEYS), [f"is not of type {GCP_TYPE}", f"no key {GCP_FILE}"]),
        (GCP, SecretFacts(GCP_TYPE, frozenset({GCP_FILE}), True, "", f"{TOKEN_MOUNT}/gcp"), ["no token is mounted"]),
        (GCP, SecretFacts(GCP_TYPE, frozenset({GCP_FILE}), True, "a", "/etc/passwd"), ["no token is mounted"]),
        (GCP, SecretFacts(GCP_TYPE, frozenset({GCP_FILE}), True, "a", f"{TOKEN_MOUNT}/../x"), ["no token is mounted"]),
        (GCP, SecretFacts(GCP_TYPE, frozenset({GCP_FILE}), True, "a", f"{TOKEN_MOUNT}/aws"), ["no token is mounted"]),
        (GCP, SecretFacts(GCP_TYPE, frozenset({GCP_FILE}), True, "a", f"{TOKEN_MOUNT}/aws/x"), ["no token is mounted"]),
    ],
)
def test_a_secret_that_is_wrong_is_a_warning(annotations: Any, facts: SecretFacts, said: list[str]) -> None:
    raw = pod(container(), annotations=annotations)
    outcome = mutate(raw, None, dict.fromkeys(annotations.values(), facts))
    assert outcome.patch
    assert len(outcome.warnings) == len(said)
    assert [part in text for part, text in zip(said, outcome.warnings, strict=True)] == [True] * len(said)
    assert TOKEN_VOLUME not in str(outcome.patch)


# What is refused.

WRONG: list[tuple[dict[str, Any], str]] = [
    ({AWS_ANNOTATION: ""}, "write the name of one in this namespace, or none"),
    ({AWS_ANNOTATION: "None"}, "write the name of one in this namespace, or none"),
    ({AWS_ANNOTATION: "a/b"}, "write the name of one in this namespace, or none"),
    ({AWS_ANNOTATION: "team-s3\n"}, "write the name of one in this namespace, or none"),
    ({AWS_ANNOTATION: "a" * 254}, "write the name of one in this namespace, or none"),
    ({AWS_ANNOTATION: 7}, "write the name of one in this namespace, or none"),
    ({GCP_ANNOTATION: "-a"}, "write the name of one in this namespace, or none"),
    ({AWS_ROLE_ANNOTATION: "reader"}, "write one such as arn:aws:iam::123456789012:role/reader"),
    ({AWS_ROLE_ANNOTATION: "arn:aws:iam::1:user/x"}, "write one such as arn:aws:iam::123456789012:role/reader"),
    ({AWS_ROLE_ANNOTATION: ROLE, AWS_ANNOTATION: "x"}, "keep one of the two"),
    ({AWS_ROLE_ANNOTATION: ROLE, AWS_REGION_ANNOTATION: "EU Central"}, "write one such as eu-central-1"),
    ({**AWS, AWS_MODE_ANNOTATION: "files"}, "write env, or file"),
    ({**AWS, TOKEN_EXPIRATION_ANNOTATION: "599"}, "from 600 to 86400"),
    ({**AWS, TOKEN_EXPIRATION_ANNOTATION: "86401"}, "from 600 to 86400"),
    ({**AWS, TOKEN_EXPIRATION_ANNOTATION: "1h"}, "from 600 to 86400"),
    ({**AWS, TOKEN_EXPIRATION_ANNOTATION: "٦٠٠٠"}, "from 600 to 86400"),
    ({**AWS, CONTAINERS_ANNOTATION: " , "}, "write names separated by commas"),
    ({**AWS, SKIP_CONTAINERS_ANNOTATION: ""}, "write names separated by commas"),
]


@pytest.mark.parametrize("where", ["Pod", "ServiceAccount"])
@pytest.mark.parametrize(("annotations", "way_out"), WRONG)
def test_malformed_annotations_are_refused(annotations: dict[str, Any], way_out: str, where: str) -> None:
    own, others = (annotations, {}) if where == "Pod" else ({}, annotations)
    outcome = mutate(pod(container(), annotations=own), account(others), STATIC)
    assert outcome.denied is not None
    assert way_out in outcome.denied
    assert outcome.denied.startswith("metadata.annotations[kaas.internal/")
    assert f"] of the {where} " in outcome.denied
    assert outcome.patch == []


def test_what_a_wrong_annotation_says_is_not_repeated() -> None:
    outcome = mutate(pod(container(), annotations={AWS_ANNOTATION: "AKIA+PASTED+KEY"}), None, {})
    assert "PASTED" not in str(outcome.denied)


def test_an_unknown_container_is_refused() -> None:
    outcome = mutate(pod(container(), annotations={**AWS, CONTAINERS_ANNOTATION: "app,ap"}), None, STATIC)
    assert outcome.denied is not None
    assert 'names "ap", and no container is called so' in outcome.denied


def test_wrong_options_matter_only_to_who_asks_for_credentials() -> None:
    assert mutate(pod(container(), annotations={AWS_MODE_ANNOTATION: "x"}), None, {}).denied is None


# Keys in files, and no keys at all.


def test_keys_in_files() -> None:
    found = injected(pod(container(), annotations={**AWS, AWS_MODE_ANNOTATION: "file"}))
    seen = environment(first(found))
    assert {k: v for k, v in seen.items() if k.endswith("_FILE")} == {
        "AWS_CONFIG_FILE": f"{AWS_MOUNT}/config",
        "AWS_SHARED_CREDENTIALS_FILE": f"{AWS_MOUNT}/config",
    }
    assert seen.keys().isdisjoint({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"})
    assert mounts(first(found)) == {AWS_MOUNT: AWS_VOLUME}
    secret, files = found["spec"]["volumes"][0]["projected"]["sources"]
    assert secret == {"secret": {"name": "team-s3"}}
    for item in files["downwardAPI"]["items"]:
        key = item["fieldRef"]["fieldPath"].removeprefix("metadata.annotations['").removesuffix("']")
        assert found["metadata"]["annotations"][key]


def test_a_role_in_the_secret() -> None:
    found = injected(pod(container(), annotations={**AWS, TOKEN_EXPIRATION_ANNOTATION: "3600"}), KEYLESS)
    seen = environment(first(found))
    assert seen["AWS_ROLE_ARN"] == "team-s3/AWS_ROLE_ARN"
    assert seen["AWS_WEB_IDENTITY_TOKEN_FILE"] == f"{TOKEN_MOUNT}/aws"
    assert seen["AWS_ROLE_SESSION_NAME"] == "metadata.name"
    assert seen["AWS_REGION"] == "team-s3/AWS_REGION?"
    assert seen["AWS_CA_BUNDLE"] == f"{AWS_MOUNT}/ca.crt"
    assert seen.keys().isdisjoint(KEYS)
    assert mounts(first(found)) == {TOKEN_MOUNT: TOKEN_VOLUME, AWS_MOUNT: AWS_VOLUME}
    token = found["spec"]["volumes"][1]["projected"]["sources"][0]["serviceAccountToken"]
    assert token == {"audience": "sts.amazonaws.com", "expirationSeconds": 3600, "path": "aws"}


def test_a_role_on_the_service_account() -> None:
    accounts = account({AWS_ROLE_ANNOTATION: ROLE, AWS_REGION_ANNOTATION: "eu-central-1"})
    found = injected(pod(container()), {}, accounts)
    assert environment(first(found)) == {
        "AWS_ROLE_ARN": ROLE,
        "AWS_WEB_IDENTITY_TOKEN_FILE": f"{TOKEN_MOUNT}/aws",
        "AWS_ROLE_SESSION_NAME": "metadata.name",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    assert found["metadata"]["annotations"][INJECTED_ANNOTATION] == f"aws={ROLE}"
    assert wanted(pod(container()), accounts).secrets == ()


@pytest.mark.parametrize(
    ("name", "session"),
    [("ab", "metadata.name"), ("a", "pod-a"), ("p" * 64, "metadata.name"), ("p" * 65, "pod-" + "p" * 60)],
)
def test_sessions_have_names_that_sts_takes(name: str, session: str) -> None:
    raw = pod(container(), annotations=AWS)
    raw["metadata"]["name"] = name
    assert environment(first(injected(raw, KEYLESS)))["AWS_ROLE_SESSION_NAME"] == session


def test_google_without_a_key() -> None:
    found = injected(pod(container(), annotations=BOTH), KEYLESS)
    assert mounts(first(found)) == {TOKEN_MOUNT: TOKEN_VOLUME, AWS_MOUNT: AWS_VOLUME, GCP_MOUNT: GCP_VOLUME}
    sources = {v["name"]: v for v in found["spec"]["volumes"]}[TOKEN_VOLUME]["projected"]["sources"]
    assert [s["serviceAccountToken"]["audience"] for s in sources] == ["sts.amazonaws.com", AUDIENCE]
    assert sources[1]["serviceAccountToken"] == {"audience": AUDIENCE, "expirationSeconds": 86400, "path": "gcp"}


@pytest.mark.parametrize("name", [None, ""])
def test_without_a_service_account_there_is_no_token(name: str | None) -> None:
    raw = pod(container(), annotations=BOTH, serviceAccountName=name)
    outcome = mutate(raw, None, KEYLESS | {"team-gcs": STATIC["team-gcs"]})
    found = patched(raw, outcome)
    assert environment(first(found)) == GCP_ENV
    assert mounts(first(found)) == {GCP_MOUNT: GCP_VOLUME}
    assert ["serviceAccountName" in text for text in outcome.warnings] == [True]


def test_a_token_is_mounted_for_those_who_use_it_only() -> None:
    own = container(env=[{"name": "AWS_PROFILE", "value": "x"}])
    found = injected(pod(own, annotations=BOTH), KEYLESS)
    sources = {v["name"]: v for v in found["spec"]["volumes"]}[TOKEN_VOLUME]["projected"]["sources"]
    assert [s["serviceAccountToken"]["path"] for s in sources] == ["gcp"]


def test_a_ca_of_ones_own() -> None:
    secrets: dict[str, SecretFacts | None] = {"team-s3": SecretFacts(AWS_TYPE, KEYS | {"ca.crt"})}
    found = injected(pod(container(), annotations=AWS), secrets)
    assert environment(first(found)) == AWS_ENV | {"AWS_CA_BUNDLE": f"{AWS_MOUNT}/ca.crt"}
    own = container(env=[{"name": "AWS_CA_BUNDLE", "value": "/mine"}])
    found = injected(pod(own, annotations=AWS), secrets)
    assert environment(first(found)) == AWS_ENV | {"AWS_CA_BUNDLE": "/mine"}
    assert "volumes" not in found["spec"]

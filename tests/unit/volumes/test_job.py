"""Jobs and network policies as they are made, and what their Pods are given."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from kaas.loader.address import Scheme
from kaas.volumes import terms
from kaas.volumes.access import ANONYMOUS, Access, Unusable, access_of
from kaas.volumes.attempts import job_view
from kaas.volumes.claim import claim_of
from kaas.volumes.job import SPENT, Work, arguments, job_of, network_policy
from kaas.volumes.placement import Placement, anywhere, following
from kaas.volumes.settings import LoadSettings
from tests import golden_files
from tests.unit.volumes.builders import claim, pod, raw_claim

SETTINGS = LoadSettings(image="registry.example.com/kaas:1")
AWS = {"AWS_ACCESS_KEY_ID": "QQ==", "AWS_SECRET_ACCESS_KEY": "QQ==", "AWS_REGION": "QQ==", "ca.crt": "QQ=="}
ROLE = {"AWS_ROLE_ARN": "QQ=="}


def secret(kind: str, data: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": "team-keys"}, "type": f"kaas.internal/{kind}-credentials", "data": data}


def google(**config: Any) -> dict[str, Any]:
    return secret("gcp", {"credentials.json": base64.b64encode(json.dumps(config).encode()).decode()})


EXTERNAL = {
    "type": "external_account",
    "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
    "credential_source": {"file": "/var/run/secrets/kaas.internal/token/gcp"},
}


def work(access: Access = ANONYMOUS, placement: Placement | None = None, **spec: Any) -> Work:
    found = claim(**spec)
    assert found.spec is not None
    assert found.load is not None
    where = placement or anywhere()
    return Work(found, found.spec, found.load, access, where)


def test_anonymous() -> None:
    golden_files.check("volumes/anonymous", job_of(work(), SETTINGS))


@pytest.mark.parametrize(("spent", "left"), [(0, 86400), (86000, 400), (90000, 1)])
def test_what_jobs_before_have_had_of_the_time(spent: int, left: int) -> None:
    made = job_of(replace(work(), spent=spent), SETTINGS)
    assert made["spec"]["activeDeadlineSeconds"] == left
    meta = {**made["metadata"], "uid": "j1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    assert job_view({**made, "metadata": meta}, ()).spent.total_seconds() == spent


@pytest.mark.parametrize("said", ["", "-1", "a day", "9" * 400])
def test_what_others_write_there_is_nothing(said: str) -> None:
    made = job_of(work(), SETTINGS)
    notes = {**made["metadata"]["annotations"], SPENT: said}
    meta = {**made["metadata"], "annotations": notes, "uid": "j1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    assert not job_view({**made, "metadata": meta}, ()).spent


BORN = {"dataSourceRef": {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "x"}}
CLONED = {"dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "x"}}
OURS = {terms.CAME_FROM: "team"}
THEIRS = {terms.CAME_FROM: "others"}
FRESH = {terms.FRESH: "true"}
EXACTLY = {"--delete", "--delete-excluded", "--distrust=c1"}


@pytest.mark.parametrize(
    ("origin", "notes", "told"),
    [
        ({}, FRESH, set()),
        (BORN, OURS, set()),
        (BORN, OURS | FRESH, {"--delete"}),
        (BORN, THEIRS | FRESH, EXACTLY),
        (BORN, FRESH, EXACTLY),  # whoever does not say where it came from, it may be anybody's
        (BORN, {}, {"--distrust=c1"}),  # named by a person: what else is on it is theirs
        (BORN, THEIRS, {"--distrust=c1"}),  # of a later load: its Pods have written since
        (CLONED, {}, {"--distrust=c1"}),
        ({"dataSourceRef": {"apiGroup": "kaas.internal", "kind": "DataSource", "name": "x"}}, {}, set()),
    ],
)
def test_what_others_have_filled_is_not_believed(origin: dict[str, Any], notes: dict[str, str], told: set[str]) -> None:
    raw = raw_claim(load_source="s3://models/llama/", **origin)
    raw["metadata"]["annotations"] |= notes
    found = claim_of(raw)
    assert found.spec
    assert found.load
    job = job_of(Work(found, found.spec, found.load, ANONYMOUS, anywhere()), SETTINGS)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert {a for a in container["args"] if a.startswith(("--delete", "--distrust"))} == told


def test_with_keys_in_one_directory() -> None:
    made = work(
        access_of(Scheme.S3, secret("aws", AWS)),
        load_credentials="team-keys",
        load_path="/models",
        load_include="*.safetensors,*.json",
        load_delete="true",
        load_owner="1000:100:0640",
        load_endpoint="https://s3.example.com",
        load_region="eu-central-1",
        load_timeout="3600",
    )
    settings = LoadSettings(
        image="kaas:1",
        priority_class="loads",
        allow_endpoints=("192.0.2.10", "s3.example.com"),
        keep_out=("10.0.0.0/8",),
    )
    golden_files.check("volumes/keys", job_of(made, settings))


def test_keyless_for_the_first_consumer() -> None:
    consumer = pod(
        "trainer",
        "data",
        nodeSelector={"nvidia.com/gpu.present": "true"},
        tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}, {"key": "node.kubernetes.io/not-ready"}],
        affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{}]}}},
    )
    access = access_of(Scheme.S3, secret("aws", ROLE))
    made = work(access, following(consumer), load_service_account="loader")
    golden_files.check("volumes/keyless", job_of(made, SETTINGS))


def test_google_without_a_key_in_four_parts() -> None:
    access = access_of(Scheme.GCS, google(**EXTERNAL))
    made = work(access, load_source="gs://models/llama/", load_shards="4", accessModes=["ReadWriteMany"])
    golden_files.check("volumes/shards", job_of(made, SETTINGS))


def test_the_network_of_loaders() -> None:
    settings = LoadSettings(
        image="kaas:1", allow_endpoints=("192.0.2.10", "s3.example.com"), keep_out=("10.0.0.0/8", "fd00::/8")
    )
    golden_files.check("volumes/network", network_policy("team", settings))


def test_what_is_kept_out_is_kept_out_of_networks_that_are_allowed() -> None:
    """Of several rules of a policy any one lets a packet through."""
    settings = LoadSettings(
        image="kaas:1", allow_endpoints=("10.0.0.0/8", "10.96.0.10", "fd00::/8"), keep_out=("10.96.0.0/12",)
    )
    allowed = network_policy("team", settings)["spec"]["egress"][-1]["to"]
    assert allowed == [
        {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.96.0.0/12"]}},
        {"ipBlock": {"cidr": "fd00::/8"}},
    ]


def test_arguments_have_no_blank_ones() -> None:
    spec = work(load_verify="off", load_requester_pays="true", load_credentials="x").spec
    found = arguments(spec, SETTINGS, anonymous=False)
    assert found[:3] == ["load", "s3://models/llama/", "/data"]
    assert found[-1] == "--requester-pays"
    assert "" not in found


@pytest.mark.parametrize(("shards", "each"), [("1", 200_000_000), ("3", 66_666_666)])
def test_pods_share_what_a_load_may_take(shards: str, each: int) -> None:
    spec = work(load_max_rate="200M", load_shards=shards, accessModes=["ReadWriteMany"]).spec
    assert f"--max-rate={each}" in arguments(spec, SETTINGS, anonymous=True)
    assert "--max-rate" not in str(arguments(work().spec, SETTINGS, anonymous=True))


@pytest.mark.parametrize(
    ("scheme", "given", "words"),
    [
        (Scheme.S3, secret("gcp", {}), "takes one of type kaas.internal/aws-credentials"),
        (Scheme.S3, {"metadata": {"name": "team-keys"}, "type": "Opaque", "data": AWS}, "is of type Opaque"),
        (Scheme.S3, secret("aws", {"AWS_ACCESS_KEY_ID": "QQ=="}), "has no key AWS_SECRET_ACCESS_KEY"),
        (Scheme.S3, {**secret("aws", {}), "data": None}, "has no key AWS_ACCESS_KEY_ID and no key"),
        (Scheme.GCS, secret("gcp", {}), "has no key credentials.json"),
        (Scheme.GCS, secret("gcp", {"credentials.json": "!"}), "is no JSON"),
        (Scheme.GCS, google(type="external_account"), "needs an audience"),
        (
            Scheme.GCS,
            google(**{**EXTERNAL, "credential_source": {"file": "/var/run/secrets/kaas.internal/token/../x"}}),
            "credential_source.file",
        ),
        (Scheme.HF, secret("aws", AWS), "without credentials"),
    ],
)
def test_a_secret_that_does_not_fit(scheme: Scheme, given: dict[str, Any], words: str) -> None:
    with pytest.raises(Unusable, match=words):
        access_of(scheme, given)


def test_no_value_of_a_secret_is_in_a_job() -> None:
    data = {k: base64.b64encode(f"value-of-{k}".encode()).decode() for k in AWS}
    text = json.dumps(job_of(work(access_of(Scheme.S3, secret("aws", data))), SETTINGS))
    assert not any(value in text for value in data.values())
    assert "value-of" not in text

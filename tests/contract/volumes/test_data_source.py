"""DataSources that are wrong are refused by the API server itself, with the field and the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kaas.kube.client import KubeClient
from kaas.kube.errors import Invalid
from kaas.kube.objects import Object
from kaas.volumes.populator.terms import SOURCE
from tests.contract.volumes.stage import Stage, until_data_source

CRDS = Path(__file__).parents[3] / "deploy" / "volumes" / "crds.yaml"


@pytest.fixture(autouse=True)
async def kind(client: KubeClient) -> None:
    """The kind is served."""
    await client.apply(yaml.safe_load(CRDS.read_text()))
    await until_data_source(client)


def source(stage: Stage, **spec: Any) -> Object:
    meta = {"name": "llama", "namespace": stage.namespace}
    return {"apiVersion": SOURCE.api_version, "kind": SOURCE.kind, "metadata": meta, "spec": spec}


async def test_all_that_annotations_can_say_is_taken(stage: Stage) -> None:
    wanted = {
        "source": "s3://bucket/prefix/",
        "path": "/models/.hidden/",
        "credentials": "team-s3",
        "serviceAccount": "loader",
        "endpoint": "https://s3.example.com:9000/base",
        "region": "eu-central-1",
        "include": "*.bin,**/*.json",
        "exclude": "tmp/**",
        "id": "2",
        "verify": "off",
        "cache": "snapshot",
        "owner": "1000:100:0640",
        "requesterPays": True,
        "shards": 4,
        "maxRate": "1.5Gi",
        "timeout": 600,
    }
    made = await stage.client.create(source(stage, **wanted))
    assert made["spec"] == wanted


@pytest.mark.parametrize("address", ["gs://bucket", "https://example.com/file", "hf://datasets/owner/name@main/"])
async def test_other_sources_are_taken(stage: Stage, address: str) -> None:
    assert await stage.client.create(source(stage, source=address))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"source": "s4://a/b/"}, "spec.source"),
        ({"source": "s3://a/b/", "path": "/a/../b"}, "spec.path"),
        ({"source": "https://example.com/a", "credentials": "team-s3"}, "spec.credentials"),
        ({"source": "gs://a/b/", "region": "x"}, "spec.region"),
        ({"source": "https://example.com/a", "endpoint": "https://b"}, "spec.endpoint"),
        ({"source": "s3://a/b/", "requesterPays": True}, "spec.requesterPays"),
        ({"source": "s3://a/b/", "owner": "0:0"}, "spec.owner"),
        ({"source": "s3://a/b/", "shards": 65}, "spec.shards"),
        ({"source": "s3://a/b/", "maxRate": "50MB/s"}, "spec.maxRate"),
        ({"source": "s3://a/b/", "maxRate": "63Ki"}, "spec.maxRate: each Pod needs 64Ki"),
        ({"source": "s3://a/b/", "maxRate": "100Ki", "shards": 2}, "spec.maxRate: each Pod needs 64Ki"),
        ({"source": "s3://a/b/", "delete": True}, "spec.delete"),
        ({}, "spec.source"),
    ],
)
async def test_what_is_wrong_is_refused_at_once(stage: Stage, spec: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid) as refusal:
        await stage.client.create(source(stage, **spec))
    assert said in str(refusal.value) + str([str(cause) for cause in refusal.value.causes])

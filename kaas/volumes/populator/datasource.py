"""The kind `DataSource` of a workload cluster: what the annotations `load-*` say, as fields that are checked at once.

`python -m kaas.volumes.populator.datasource` writes its CRD, which is `deploy/volumes/crds.yaml`. It is no kind of the
management cluster.
"""

from __future__ import annotations

import re
import sys
from typing import Annotated, ClassVar, Final, Literal

import yaml
from pydantic import Field

from kaas.api import crd
from kaas.api.fields import pattern_rule
from kaas.api.model import AGE, Column, Model, Resource
from kaas.api.rules import JSON, Rule
from kaas.kube import quantity
from kaas.loader import rate

_NAME: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_ObjectName = Annotated[
    str, Field(max_length=253), pattern_rule(_NAME, "it is no name of an object: lower-case letters, digits, - and .")
]
_Globs = Annotated[str, Field(min_length=1, max_length=4096)]
_SOURCE: Final = r"(s3|gs|hf|http|https)://[^/?#@\s]+(/[^\s]*)?"
_OF_BUCKETS: Final = re.compile(r"(s3|gs)://")


def _of_bucket(spec: JSON) -> bool:
    return bool(_OF_BUCKETS.match(spec["source"]))


def _is_enough(spec: JSON) -> bool:
    """Whether each Pod has a rate that a load can have; what is no rate at all another rule refuses."""
    text = str(spec.get("maxRate", ""))
    return not re.fullmatch(rate.PATTERN, text) or quantity.whole(text) >= rate.SMALLEST * spec.get("shards", 1)


def _needs(field: str, cel: str, message: str, check: object) -> Rule:
    """A rule about one field that not every source can have."""
    return Rule(f"!has(self.{field}) || {cel}", message, check, f".{field}")  # type: ignore[arg-type]


RULES: Final = (
    _needs(
        "credentials",
        "self.source.matches('^(s3|gs)://')",
        "spec.credentials: sources other than s3:// and gs:// are loaded without: remove it",
        lambda spec: "credentials" not in spec or _of_bucket(spec),
    ),
    _needs(
        "region",
        "self.source.startsWith('s3://')",
        "spec.region: it means something for s3:// only: remove it",
        lambda spec: "region" not in spec or spec["source"].startswith("s3://"),
    ),
    _needs(
        "endpoint",
        "!self.source.matches('^https?://')",
        "spec.endpoint: a source of http:// or https:// names its host: remove it",
        lambda spec: "endpoint" not in spec or not spec["source"].startswith(("http://", "https://")),
    ),
    _needs(
        "requesterPays",
        "!self.requesterPays || (has(self.credentials) && self.source.matches('^(s3|gs)://'))",
        "spec.requesterPays: nobody is billed for anonymous requests: add spec.credentials",
        lambda spec: not spec.get("requesterPays") or ("credentials" in spec and _of_bucket(spec)),
    ),
    _needs(
        "maxRate",
        f"!isQuantity(self.maxRate) || quantity(self.maxRate).asApproximateFloat() >= {rate.SMALLEST}.0"
        " * double(has(self.shards) ? self.shards : 1)",
        "spec.maxRate: each Pod needs 64Ki of it: write more, or fewer spec.shards",
        _is_enough,
    ),
)


class DataSourceSpec(Model):
    """What a claim is filled with. Each field says what the annotation of its name says: see docs/volumes.md."""

    rules: ClassVar[tuple[Rule, ...]] = RULES

    source: Annotated[
        str,
        Field(max_length=2048),
        pattern_rule(
            _SOURCE, "it is no source: write s3://bucket/prefix/, gs://…, hf://… or https://…, with no user or query"
        ),
    ]
    """What to load: with / at its end all that is below, without it one object."""
    path: Annotated[
        str | None,
        Field(default=None, max_length=4095),
        pattern_rule(
            r"/?([^/.][^/]*|[.][^/.][^/]*)?(/([^/.][^/]*|[.][^/.][^/]*))*/?", "it has . or .. in it: write /models"
        ),
    ]
    """Directory in the volume; its root when left out."""
    credentials: _ObjectName | None = None
    """Secret of our types in the namespace; without it requests are anonymous."""
    service_account: _ObjectName | None = None
    """ServiceAccount of the loader's Pod, for access by its token."""
    endpoint: Annotated[
        str | None,
        Field(default=None, max_length=2048),
        pattern_rule(r"https?://[^/?#@\s]+(/[^?#\s]*)?", "it is no endpoint: write it like https://s3.example.com"),
    ]
    """Of a store that speaks S3's or Google's language elsewhere."""
    region: Annotated[
        str | None,
        Field(default=None, max_length=63),
        pattern_rule(r"[A-Za-z0-9][A-Za-z0-9-]*", "it is no region: write one like eu-central-1"),
    ]
    """Of an S3 bucket."""
    include: _Globs | None = None
    """Globs with commas between: only these."""
    exclude: _Globs | None = None
    """Globs with commas between: not these."""
    id: Annotated[
        str | None,
        Field(default=None, max_length=128),
        pattern_rule(r"[!-~]+", "it has to be printable ASCII characters without blanks"),
    ]
    """Another one has a load that failed begun again."""
    verify: Literal["auto", "size", "off"] | None = None
    """How what was loaded is compared; auto when left out."""
    cache: Literal["none", "snapshot"] | None = None
    """Whether the volume may be born of a snapshot of the same data, and one is kept of it."""
    owner: Annotated[
        str | None,
        Field(default=None, max_length=32),
        pattern_rule(
            r"[1-9][0-9]{0,9}:[1-9][0-9]{0,9}(:0?[0-7]{3})?",
            "it is no owner: write uid:gid or uid:gid:mode, not root's",
        ),
    ]
    """Whose all files are."""
    requester_pays: bool | None = None
    """Whether who asks is billed."""
    shards: int | None = Field(default=None, ge=1, le=64)
    """Pods that load side by side; more than one needs ReadWriteMany."""
    max_rate: Annotated[
        str | None,
        Field(default=None, max_length=32),
        pattern_rule(rate.PATTERN, "it is no rate: write bytes a second, as 50Mi, 1Gi or 200M"),
    ]
    """Bytes a second of all Pods together; as many as come when left out."""
    timeout: int | None = Field(default=None, ge=60, le=30 * 86400)
    """Seconds for all attempts together."""


class DataSource(Resource):
    """What a PersistentVolumeClaim is filled with that names it in `dataSourceRef`, before it is bound."""

    plural: ClassVar[str] = "datasources"
    scope: ClassVar[Literal["Namespaced", "Cluster"]] = "Namespaced"
    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="Source", json_path=".spec.source"),
        Column(name="Cache", json_path=".spec.cache", priority=1),
        AGE,
    )

    kind: Literal["DataSource"] = "DataSource"
    spec: DataSourceSpec
    """What is loaded."""


def text() -> str:
    """The CRD, as the file has it."""
    head = "# Generated by `python -m kaas.volumes.populator.datasource > deploy/volumes/crds.yaml`; do not edit.\n"
    return head + yaml.safe_dump(crd.definition(DataSource), sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    sys.stdout.write(text())

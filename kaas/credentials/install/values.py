"""What an administrator may choose; the schema of `deploy/credentials/values.schema.json` is made from here."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Label = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
"""RFC 1123 label: name of a Namespace."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class PolicyValues(_Model):
    """What Secrets may hold."""

    allow_external_account: bool = Field(
        True, description="Google configurations without a key, which exchange the Pod's own token."
    )
    endpoint_hosts: list[str] = Field(
        [], description="Hosts that S3 endpoints may have, *.example.com for all below a domain; none means any."
    )
    universe_domains: list[str] = Field(
        ["googleapis.com"], min_length=1, description="Of Google's cloud; others are sovereign clouds."
    )


class Values(_Model):
    """Values of the manifests."""

    namespace: Label = Field("kaas-credentials", description="Where the webhook runs and keeps its certificates.")
    image: str = Field("kaas:0.1.0", min_length=1, description="Image with the command kaas.")
    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    replicas: int = Field(
        2, ge=1, le=10, description="In two halves: a Pod whose call to one is lost is brought to the other."
    )
    failure_policy: Literal["Fail", "Ignore"] = Field(
        "Fail",
        description="When no replica answers: Fail refuses Pods that ask for credentials, Ignore runs them without.",
    )
    timeout_seconds: int = Field(
        5,
        ge=5,
        le=30,
        description="How long API servers wait in all: two seconds for a Pod's first try, the rest for its second.",
    )
    excluded_namespaces: list[Label] = Field(
        ["kube-system", "kube-public", "kube-node-lease"],
        description="Where nothing is sent to the webhook. Its own namespace always belongs to them.",
    )
    url: str = Field(
        "",
        pattern=r"^(https://[^/?#@\s]+)?$",
        description="Where the webhook listens when it runs outside of the cluster; then no Deployment is made.",
    )
    second_url: str = Field(
        "",
        pattern=r"^(https://[^/?#@\s]+)?$",
        description="Where a second one does, which is asked when a call to the first is lost; the same if empty.",
    )
    policy: PolicyValues = PolicyValues()
    log_format: Literal["json", "human"] = "json"
    node_selector: dict[str, str] = {}
    tolerations: list[dict[str, Any]] = []
    resources: dict[str, dict[str, str]] = Field(
        {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        description="Of one replica. It takes no more than 60 MB.",
    )

    @property
    def excluded(self) -> list[str]:
        """Namespaces that are never sent: the webhook's own too, or it could not start when no replica runs."""
        return list(dict.fromkeys([*self.excluded_namespaces, self.namespace]))


def schema() -> str:
    """JSON schema of the values, as the file has it."""
    return json.dumps(Values.model_json_schema(by_alias=True), indent=2, ensure_ascii=False) + "\n"

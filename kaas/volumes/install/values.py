"""What an administrator may choose; the schema of `deploy/volumes/values.schema.json` is made from here."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Label = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
"""RFC 1123 label: name of a Namespace."""


class Values(BaseModel):
    """Values of the manifests."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    namespace: Label = Field("kaas-volumes", description="Where controller and webhook run.")
    image: str = Field(
        "kaas:0.1.0", min_length=1, description="Image with the command kaas as entry point: also of loaders."
    )
    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    replicas: int = Field(2, ge=1, le=10, description="Of each of the two.")
    failure_policy: Literal["Fail", "Ignore"] = Field(
        "Fail",
        description="When no webhook answers: Fail refuses Pods that mount claims, Ignore runs them on what there is.",
    )
    timeout_seconds: int = Field(5, ge=2, le=30, description="How long API servers wait for the webhook.")
    excluded_namespaces: list[Label] = Field(
        ["kube-system", "kube-public", "kube-node-lease"],
        description="Where nothing is sent to the webhook. Its own namespace always belongs to them.",
    )
    url: str = Field(
        "",
        pattern=r"^(https://[^/?#@\s]+)?$",
        description="Where the webhook listens when both run outside of the cluster; then no Deployment is made.",
    )
    controller_options: list[str] = Field([], description="Further options of `kaas volumes controller`.")
    log_format: Literal["json", "human"] = "json"
    node_selector: dict[str, str] = {}
    tolerations: list[dict[str, Any]] = []
    webhook_resources: dict[str, dict[str, str]] = {
        "requests": {"cpu": "50m", "memory": "64Mi"},
        "limits": {"memory": "128Mi"},
    }
    controller_resources: dict[str, dict[str, str]] = {
        "requests": {"cpu": "50m", "memory": "128Mi"},
        "limits": {"memory": "512Mi"},
    }

    @property
    def excluded(self) -> list[str]:
        """Namespaces that are never sent: the webhook's own too, or it could not start when no replica runs."""
        return list(dict.fromkeys([*self.excluded_namespaces, self.namespace]))


def schema() -> str:
    """JSON schema of the values, as the file has it."""
    return json.dumps(Values.model_json_schema(by_alias=True), indent=2, ensure_ascii=False) + "\n"
